"""DPoP at the gateway (RFC 9449 section 7): a bound token is taken with a proof of its key, and with nothing less.

Sits in front of the gateway: `Authorization: DPoP` with a right proof goes on as `Bearer`, which is what exchanges know. Bound tokens
that come as plain `Bearer` are refused where tokens are verified, because nobody has proved their key in this request.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from portal.gateway import verdicts
from portal.gateway.answers import answer
from portal.gateway.verdicts import Refused
from portal.kernel.clock import Clock
from portal.kernel.lifespan import AsgiApp
from portal.oauth import dpop
from portal.oauth.errors import OAuthFault
from portal.oauth.tokens import proven_key

log = logging.getLogger(__name__)

MAX_TOKEN = 8192
# Key thumbprint, jti and end of a proof; whether this is its first use.
Uses = Callable[[str, str, datetime], Awaitable[bool]]


class ProofOfPossession:
    """ASGI application around the gateway. `uses` remembers proofs for every worker (`portal.oauth.replay`)."""

    def __init__(self, gateway: AsgiApp, *, clock: Clock, public_url: str, uses: Uses) -> None:
        self._gateway, self._clock, self._public_url, self._uses = gateway, clock, public_url, uses
        self._memory = dpop.ProofMemory()

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        for name, value in scope.get("headers", ()):
            if name == b"authorization" and value[:5].lower() == b"dpop " and scope["type"] == "http":
                return self._bound(scope, receive, send)
        return self._gateway(scope, receive, send)

    async def _bound(self, scope: Any, receive: Any, send: Any) -> None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            await self._gateway(scope, receive, send)
            return
        token = given[0][5:].strip()
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        try:
            thumbprint = await self._proven(scope, token, path)
        except OAuthFault as fault:
            await _refuse(send, scope, fault.description)
            return
        except (SQLAlchemyError, OSError):
            log.warning("a proof could not be recorded", exc_info=True)
            await _answer(
                send, scope, verdicts.unavailable("The proof cannot be checked now", "اثبات اکنون سنجیدنی نیست")
            )
            return
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"authorization", b"dpop")]
        scope = {**scope, "headers": [*kept, (b"authorization", b"Bearer " + token)]}
        # Whether the token is bound to this very key is seen where it is verified.
        before = proven_key.set(thumbprint)
        try:
            await self._gateway(scope, receive, send)
        finally:
            proven_key.reset(before)

    async def _proven(self, scope: Any, token: bytes, path: bytes) -> str:
        """Thumbprint of the key that the request proves; raises `OAuthFault`."""
        proofs = [value for name, value in scope["headers"] if name == b"dpop"]
        if len(proofs) != 1 or len(token) > MAX_TOKEN or not token.isascii() or not path.isascii():
            raise dpop.invalid_proof("send one DPoP proof with the access token")
        now, text = self._clock.now(), token.decode("ascii")
        url = self._public_url + path.partition(b"?")[0].decode("ascii")
        proof = dpop.check(proofs[0].decode("latin-1"), method=scope["method"], url=url, now=now, access_token=text)
        if not self._memory.first_use(proof, now) or not await self._first_anywhere(proof, path):
            raise dpop.invalid_proof("the DPoP proof was used before")
        return proof.thumbprint

    async def _first_anywhere(self, proof: dpop.Proof, path: bytes) -> bool:
        """Whether no other worker saw the proof; while the store is away the sandbox goes by this worker's memory alone."""
        ends = datetime.fromtimestamp(proof.issued_at + dpop.PAST + dpop.FUTURE, UTC)
        try:
            return await self._uses(proof.thumbprint, proof.jti, ends)
        except (SQLAlchemyError, OSError):
            if path.startswith(b"/production/"):
                raise
            return True


async def _refuse(send: Any, scope: Any, detail: str) -> None:
    base = verdicts.unauthenticated("gozar", detail, "اثبات DPoP پذیرفته نشد", error="invalid_dpop_proof")
    algorithms = " ".join(dpop.ALGORITHMS)
    challenge = f'DPoP error="invalid_dpop_proof", error_description="{detail}", algs="{algorithms}"'
    await _answer(send, scope, replace(base, challenge=challenge))


async def _answer(send: Any, scope: Any, refused: Refused) -> None:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    wanted = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
    status, headers, body = answer(
        refused, fhir=b"/fhir/" in path[:20], request_id="", extra=[], accept_language=wanted[:200]
    )
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
