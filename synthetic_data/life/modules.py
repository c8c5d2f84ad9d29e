"""The parts of a life that are code rather than story files; each has its own draws and ids, like a story."""

from functools import cache

from ..conditions.program import Onset, State, Story
from ..randomness import draws, mix64, stream_key
from .record import Life, Run

CODES = {"vaccination": "vac", "birth": "brt", "background": "bck"}


@cache
def _story(name: str) -> Story:
    return Story(name, CODES[name], name, name, Onset("triggered"), (State(name),))


@cache
def _stream(name: str) -> int:
    return stream_key(f"module.{name}")


def module_run(life: Life, name: str) -> Run:
    """The run of a module in a life."""
    return Run(life, _story(name), draws([], life.key, _stream(name)))


def one(key: int, stream: str) -> float:
    """Draw 0 of a named stream of any member: for facts that two people share, such as a birth."""
    return (mix64(key ^ _fact(stream)) >> 11) * 2.0**-53


@cache
def _fact(stream: str) -> int:
    return stream_key(f"fact.{stream}")
