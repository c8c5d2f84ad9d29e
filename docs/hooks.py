"""What the build adds to both sites: the shared style sheet and the fonts, taken from their installed packages."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import sequences  # noqa: E402 -- found through the path set above
from generated import PAGES, content  # noqa: E402 -- likewise

FONTS = {
    "vazirmatn-arabic.woff2": "@fontsource-variable/vazirmatn/files/vazirmatn-arabic-wght-normal.woff2",
    "vazirmatn-latin.woff2": "@fontsource-variable/vazirmatn/files/vazirmatn-latin-wght-normal.woff2",
    "jetbrains-mono.woff2": "@fontsource/jetbrains-mono/files/jetbrains-mono-latin-400-normal.woff2",
}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add assets that live outside docs_dir."""
    language = str(config.theme["language"])
    for page in PAGES:
        files.append(File.generated(config, page, content=content(page, language)))
    files.append(File.generated(config, "assets/gozar.css", abs_src_path=str(ROOT / "docs" / "style.css")))
    files.append(File.generated(config, "assets/logo.svg", abs_src_path=str(ROOT / "docs" / "logo.svg")))
    for name, source in FONTS.items():
        path = ROOT / "node_modules" / source
        if path.exists():
            files.append(File.generated(config, f"assets/fonts/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the sequence diagrams of a page; a block that cannot be read ends the build and names its page."""
    try:
        return sequences.rendered(markdown, title=page.title or "", mirrored=config.theme["language"] == "fa")
    except ValueError as error:
        raise SystemExit(f"{page.file.src_uri}: {error}") from error
