"""Counting calls off the hot path: a call's record is put in memory and written in batches."""

from __future__ import annotations

from typing import Protocol

from portal.gateway.calls import Call


class Meter(Protocol):
    """Takes the record of every call, refused ones too, just before its last byte is sent."""

    def count(self, call: Call) -> None:
        """Note one call; never waits and never fails the call."""
        ...


class ListMeter:
    """Keeps the calls in a list: the twin for tests."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def count(self, call: Call) -> None:
        self.calls.append(call)
