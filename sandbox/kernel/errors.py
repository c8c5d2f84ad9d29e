"""What a driver may refuse; the exchange answers them as OperationOutcomes like every other error."""

from __future__ import annotations


class StoreError(Exception):
    """Base of what the store itself refuses."""


class TooCostlyError(StoreError):
    """A read passed its time limit of `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the query needs more than {seconds:g} seconds")
        self.seconds = seconds


class BusyError(StoreError):
    """The store cannot be reached or its write lock not be had in time; trying again may help."""


class FullError(StoreError):
    """The disk has no room; nothing of the write was kept."""
