"""Build the documentation: one mkdocs-material site per language, from one base configuration.

The nav is not written by hand: SECTIONS give the order of folders, each page's first heading gives its title, and the English
pages decide which pages exist, so a page without its Persian twin fails the build.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
SITES = {"fa": ROOT / "mkdocs.yml", "en": ROOT / "docs" / "mkdocs.en.yml"}
FIRST = ("index.md", "quickstart.md")
LAST = ("architecture.md", "glossary.md", "contributing.md", "changelog.md")
SECTIONS = {
    "tutorials": {"fa": "آموزش", "en": "Tutorials"},
    "guides": {"fa": "راهنما", "en": "Guides"},
    "workflows": {"fa": "سامانه‌ها", "en": "Services"},
    "reference": {"fa": "مرجع", "en": "Reference"},
    "decisions": {"fa": "تصمیم‌ها", "en": "Decisions"},
}
ABOUT = {"fa": "دربارهٔ پروژه", "en": "About"}
ENGLISH_ONLY = ("decisions/",)


def pages(language: str) -> list[str]:
    """Paths of the Markdown pages of `language`, relative to its folder."""
    from generated import PAGES

    folder = ROOT / "docs" / language
    return sorted({*(path.relative_to(folder).as_posix() for path in folder.rglob("*.md")), *PAGES})


def missing_twins() -> list[str]:
    """Pages that exist in one language only, decision records excepted (they are written in English)."""
    found = {language: {p for p in pages(language) if not p.startswith(ENGLISH_ONLY)} for language in SITES}
    return sorted(
        f"{language}/{page}"
        for language, other in (("en", "fa"), ("fa", "en"))
        for page in found[other] - found[language]
    )


def nav(language: str) -> list[Any]:
    """The site's nav: the first pages, then a section per folder, then the pages about the project."""
    known = pages(language)
    made: list[Any] = [page for page in FIRST if page in known]
    for folder, title in SECTIONS.items():
        inside = [page for page in known if page.startswith(f"{folder}/")]
        inside.sort(key=lambda page: (not page.endswith("/index.md"), page))
        if inside:
            made.append({title[language]: inside})
    last = [page for page in LAST if page in known]
    if last:
        made.append({ABOUT[language]: last})
    return made


def build() -> None:
    """Write both sites under build/docs; raises on any warning (strict)."""
    os.environ["NO_MKDOCS_2_WARNING"] = os.environ["DISABLE_MKDOCS_2_WARNING"] = "true"
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    if missing := missing_twins():
        raise SystemExit("documentation pages without their twin: " + ", ".join(missing))
    shutil.rmtree(ROOT / "build" / "docs", ignore_errors=True)
    for language, file in SITES.items():
        config = load_config(str(file), nav=nav(language))
        config.plugins.on_startup(command="build", dirty=False)
        build_site(config)
        sys.stdout.write(f"  {language}: {len(pages(language))} pages\n")


if __name__ == "__main__":
    build()
