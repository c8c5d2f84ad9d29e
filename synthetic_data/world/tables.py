"""Reading the package's own data files, and drawing from weighted lists."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@cache
def load(name: str) -> Any:
    """The content of `world/data/<name>.json`; every such file carries a `sources` object."""
    return json.loads(files(__package__).joinpath("data", f"{name}.json").read_text(encoding="utf-8"))


class Weighted(Generic[T]):
    """A list of items with relative weights; `pick(u)` maps a uniform in [0, 1) to an item."""

    __slots__ = ("_bounds", "items", "total")

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        self.items = list(items)
        self._bounds = list(accumulate(weights))
        self.total = self._bounds[-1] if self._bounds else 0.0
        if self.total <= 0:
            raise ValueError("a weighted list needs a positive total weight")

    def pick(self, uniform: float) -> T:
        """The item whose share of the unit interval holds `uniform`."""
        return self.items[min(bisect_right(self._bounds, uniform * self.total), len(self.items) - 1)]
