"""Which verb a timer runs, and which guard judges a plain write: two tables, one line per Workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sandbox.workflows import (
    booking,
    claims,
    consent,
    dispensing,
    laboratory,
    notifications,
    prescription,
    referral,
    teleconsultation,
)
from sandbox.workflows.codes import Resource
from sandbox.workflows.records import Records

Timer = Callable[[Records, Resource, dict[str, Any]], Awaitable[Resource | None]]
Judge = Callable[[Records, Resource | None, Resource], Awaitable[None]]
Deleting = Callable[[Records, Resource], Awaitable[None]]

TIMERS: dict[str, Timer] = {
    "booking.expire": booking.expire,
    "booking.remind": booking.remind,
    "teleconsultation.time-out": teleconsultation.time_out,
    "prescription.expire": prescription.expire,
    "referral.time-out": referral.time_out,
    "consent.lapse": consent.lapse,
}


def _always(_resource: Resource) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guard:
    """Judges plain writes of the resources that `applies` to.

    `follows` writes what must come after an accepted one; `deletes` refuses a deletion, or cleans up after it.
    """

    judge: Judge
    applies: Callable[[Resource], bool] = _always
    follows: Judge | None = None
    deletes: Deleting | None = None


GUARDS: dict[str, tuple[Guard, ...]] = {
    "Appointment": (Guard(booking.guard, follows=booking.followed, deletes=booking.deleting),),
    "Task": (
        Guard(teleconsultation.guard, teleconsultation.is_one, teleconsultation.followed),
        Guard(referral.guard, referral.is_one, referral.followed),
    ),
    "RequestGroup": (Guard(prescription.guard, prescription.is_one, deletes=prescription.deleting),),
    "MedicationRequest": (Guard(prescription.guard_item, deletes=prescription.deleting_item),),
    "MedicationDispense": (Guard(dispensing.guard, follows=dispensing.followed, deletes=dispensing.deleting),),
    "DiagnosticReport": (Guard(laboratory.guard, follows=laboratory.followed),),
    "ServiceRequest": (Guard(laboratory.guard_order, laboratory.is_one),),
    "Claim": (Guard(claims.guard, follows=claims.followed),),
    "Subscription": (Guard(notifications.guard, follows=notifications.followed),),
    "Consent": (Guard(consent.guard, follows=consent.followed),),
}


def guards_of(kind: str, before: Resource | None, new: Resource | None) -> list[Guard]:
    """Guards of a write; a deletion (`new` None) is judged by what was there."""
    seen = [resource for resource in (before, new) if resource is not None]
    return [guard for guard in GUARDS.get(kind, ()) if any(guard.applies(one) for one in seen)]
