"""A fault plan: what goes wrong, on which route, when and how often. Pure: read from JSON, matched against a request.

Kinds: `status` (an error instead of the answer), `latency`, `timeout` (the write takes effect, the answer does not come in time),
`truncated` (half the body), `burst` (429 with Retry-After), `expired-token` (401) and `down` (503).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, get_args

from sandbox.kernel.clock import micros

Kind = Literal["status", "latency", "timeout", "truncated", "burst", "expired-token", "down"]
KINDS: Final = get_args(Kind)
MAX_FAULTS: Final = 50
MAX_SECONDS: Final = 120.0
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "*")
_COUNTS: Final = ("status", "left", "skip", "seen")


@dataclass(frozen=True, slots=True)
class Fault:
    """One plan. `route` is a glob over the path below the base (`Appointment/*`, `*/$dispense`); `left` -1 means always.

    `probability` is the share of matching requests it happens to, spread evenly: 0.25 is exactly every fourth one. `skip` lets
    that many pass first; `starts` and `ends` are instants of the Tenant's clock. `seen` is the server's own count.
    """

    id: str
    kind: Kind
    route: str = "*"
    method: str = "*"
    status: int = 500
    seconds: float = 0.0
    left: int = -1
    skip: int = 0
    probability: float = 1.0
    starts: str = ""
    ends: str = ""
    seen: int = 0

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def matches(self, method: str, path: str, now: int) -> bool:
        """Whether a request at `now` (microseconds, the Tenant's time) is meant, counters apart."""
        if self.left == 0 or self.method not in {"*", "GET" if method == "HEAD" else method}:
            return False
        if (self.starts and now < _stamp(self.starts)) or (self.ends and now >= _stamp(self.ends)):
            return False
        return _glob(self.route).fullmatch(path) is not None

    def step(self) -> tuple[Fault, bool]:
        """The plan after one more matching request, and whether the fault happens to that request."""
        if self.left == 0:
            return self, False
        if self.skip:
            return replace(self, skip=self.skip - 1), False
        if self.probability < 1:
            stepped = replace(self, seen=self.seen + 1)
            if int((self.seen + 1) * self.probability + 1e-9) == int(self.seen * self.probability + 1e-9):
                return stepped, False
        else:
            stepped = self
        return replace(stepped, left=self.left - 1 if self.left > 0 else self.left), True


class BadFaultError(ValueError):
    """A plan that cannot be followed; the message says what is wrong, `field` where: `faults[2].seconds`."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def _stamp(text: str) -> int:
    return micros(datetime.fromisoformat(text))


@lru_cache(maxsize=1024)
def _glob(route: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in route.strip("/").split("*")))


def fault_of(raw: object, number: int) -> Fault:
    """A plan from JSON. Raises `BadFaultError`."""
    if not isinstance(raw, Mapping):
        raise BadFaultError("each fault is an object")
    unknown = set(raw) - set(Fault.__slots__)
    if unknown:
        name = sorted(map(str, unknown))[0]
        raise BadFaultError(f"unknown field {name!r}: a fault has {', '.join(Fault.__slots__)}", name)
    if raw.get("kind") not in KINDS:
        raise BadFaultError(f"kind is one of {', '.join(KINDS)}, not {raw.get('kind')!r}", "kind")
    fault = Fault(**({"id": f"fault-{number}"} | dict(raw)))
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    for name in ("id", "route", "method", "starts", "ends"):
        text = getattr(fault, name)
        if not isinstance(text, str) or len(text) > 200 or (name in {"id", "route"} and not text):
            raise BadFaultError(f"{name} is a text of at most 200 characters", name)
    if fault.method not in METHODS:
        raise BadFaultError(f"method is one of {', '.join(METHODS)}, not {fault.method!r}", "method")
    for name in _COUNTS:
        count = getattr(fault, name)
        if not isinstance(count, int) or isinstance(count, bool) or count > 1_000_000_000:
            raise BadFaultError(f"{name} is a whole number", name)
    if not 400 <= fault.status <= 599:
        raise BadFaultError("status is an error status, 400 to 599", "status")
    if fault.left < -1:
        raise BadFaultError("left is -1 (always) or how many times the fault still happens", "left")
    if fault.skip < 0 or fault.seen < 0:
        raise BadFaultError("skip is how many matching requests pass first, 0 or more", "skip")
    _check_shares(fault)
    for name in ("starts", "ends"):
        _check_instant(name, getattr(fault, name))


def _check_shares(fault: Fault) -> None:
    for name, low, high in (("seconds", 0.0, MAX_SECONDS), ("probability", 0.0, 1.0)):
        value = getattr(fault, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise BadFaultError(f"{name} is a number from {low:g} to {high:g}", name)
    if fault.probability == 0:
        raise BadFaultError("probability is more than 0: a fault that never happens is no plan", "probability")


def _check_instant(name: str, text: str) -> None:
    try:
        if text and datetime.fromisoformat(text).tzinfo is None:
            raise ValueError("no zone")
    except ValueError as error:
        raise BadFaultError(
            f"{name} is an instant with a zone, such as 2026-12-01T08:00:00Z, not {text!r}", name
        ) from error


def checked(raw: object) -> list[Fault]:
    """Plans as a developer sends them. Raises `BadFaultError`."""
    if not isinstance(raw, list) or len(raw) > MAX_FAULTS:
        raise BadFaultError(f"faults are a list of at most {MAX_FAULTS}", "faults")
    plans = []
    for number, one in enumerate(raw):
        try:
            plans.append(fault_of(one, number + 1))
        except BadFaultError as error:
            where = f"faults[{number}]" + (f".{error.field}" if error.field else "")
            raise BadFaultError(f"fault {number + 1}: {error}", where) from error
    if len({plan.id for plan in plans}) < len(plans):
        raise BadFaultError("each fault has an id of its own", "faults")
    return plans
