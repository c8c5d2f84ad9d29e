"""Durations in stories: `3d`, `2w`, `6m`, `1y`, a range `3d..10d`, or `~2y`: memoryless with that mean, at most five times it."""

import re
from math import log

from ..calendars import MONTH, YEAR
from ..errors import StoryFormatError
from .program import Delay

_UNITS = {"d": 1.0, "w": 7.0, "m": MONTH, "y": YEAR}
_ONE = re.compile(r"(\d+(?:\.\d+)?)([dwmy])")


def days(text: str, place: str) -> int:
    """A single duration in days."""
    match = _ONE.fullmatch(text)
    if match is None:
        raise StoryFormatError(f"{place}: {text!r} is not a duration such as 3d, 2w, 6m or 1y")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_span(text: str, place: str) -> tuple[int, int]:
    """A duration or range in days, both ends included; a bare number or range of numbers is days."""
    if re.fullmatch(r"\d+(\.\.\d+)?", text):
        low, _, high = text.partition("..")
        span = int(low), int(high or low)
    else:
        first, _, last = text.partition("..")
        span = days(first, place), days(last or first, place)
    if span[0] > span[1]:
        raise StoryFormatError(f"{place}: the range {text!r} runs backwards")
    return span


def parse_delay(text: str, place: str) -> Delay:
    """A function that draws a delay in days for a run."""
    if text.startswith("~"):
        mean = days(text[1:], place)
        return lambda run: min(5 * mean, round(-mean * log(1 - run.u())))
    low, high = parse_span(text, place)
    if low == high:
        return lambda run: low
    width = high - low + 1
    return lambda run: low + int(run.u() * width)
