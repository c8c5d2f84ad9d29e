"""Whose call is it: the access token, the key it may be bound to (RFC 9449), and where the call comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from portal.gateway import callers, verdicts
from portal.gateway.access import Access
from portal.gateway.calls import Call
from portal.gateway.fields import Fields
from portal.gateway.tokens import Claims, TokenRefused, TokenVerifier
from portal.gateway.verdicts import Refused
from portal.oauth.dpop import ProofMemory, check
from portal.oauth.errors import OAuthFault

MAX_TOKEN = 8192
MISSING = "send the access token as Authorization: Bearer"


class Credentials:
    """Reads and checks what a call shows of itself. `trusted` are CIDR blocks of proxies whose word about the caller counts."""

    def __init__(
        self, tokens: TokenVerifier, *, now: Callable[[], datetime], public_url: str, trusted: tuple[str, ...]
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._public_url = public_url
        self._trusted = trusted
        self._proofs = ProofMemory()

    async def claims(self, call: Call, shown: Fields) -> Claims | Refused:
        """The verified token of a call, or why there is none."""
        realm = call.environment
        if not shown.authorization:
            return verdicts.unauthenticated(realm, MISSING)
        if len(shown.authorization) > 1:
            return verdicts.bad_request("There is more than one Authorization field")
        scheme, _, token = shown.authorization[0].partition(b" ")
        scheme, token = scheme.lower(), token.strip()
        if scheme not in (b"bearer", b"dpop") or not token:
            return verdicts.unauthenticated(realm, MISSING)
        if len(token) > MAX_TOKEN or not token.isascii():
            return verdicts.unauthenticated(realm, "the access token is malformed", error="invalid_token")
        text, now = token.decode("ascii"), self._now()
        try:
            found = self._tokens.cached(text, realm, now.timestamp()) or await self._tokens.verify(text, realm, now)
        except TokenRefused as refused:
            detail = str(refused).replace('"', "'").replace("\\", "/")
            return verdicts.unauthenticated(realm, detail, error="invalid_token", expired="expired" in detail)
        if found.key_thumbprint or scheme == b"dpop":
            return self._bound(call, shown, found, scheme, text, now) or found
        return found

    def _bound(
        self, call: Call, shown: Fields, found: Claims, scheme: bytes, token: str, now: datetime
    ) -> Refused | None:
        """A token bound to a key needs a fresh proof of that key for this very request."""

        def refuse(detail: str, error: str = "invalid_token") -> Refused:
            return verdicts.unauthenticated(call.environment, detail, error=error, scheme="DPoP")

        if scheme != b"dpop" or not found.key_thumbprint:
            bound = "bound to a key: send it as Authorization: DPoP" if found.key_thumbprint else "not bound to a key"
            return refuse(f"the access token is {bound}")
        if len(shown.dpop) != 1 or not shown.dpop[0].isascii():
            return refuse("send exactly one DPoP field", "invalid_dpop_proof")
        url = self._public_url + call.raw_path.decode("latin-1")
        try:
            proof = check(shown.dpop[0].decode("ascii"), method=call.method, url=url, now=now, access_token=token)
        except OAuthFault as fault:
            return refuse(fault.description.replace('"', "'"), "invalid_dpop_proof")
        if proof.thumbprint != found.key_thumbprint:
            return refuse("the DPoP proof is of another key", "invalid_dpop_proof")
        if not self._proofs.first_use(proof, now):
            return refuse("the DPoP proof was used before", "invalid_dpop_proof")
        return None

    def place(self, access: Access, peer: str, shown: Fields) -> Refused | None:
        """Refuse a call from an address or with a certificate that the App's rules do not name."""
        if not access.networks and not access.certificates:
            return None
        seen = callers.caller(peer, shown.forwarded_for, shown.certificate, self._trusted)
        if access.networks and not callers.within(callers.parse(seen.address), callers.networks(access.networks)):
            return verdicts.forbidden(
                "address-not-allowed", "The address is not allowed", "This App may not call from this address"
            )
        if access.certificates and seen.certificate not in access.certificates:
            return verdicts.forbidden(
                "certificate-not-allowed",
                "The client certificate is not allowed",
                "This App must call with its registered TLS client certificate",
            )
        return None
