"""What the gateway needs of an access token, and of whoever verifies it: `portal.oauth.tokens.AccessTokens`, or a test's twin."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from portal.oauth.tokens import TokenRefused

__all__ = ["Claims", "TokenRefused", "TokenVerifier"]


class Claims(Protocol):
    """A verified access token."""

    @property
    def environment(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def epoch(self) -> int: ...
    @property
    def jti(self) -> str: ...


class TokenVerifier(Protocol):
    """Checks signature, issuer, audience, times and revocation of a token for one Environment."""

    def cached(self, token: bytes, environment: str, timestamp: float) -> Claims | None:
        """Contents of a token verified a short while ago, or None; raises `TokenRefused` when it no longer holds."""
        ...

    async def verify(self, token: str, environment: str, now: datetime) -> Claims:
        """Contents of the token; raises `TokenRefused`."""
        ...

    def revoked(self, token: Any) -> bool:
        """Whether a token that was verified has been revoked since; its expiry does not matter."""
        ...
