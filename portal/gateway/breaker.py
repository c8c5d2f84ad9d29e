"""Circuit breaker: an Upstream that keeps failing is left alone, then tried by one call at a time.

Consecutive failures count, so the volume of traffic does not matter; each opening lasts twice as long as the one before, up to a minute.
"""

from __future__ import annotations

from collections.abc import Callable

from portal.gateway.gcra import SECOND
from portal.gateway.upstream import UpstreamClosed

FAILURES = 5
SHORTEST = 1 * SECOND
LONGEST = 60 * SECOND


class Breaker:
    """State of one Upstream. `ticks` is a monotonic clock in nanoseconds."""

    def __init__(self, ticks: Callable[[], int], *, failures: int = FAILURES) -> None:
        self._ticks = ticks
        self._limit = failures
        self._failed = 0
        self._pause = SHORTEST
        self._open_until = 0
        self._probing = False

    @property
    def state(self) -> str:
        """`closed` (calls pass), `open` (none does) or `half-open` (one does, to see)."""
        if self._failed < self._limit:
            return "closed"
        return "open" if self._ticks() < self._open_until else "half-open"

    def enter(self) -> bool:
        """Ask to make a call; True when it is the probe of a half-open circuit. Raises `UpstreamClosed`."""
        if self._failed < self._limit:
            return False
        left = self._open_until - self._ticks()
        if left > 0 or self._probing:
            raise UpstreamClosed(max(1, -(-left // SECOND)))
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The Upstream answered."""
        self._failed, self._pause, self._probing = 0, SHORTEST, False

    def failed(self) -> None:
        """The Upstream did not answer, or said that it cannot."""
        was_probe, self._probing = self._probing, False
        self._failed += 1
        if self._failed >= self._limit:
            if was_probe:
                self._pause = min(2 * self._pause, LONGEST)
            self._open_until = self._ticks() + self._pause

    def gave_up(self) -> None:
        """The client went away before the Upstream showed how it is."""
        self._probing = False
