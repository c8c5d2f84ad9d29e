"""Charts drawn on the server as SVG: they print, need no script, and each stands beside a table of the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

GUTTER = 56.0
"""Room for the figures of the grid lines, at the end side of the language."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the units of the view box."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: int
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Geometry of a bar chart: `ticks` are (y, value) of the horizontal grid lines, from `start` to `end`; figures stand at `label_x`."""

    width: int
    height: int
    bars: list[Bar]
    ticks: list[tuple[float, int]]
    start: float
    end: float
    label_x: float


def nice_top(value: int) -> int:
    """The smallest of 1, 2, 5 times a power of ten that is not below `value`."""
    if value <= 1:
        return 1
    power = int(10 ** int(log10(value)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def bar_chart(points: Sequence[tuple[str, int]], *, rtl: bool, width: int = 720, height: int = 200) -> Chart:
    """Bars for `(label, value)` in reading order; the first is at the start side of the language."""
    top = nice_top(max((value for _, value in points), default=0))
    start, end = (GUTTER, float(width)) if rtl else (0.0, width - GUTTER)
    slot = (end - start) / max(1, len(points))
    bars = []
    for index, (label, value) in enumerate(points):
        place = len(points) - 1 - index if rtl else index
        tall = height * value / top
        thick = min(slot * 0.68, 40)
        x = round(start + place * slot + (slot - thick) / 2, 2)
        bars.append(Bar(x, round(height - tall, 2), round(thick, 2), round(tall, 2), label, value))
    # A top of 1, 2 or 5 times a power of ten falls into round steps.
    step = max(1, top // (4 if str(top)[0] == "2" else 5))
    ticks = [(round(height - height * value / top, 2), value) for value in range(0, top + 1, step)]
    return Chart(width, height, bars, ticks, start, end, GUTTER - 8 if rtl else width - GUTTER + 8)
