"""Own stylesheet and script as one file each, named by their content, and what `portal.web.assets` has copied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from litestar import Router, get
from litestar.datastructures import CacheControlHeader
from litestar.handlers import HTTPRouteHandler
from litestar.static_files import create_static_files_router

STATIC = Path(__file__).parent / "static"
FOREVER = CacheControlHeader(max_age=31_536_000, public=True, immutable=True)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Bytes served under a name that changes with them."""

    body: bytes
    media_type: str
    path: str


def bundle(parts: list[Path], kind: str, media_type: str) -> Bundle:
    """One file out of `parts` that exist, in their order."""
    body = b"\n".join(part.read_bytes() for part in parts if part.exists())
    return Bundle(body, media_type, f"/static/app.{hashlib.sha256(body).hexdigest()[:10]}.{kind}")


@dataclass(frozen=True, slots=True)
class Assets:
    """Everything a page refers to. Before `npm ci` has run there are no fonts, icons and htmx, and pages work without."""

    css: Bundle
    js: Bundle
    htmx: str
    icons: dict[str, str]

    def router(self) -> Router:
        """Routes under /static."""
        return Router(path="/", route_handlers=[serve(self.css), serve(self.js), vendor_files()])


def serve(item: Bundle) -> HTTPRouteHandler:
    """A handler that answers with `item`."""

    @get(item.path, sync_to_thread=False, include_in_schema=False, cache_control=FOREVER, media_type=item.media_type)
    def own_file() -> bytes:
        return item.body

    return own_file


def vendor_files() -> Router:
    """The copied packages' files."""
    folder = STATIC / "vendor"
    folder.mkdir(exist_ok=True)
    return create_static_files_router(path="/static/vendor", directories=[folder], cache_control=FOREVER)


def load_assets() -> Assets:
    """Read the stylesheet, the script and the vendor manifest."""
    vendor = STATIC / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text("utf-8")) if (vendor / "manifest.json").exists() else {}
    icons = json.loads((vendor / "icons.json").read_text("utf-8")) if (vendor / "icons.json").exists() else {}
    sheets = [vendor / "fonts.css", *sorted((STATIC / "css").glob("*.css"))]
    return Assets(
        css=bundle(sheets, "css", "text/css"),
        js=bundle(sorted((STATIC / "js").glob("*.js")), "js", "text/javascript"),
        htmx=f"/static/vendor/{manifest['htmx.js']}" if "htmx.js" in manifest else "",
        icons=icons,
    )
