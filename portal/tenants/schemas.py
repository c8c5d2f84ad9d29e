"""Wire shapes of the Tenant controls. Unknown fields are refused; instants are ISO 8601 with a zone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["status", "latency", "timeout", "truncated", "burst", "expired-token", "down"]
Mode = Literal["accept", "decline", "delay", "partial", "silent", "error"]


class Reset(msgspec.Struct, forbid_unknown_fields=True):
    """`base`: another population to stand on; empty keeps the present one."""

    base: str = ""


class NewSnapshot(msgspec.Struct, forbid_unknown_fields=True):
    """A name for the snapshot."""

    name: str = ""


class Restore(msgspec.Struct, forbid_unknown_fields=True):
    """Which snapshot to bring back."""

    snapshot: str


class Fork(msgspec.Struct, forbid_unknown_fields=True):
    """`into`: another App of the same Company, whose sandbox data a copy of this App's replaces."""

    into: str


class ClockMove(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One of: seconds to move forward, an instant ahead to move to, or how far to run ahead of real time from now on."""

    advance_seconds: int | None = None
    to: str | None = None
    offset_seconds: int | None = None


class ClockInfo(msgspec.Struct, omit_defaults=True):
    """The Tenant's time, how far it runs ahead, and after a move how many timers ran on the way."""

    now: str
    offset_seconds: int | None = None
    timers: int | None = None


class FaultPlan(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong. `route` is a glob below the FHIR base, `left` -1 is always, `probability` spreads evenly."""

    kind: Kind
    id: str = ""
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


class FaultPlans(msgspec.Struct, forbid_unknown_fields=True):
    """All plans in the order they are tried."""

    faults: list[FaultPlan]


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """How a Counterpart answers, after how many seconds of the Tenant's clock, with options of its own."""

    mode: Mode
    after: int = 0
    options: dict[str, Any] = {}


class Scripts(msgspec.Struct, forbid_unknown_fields=True):
    """Scripts by Counterpart: clinic, doctor, specialist, laboratory, pharmacy, insurer, citizen."""

    counterparts: dict[str, Script]


class EventInfo(msgspec.Struct):
    """One thing that happened in the Tenant."""

    number: int
    at: str
    topic: str
    subject: str
    actor: str
    data: dict[str, Any]


class Timeline(msgspec.Struct):
    """Newest first; `next` goes into `before` for the page that follows."""

    events: list[EventInfo]
    next: int | None


class DeliveryInfo(msgspec.Struct):
    """A notification with its attempts."""

    id: str
    subscription: str
    event_number: int
    topic: str
    endpoint: str
    state: str
    attempts: list[dict[str, Any]]
    next_attempt: str | None


class Deliveries(msgspec.Struct):
    """The newest notifications, and every topic there is."""

    deliveries: list[DeliveryInfo]
    topics: dict[str, str]


class SnapshotInfo(msgspec.Struct):
    """A kept state."""

    snapshot: str
    tenant: str = ""
    base: str = ""
    name: str = ""
    created: str = ""


class BaseInfo(msgspec.Struct):
    """A population that a Tenant can stand on."""

    name: str
    title: str
