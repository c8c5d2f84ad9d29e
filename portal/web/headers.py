"""Response headers that every answer carries: request id, content security policy, and their company."""

from __future__ import annotations

import re
import secrets

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# The documentation generator writes small inline scripts and styles of its own; no form and no session is served there.
DOCS_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id(scope: Scope) -> str:
    """The id of this request: the caller's own `X-Request-Id` when well-formed, else a new one; the same on every call."""
    state = scope["state"]
    if "request_id" not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        state["request_id"] = given if WELL_FORMED_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
    value: str = state["request_id"]
    return value


async def add_headers(message: Message, scope: Scope) -> None:
    """`before_send` hook; a header that a handler has set itself stays."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    path = scope["path"]
    headers.setdefault("X-Request-Id", request_id(scope))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    if path.startswith("/static/"):
        return
    if (headers.get("content-type") or "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", DOCS_POLICY if path.startswith("/docs") else POLICY)
        headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if not path.startswith("/docs"):
        headers.setdefault("Cache-Control", "no-store")
    if scope["litestar_app"].state["shell"].secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
