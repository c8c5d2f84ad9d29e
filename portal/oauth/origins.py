"""Web origins that may read what an endpoint answers: those of the App's redirect URIs; in the sandbox also the loopback.

Tokens travel in a field, never in a cookie, so an origin grants nothing by itself; a developer's own machine may therefore see every
answer of the sandbox, errors above all (SMART App Launch 2.2 §2.0.7).
"""

from __future__ import annotations

import re

from portal.oauth.clients import ClientRecord

_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")
EXPOSED = "Retry-After, WWW-Authenticate, DPoP-Nonce, X-Request-Id"


def is_loopback(origin: str) -> bool:
    """Whether pages of `origin` live on the reader's own machine."""
    return _LOOPBACK.fullmatch(origin) is not None


def fields(origin: str, environment: str, client: ClientRecord | None) -> dict[str, str]:
    """Header fields that let pages of `origin` read an answer to `client`; none when they may not."""
    local = environment == "sandbox" and is_loopback(origin)
    if not origin or not (local or (client is not None and origin in client.origins)):
        return {}
    return {"access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED, "vary": "Origin"}
