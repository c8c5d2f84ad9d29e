"""Telling how far a run has come."""

import sys
import time
from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (people written, people in all)."""


def silent(done: int, total: int) -> None:
    """No progress bar."""


def bar() -> Progress:
    """A progress bar on standard error, redrawn five times a second at most."""
    started = time.monotonic()
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 0.2 and done < total:
            return
        last = now
        filled = int(30 * done / total)
        rate = done / max(now - started, 1e-9)
        line = f"\r[{'#' * filled}{'.' * (30 - filled)}] {done:,}/{total:,} people  {rate:,.0f}/s "
        sys.stderr.write(line + ("\n" if done >= total else ""))
        sys.stderr.flush()

    return show
