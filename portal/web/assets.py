"""Copy the fonts, icons and htmx that pages use from `node_modules` to `static/vendor`, under hashed names.

Run as `python -m portal.web.assets` after `npm ci`. Writes `manifest.json` (logical name -> file name), `fonts.css`, `icons.json`
and each package's licence; nothing is loaded from another host.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

VENDOR = Path(__file__).parent / "static" / "vendor"
VAZIRMATN = "@fontsource-variable/vazirmatn"
JETBRAINS = "@fontsource/jetbrains-mono"
LICENCES = {"htmx.org": "LICENSE", "lucide-static": "LICENSE", VAZIRMATN: "LICENSE", JETBRAINS: "LICENSE"}
FONT_SHEETS = (f"{VAZIRMATN}/index.css", f"{JETBRAINS}/latin-400.css", f"{JETBRAINS}/latin-600.css")
ICONS = (
    *(
        "activity",
        "app-window",
        "arrow-left",
        "arrow-right",
        "badge-check",
        "ban",
        "book-open",
        "building-2",
        "calendar-clock",
    ),
    *(
        "chart-column",
        "check",
        "chevron-down",
        "chevron-left",
        "chevron-right",
        "circle",
        "circle-alert",
        "circle-check",
    ),
    *(
        "circle-dashed",
        "circle-pause",
        "circle-play",
        "circle-x",
        "clipboard-check",
        "clock",
        "copy",
        "database",
        "download",
        "external-link",
        "eye",
        "file-text",
    ),
    *("flask-conical", "folder-heart", "gauge", "globe", "history", "hospital", "house", "inbox", "info", "key-round"),
    *(
        "languages",
        "layers",
        "link",
        "list-checks",
        "lock",
        "log-in",
        "log-out",
        "mail",
        "menu",
        "message-square",
        "microscope",
    ),
    *(
        "monitor-smartphone",
        "package",
        "printer",
        "pencil",
        "pill",
        "plug",
        "plus",
        "receipt",
        "refresh-cw",
        "rocket",
        "route",
        "scroll-text",
    ),
    *(
        "search",
        "send",
        "settings",
        "share-2",
        "shield-alert",
        "shield-check",
        "smartphone",
        "stethoscope",
        "store",
        "sun-moon",
    ),
    *(
        "test-tubes",
        "ticket",
        "trash-2",
        "triangle-alert",
        "user",
        "user-plus",
        "users",
        "video",
        "webhook",
        "x",
        "zap",
        "bell",
    ),
)


def hashed(source: Path) -> str:
    """`name.0123456789.ext`: the file's name with the first ten hex digits of its SHA-256."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:10]
    return f"{source.stem}.{digest}{source.suffix}"


def copy(source: Path) -> str:
    """Copy `source` under its hashed name; returns that name."""
    name = hashed(source)
    shutil.copyfile(source, VENDOR / name)
    return name


def font_css(modules: Path) -> str:
    """The packages' own @font-face rules, pointing at the hashed copies; woff2 only."""
    rules = []
    for sheet in FONT_SHEETS:
        path = modules / sheet

        def point(match: re.Match[str], folder: Path = path.parent) -> str:
            return f"url(/static/vendor/{copy(folder / match.group(1))})"

        css = re.sub(r",\s*url\(\./[^)]+\.woff\)\s*format\('woff'\)", "", path.read_text("utf-8"))
        rules.append(re.sub(r"url\(\./([^)]+\.woff2)\)", point, css))
    return "\n".join(rules)


def icon_bodies(modules: Path) -> dict[str, str]:
    """What lies between <svg> and </svg> of each icon, by name."""
    bodies = {}
    for name in ICONS:
        svg = (modules / "lucide-static" / "icons" / f"{name}.svg").read_text("utf-8")
        found = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
        if found is None:
            raise ValueError(f"icon {name} is not an SVG")
        bodies[name] = " ".join(found.group(1).split())
    return bodies


def build(modules: Path) -> dict[str, str]:
    """Fill `static/vendor` from `modules` and return the manifest."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    (VENDOR / "licences").mkdir(parents=True)
    for package, licence in LICENCES.items():
        flat = package.replace("/", "-").lstrip("@")
        shutil.copyfile(modules / package / licence, VENDOR / "licences" / f"{flat}.txt")
    manifest = {"htmx.js": copy(modules / "htmx.org" / "dist" / "htmx.min.js")}
    (VENDOR / "fonts.css").write_text(font_css(modules), "utf-8")
    (VENDOR / "icons.json").write_text(json.dumps(icon_bodies(modules), indent=1), "utf-8")
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    return manifest


def main() -> int:
    """Entry point; 1 when `npm ci` has not run."""
    modules = Path.cwd() / "node_modules"
    if not modules.is_dir():
        sys.stderr.write("node_modules is missing: run `npm ci --ignore-scripts` first\n")
        return 1
    build(modules)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
