"""OAuth errors as RFC 6749 section 5.2 shapes them."""

from __future__ import annotations


class OAuthFault(Exception):
    """An error answer: `error` is a registered code, `description` plain ASCII written here, never an echo of the request."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error, self.description, self.status, self.headers = error, description, status, headers or {}

    @property
    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}


def invalid_request(description: str) -> OAuthFault:
    return OAuthFault("invalid_request", description)


def invalid_client(description: str = "client authentication failed") -> OAuthFault:
    """401 with a challenge, as RFC 6749 section 5.2 asks where the Authorization header was used, and HTTP everywhere else."""
    return OAuthFault("invalid_client", description, status=401, headers={"www-authenticate": 'Basic realm="oauth"'})


def invalid_grant(description: str) -> OAuthFault:
    return OAuthFault("invalid_grant", description)


def invalid_scope(description: str) -> OAuthFault:
    return OAuthFault("invalid_scope", description)


def invalid_token(description: str) -> OAuthFault:
    """RFC 6750 section 3.1."""
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return OAuthFault("invalid_token", description, status=401, headers={"www-authenticate": challenge})


def token_missing() -> OAuthFault:
    """RFC 6750 section 3: who shows nothing is told the scheme, not an error."""
    challenge = {"www-authenticate": 'Bearer realm="oauth"'}
    return OAuthFault("invalid_token", "an access token is needed", status=401, headers=challenge)
