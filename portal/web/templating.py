"""The Jinja environment: each room's `templates/` folder under the room's name, the language helpers, icons inlined."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

import portal
from portal.web import i18n
from portal.web.navigation import Navigation
from portal.web.problems import explanation, headline
from portal.web.static import Assets
from portal.web.visit import current

MIRRORED = frozenset(
    {"arrow-left", "arrow-right", "chevron-left", "chevron-right", "log-in", "log-out", "send", "external-link"}
)


def icon_function(icons: dict[str, str]) -> object:
    """`icon(name, label="")`: the inlined SVG; without a label it is decoration."""

    def icon(name: str, label: str = "", kind: str = "") -> Markup:
        body = Markup(icons.get(name, ""))  # noqa: S704 -- the packages' own files, copied at set-up
        classes = " ".join(filter(None, ("icon", "icon-mirrored" if name in MIRRORED else "", kind)))
        role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
        return Markup(
            '<svg class="{}" {} viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" '
            'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" focusable="false">{}</svg>'
        ).format(classes, role, body)

    return icon


def template_folders() -> dict[str, FileSystemLoader]:
    """Loader of each room that has pages, by room name."""
    root = Path(portal.__file__).parent
    return {folder.parent.name: FileSystemLoader(folder) for folder in sorted(root.glob("*/templates"))}


def environment(assets: Assets, navigation: Navigation) -> Environment:
    """The environment; a name that a template misspells is an error, not an empty string."""
    made = Environment(
        loader=PrefixLoader(template_folders()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {
        "t": i18n.t,
        "lang": i18n.lang,
        "url": i18n.url,
        "docs": i18n.docs,
        "visit": current,
        "assets": assets,
        "navigation": navigation,
        "icon": icon_function(assets.icons),
    }
    made.filters |= {
        "digits": i18n.digits,
        "number": i18n.number,
        "rials": i18n.rials,
        "percent": i18n.percent,
        "date": i18n.date,
        "when": i18n.when,
        "ltr": i18n.ltr,
        "bdi": i18n.bdi,
        "headline": headline,
        "explanation": explanation,
    }
    return made
