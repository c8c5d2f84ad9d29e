"""Whose call is it: the access token, and where the call comes from. A token bound to a key (RFC 9449) is `proofs`' part."""

from __future__ import annotations

from datetime import datetime

from portal.gateway import verdicts
from portal.gateway.access import Access
from portal.gateway.calls import Call
from portal.gateway.fields import Fields
from portal.gateway.tokens import Claims, TokenRefused, TokenVerifier
from portal.gateway.verdicts import Refused
from portal.web import callers

MAX_TOKEN = 8192
MISSING = "send the access token as Authorization: Bearer"
MISSING_FA = "توکن دسترسی را در Authorization: Bearer بفرستید"


class Credentials:
    """Reads and checks what a call shows of itself. `trusted` are CIDR blocks of proxies whose word about the caller counts."""

    def __init__(self, tokens: TokenVerifier, *, trusted: tuple[str, ...]) -> None:
        self.tokens = tokens
        self._trusted = trusted

    async def claims(self, call: Call, shown: Fields, now: datetime) -> Claims | Refused:
        """The verified token of a call, or why there is none."""
        realm = call.environment
        if len(shown.authorization) == 1 and shown.authorization[0][:7] == b"Bearer ":
            # Nearly every call: a token seen before, told by its bytes.
            try:
                known = self.tokens.cached(shown.authorization[0][7:], realm, now.timestamp())
            except TokenRefused as refused:
                return _refused(realm, refused)
            if known is not None:
                return known
        if not shown.authorization:
            return verdicts.unauthenticated(realm, MISSING, MISSING_FA)
        if len(shown.authorization) > 1:
            return verdicts.bad_request(
                "There is more than one Authorization field", "سرآیند Authorization بیش از یک بار آمده است"
            )
        scheme, _, token = shown.authorization[0].partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            return verdicts.unauthenticated(realm, MISSING, MISSING_FA)
        if len(token) > MAX_TOKEN or not token.isascii():
            return verdicts.unauthenticated(realm, "the access token is malformed", error="invalid_token")
        try:
            return await self.tokens.verify(token.decode("ascii"), realm, now)
        except TokenRefused as refused:
            return _refused(realm, refused)

    def place(self, access: Access, peer: str, shown: Fields) -> Refused | None:
        """Refuse a call from an address or with a certificate that the App's rules do not name."""
        if not access.networks and not access.certificates:
            return None
        seen = callers.caller(peer, shown.forwarded_for, shown.certificate, self._trusted)
        if access.networks and not callers.within(callers.parse(seen.address), callers.networks(access.networks)):
            return verdicts.forbidden(
                "address-not-allowed",
                "The address is not allowed",
                "This App may not call from this address",
                "این نشانی مجاز نیست",
                "این برنامه از این نشانی اجازهٔ فراخوانی ندارد",
            )
        if access.certificates and seen.certificate not in access.certificates:
            return verdicts.forbidden(
                "certificate-not-allowed",
                "The client certificate is not allowed",
                "This App must call with its registered TLS client certificate",
                "این گواهی مجاز نیست",
                "این برنامه باید با گواهی TLS ثبت‌شدهٔ خود فراخوانی کند",
            )
        return None


def _refused(realm: str, refused: TokenRefused) -> Refused:
    detail = str(refused).replace('"', "'").replace("\\", "/")
    return verdicts.unauthenticated(realm, detail, error="invalid_token", expired="expired" in detail)
