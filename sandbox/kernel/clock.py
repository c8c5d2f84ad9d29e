"""Time as an argument: services take `now`, edges take a Clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Where an edge asks what time it is."""

    def now(self) -> datetime:
        """Current instant, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that moves only when told: for tests and replays."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        self._now += step


def micros(moment: datetime) -> int:
    """Microseconds since 1970 (UTC), the unit of every stored instant."""
    return (moment - EPOCH) // _MICROSECOND


def moment_of(stamp: int) -> datetime:
    """The instant `stamp` microseconds after 1970, UTC."""
    return EPOCH + timedelta(microseconds=stamp)


def instant(stamp: int) -> str:
    """FHIR `instant` of a stored stamp, to the millisecond, in UTC (http://hl7.org/fhir/R4/datatypes.html#instant)."""
    return moment_of(stamp).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp // 1000 % 1000:03d}Z"
