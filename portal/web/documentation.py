"""The built documentation, served from memory under /docs/.

The generator writes small inline scripts; instead of allowing every inline script, each page's policy names the SHA-256 of its own
(CSP Level 3), computed once when the page is first read.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>(.*?)</script>", re.DOTALL)
NOT_BUILT = "The documentation is not built yet: run `make docs`. / مستندات هنوز ساخته نشده است.".encode()


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is sent."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes


def policy(body: bytes) -> str:
    """Content security policy of one HTML page. Styles stay open: the generator sets style attributes."""
    hashes = {base64.b64encode(hashlib.sha256(script).digest()).decode() for script in INLINE_SCRIPT.findall(body)}
    scripts = " ".join(["'self'", *(f"'sha256-{value}'" for value in sorted(hashes))])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class Documentation:
    """Files of `folder` by path. A file changed on disk is read anew; nothing outside the folder is ever read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._known: dict[str, tuple[int, Page]] = {}

    def find(self, path: str) -> Page | None:
        """The page of `path` (below /docs), or None."""
        file = (self._folder / path.lstrip("/")).resolve()
        if not file.is_relative_to(self._folder):
            return None
        if file.is_dir():
            file /= "index.html"
        try:
            changed = file.stat().st_mtime_ns
        except OSError:
            return None
        known = self._known.get(path)
        if known is None or known[0] != changed:
            known = self._known[path] = (changed, self._read(file))
        return known[1]

    def _read(self, file: Path) -> Page:
        body = file.read_bytes()
        etag = b'"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        html = kind == "text/html"
        headers = [
            (b"content-type", f"{kind}; charset=utf-8".encode() if kind.startswith("text/") else kind.encode()),
            (b"cache-control", b"no-cache"),
            (b"etag", etag),
        ]
        if html:
            headers.append((b"content-security-policy", policy(body).encode()))
        return Page(body, tuple(headers), etag)

    def is_folder(self, path: str) -> bool:
        """Whether `path` names a folder, so that it must end with a slash for its relative links to work."""
        folder = (self._folder / path.lstrip("/")).resolve()
        return folder.is_relative_to(self._folder) and folder.is_dir()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: GET and HEAD below the mount."""
        # Litestar hands a mounted application a path that ends with a slash; the raw one says what was asked for.
        whole = scope["raw_path"].split(b"?")[0].decode("latin-1") if scope.get("raw_path") else scope["path"]
        path = whole[len("/docs") :] if whole.startswith("/docs") else whole
        if scope.get("method") not in ("GET", "HEAD"):
            await _send(scope, send, 405, [(b"allow", b"GET, HEAD")], b"")
            return
        if not path.endswith("/") and self.is_folder(path):
            await _send(scope, send, 308, [(b"location", f"/docs{path}/".encode())], b"")
            return
        page = self.find(path)
        if page is None:
            lost = self.find("/en/404.html" if path.startswith("/en/") else "/404.html")
            body, headers = (
                (lost.body, list(lost.headers))
                if lost
                else (NOT_BUILT, [(b"content-type", b"text/plain; charset=utf-8")])
            )
            await _send(scope, send, 404, headers, body)
            return
        asked = dict(scope["headers"]).get(b"if-none-match", b"")
        if page.etag in asked:
            await _send(scope, send, 304, [(b"etag", page.etag)], b"")
            return
        await _send(scope, send, 200, list(page.headers), page.body)

    def route(self) -> ASGIRouteHandler:
        """The mount under /docs."""
        return asgi("/docs", is_mount=True, copy_scope=False)(self.__call__)


async def _send(scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    sent = b"" if scope.get("method") == "HEAD" else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})
