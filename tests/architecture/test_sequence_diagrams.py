"""Sequence diagrams of the documentation are drawn at build time, without scripts, for both directions of writing."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = "participant App\nparticipant Exchange as تبادل\nApp -> Exchange: GET Slot?a=1&b=2\nExchange --> App: 200\nnote Exchange: held"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sequences", ROOT / "docs" / "sequences.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["sequences"] = made
    spec.loader.exec_module(made)
    return made


sequences = _module()


def _lanes(svg: str) -> dict[str, float]:
    return {name: float(x) for x, name in re.findall(r'<text x="(\d+)" y="\d+" class="lane">([^<]+)</text>', svg)}


def test_the_first_lane_stands_where_reading_begins() -> None:
    sequence = sequences.parse(TEXT)
    left = _lanes(sequences.svg(sequence, title="t"))
    right = _lanes(sequences.svg(sequence, title="t", mirrored=True))
    assert left["App"] < left["تبادل"]
    assert right["App"] > right["تبادل"]


def test_what_is_drawn_is_also_said_and_escaped() -> None:
    svg = sequences.svg(sequences.parse(TEXT), title="A < B")
    assert "<title>A &lt; B</title>" in svg
    assert "<desc>App, تبادل: GET Slot?a=1&amp;b=2; تبادل, App: 200; تبادل: held</desc>" in svg


def test_nothing_is_drawn_outside_the_picture() -> None:
    wide = TEXT + "\nnote Exchange: " + "a very long remark on the last lane " * 3
    svg = sequences.svg(sequences.parse(wide), title="t", mirrored=True)
    width = float(re.search(r'viewBox="0 0 (\d+)', svg)[1])  # type: ignore[index]
    boxes = [(float(x), float(w)) for x, w in re.findall(r'<rect[^>]* x="(-?\d+)" y="\d+" width="(\d+)"', svg)]
    assert boxes
    assert all(x >= 0 and x + w <= width + 1 for x, w in boxes)


@pytest.mark.parametrize(
    "text",
    ["App -> Exchange: hello", "participant App\nApp => App: x", "participant App", "", "participant App\nsay hello"],
)
def test_a_block_that_cannot_be_read_ends_the_build(text: str) -> None:
    with pytest.raises(ValueError, match=r"participant|line|needs"):
        sequences.parse(text)


def test_every_workflow_page_that_walks_has_its_diagram_in_both_languages() -> None:
    walking = [
        page
        for page in (ROOT / "docs/en/workflows").glob("*.md")
        if page.name != "index.md" and "docs/examples/walk.py" in page.read_text("utf-8")
    ]
    assert len(walking) >= 10
    for page in walking:
        for language in ("en", "fa"):
            blocks = sequences.BLOCK.findall((ROOT / "docs" / language / "workflows" / page.name).read_text("utf-8"))
            assert blocks, (language, page.name)
            for block in blocks:
                sequences.parse(block)
