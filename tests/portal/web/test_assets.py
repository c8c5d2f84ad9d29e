"""Copying the browser's packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portal.web import assets


@pytest.fixture
def modules() -> Path:
    found = Path(assets.__file__).parents[2] / "node_modules"
    if not found.is_dir():
        pytest.skip("npm ci has not run")
    return found


def test_names_change_with_content_and_nothing_points_elsewhere(modules: Path) -> None:
    css = (assets.VENDOR / "fonts.css").read_text("utf-8")
    assert "url(/static/vendor/vazirmatn-arabic-wght-normal." in css and "http" not in css and ".woff)" not in css
    manifest = json.loads((assets.VENDOR / "manifest.json").read_text("utf-8"))
    assert manifest["htmx.js"] == assets.hashed(modules / "htmx.org" / "dist" / "htmx.min.js")
    assert {path.suffix for path in (assets.VENDOR / "licences").iterdir()} == {".txt"}


def test_icons_are_bodies_without_their_frame(modules: Path) -> None:
    bodies = assets.icon_bodies(modules)
    assert set(bodies) == set(assets.ICONS)
    assert all("<svg" not in body and "script" not in body for body in bodies.values())
