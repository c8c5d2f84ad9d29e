"""Sequence diagrams of the documentation: a few lines of text in a fenced `sequence` block become an inline SVG at build time.

The lines, one statement each:

    participant App as برنامه      a lane, in the order of appearance; its name on the page is what follows `as`
    App -> Exchange: GET Slot      a call
    Exchange --> App: 200          an answer or an event
    note Exchange: Slot is held    a remark on a lane

Right-to-left pages are mirrored: the first lane stands at the right. No script is needed, and colours follow the page's theme.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from itertools import pairwise

BLOCK = re.compile(r"^```sequence\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PARTICIPANT = re.compile(r"participant (\w+)(?: as (.+))?")
_MESSAGE = re.compile(r"(\w+) (-->|->) (\w+): (.+)")
_NOTE = re.compile(r"note (\w+): (.+)")
_CODE = re.compile(r"[A-Za-z$][\w$/\[\]{}|=&?.,:* ()+…-]*", re.ASCII)
_HTTP = re.compile(r"\$|/|^(GET|POST|PUT|PATCH|DELETE) |^\d{3}$")

ROW, TOP, HEAD, PAD = 44, 16, 34, 14
LETTER = 7.3  # pixels, a generous mean of both fonts at 13 px


@dataclass(frozen=True, slots=True)
class Step:
    """A message from lane `source` to lane `target`, or a note where both are the same lane."""

    source: str
    target: str
    text: str
    dashed: bool = False
    note: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Lanes by key with their names on the page, and the steps from top to bottom."""

    lanes: dict[str, str]
    steps: tuple[Step, ...]


def parse(text: str) -> Sequence:
    """Read the lines of a block; raises `ValueError` naming a line that says nothing known or speaks of an unknown lane."""
    lanes: dict[str, str] = {}
    steps: list[Step] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if found := _PARTICIPANT.fullmatch(line):
            lanes[found[1]] = found[2] or found[1]
            continue
        if found := _NOTE.fullmatch(line):
            steps.append(Step(found[1], found[1], found[2], note=True))
        elif found := _MESSAGE.fullmatch(line):
            steps.append(Step(found[1], found[3], found[4], dashed=found[2] == "-->"))
        else:
            raise ValueError(f"not a line of a sequence: {line!r}")
        if unknown := {steps[-1].source, steps[-1].target} - set(lanes):
            raise ValueError(f"no participant {sorted(unknown)[0]!r}: {line!r}")
    if not lanes or not steps:
        raise ValueError("a sequence needs participants and steps")
    return Sequence(lanes, tuple(steps))


def _width(text: str) -> float:
    return len(text) * LETTER + 2 * PAD


def _positions(sequence: Sequence) -> tuple[dict[str, float], float]:
    """x of each lane and the whole width: neighbours stand as far apart as the texts between them need."""
    keys = list(sequence.lanes)
    place = {key: number for number, key in enumerate(keys)}
    half = {key: _width(name) / 2 for key, name in sequence.lanes.items()}
    reach = dict(half)
    gaps = [half[one] + half[two] + PAD for one, two in pairwise(keys)]
    for step in sequence.steps:
        first, last = sorted((place[step.source], place[step.target]))
        if first == last:
            reach[step.source] = max(reach[step.source], _width(step.text) / 2)
        for between in range(first, last):
            gaps[between] = max(gaps[between], (_width(step.text) + PAD) / (last - first))
    at = max(reach[keys[0]], 1.0) + 1
    found = {}
    for key, gap in zip(keys, [*gaps, 0.0], strict=True):
        found[key] = at
        at += gap
    # A remark on an inner lane may be wider than the way to the edge.
    left = min(found[key] - reach[key] for key in keys) - 1
    found = {key: x - left for key, x in found.items()}
    return found, max(found[key] + reach[key] for key in keys) + 1


def _text(x: float, y: float, text: str, *, lane: bool = False) -> str:
    code = bool(_CODE.fullmatch(text) and _HTTP.search(text)) and not lane
    kind = ' class="lane"' if lane else ' class="code"' if code else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{kind}>{escape(text)}</text>'


def _arrow(start: float, end: float, y: float, *, dashed: bool) -> str:
    tip = 7 if end > start else -7
    kind = ' class="dashed"' if dashed else ""
    head = f'<path class="tip" d="M{end:.0f} {y:.0f}l{-tip} -4v8z"/>'
    return f'<path d="M{start:.0f} {y:.0f}H{end - tip:.0f}"{kind}/>{head}'


def svg(sequence: Sequence, *, title: str, mirrored: bool = False) -> str:
    """The diagram as one SVG element, without blank lines, named by `title` and described step by step for screen readers."""
    at, width = _positions(sequence)
    if mirrored:
        at = {key: width - x for key, x in at.items()}
    height = TOP + HEAD + ROW * len(sequence.steps) + ROW / 2
    parts: list[str] = []
    for key, name in sequence.lanes.items():
        half = _width(name) / 2
        parts.append(f'<path class="life" d="M{at[key]:.0f} {TOP + HEAD}V{height:.0f}"/>')
        parts.append(f'<rect x="{at[key] - half:.0f}" y="{TOP}" width="{2 * half:.0f}" height="{HEAD}" rx="6"/>')
        parts.append(_text(at[key], TOP + HEAD / 2 + 5, name, lane=True))
    said = []
    for number, step in enumerate(sequence.steps):
        y = TOP + HEAD + ROW * (number + 1) - 6
        start, end = at[step.source], at[step.target]
        if step.note:
            half = _width(step.text) / 2
            box = f'x="{start - half:.0f}" y="{y - 22:.0f}" width="{2 * half:.0f}" height="28"'
            parts.append(f'<rect class="note" {box} rx="4"/>')
            parts.append(_text(start, y - 3, step.text))
            said.append(f"{sequence.lanes[step.source]}: {step.text}")
        else:
            parts.append(_arrow(start, end, y, dashed=step.dashed))
            parts.append(_text((start + end) / 2, y - 8, step.text))
            said.append(f"{sequence.lanes[step.source]}, {sequence.lanes[step.target]}: {step.text}")
    description = escape("; ".join(said))
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{description}</desc>{''.join(parts)}</svg>"
    )


def rendered(markdown: str, *, title: str, mirrored: bool) -> str:
    """The page with every sequence block as a figure; raises `ValueError` for a block that cannot be read."""

    def figure(found: re.Match[str]) -> str:
        diagram = svg(parse(found[1]), title=title, mirrored=mirrored)
        return f'<figure class="sequence" tabindex="0">{diagram}</figure>'

    return BLOCK.sub(figure, markdown)
