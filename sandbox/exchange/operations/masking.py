"""De-identified `$export`: who gets it, what it may ask, and the mask its lines go through.

A token with `system/Population.r` is given masked data by `$export`, whatever else it may read. Citizens who withhold everything
from the App, and those whose standing consent on record is to opt out, are not in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from sandbox.exchange.calls import Call
from sandbox.fhir.outcomes import BadRequestError, ForbiddenError, Text
from sandbox.kernel.clock import moment_of
from sandbox.population.rules import SMALLEST, Crowd, Mask, person_of
from sandbox.population.shapes import TYPES
from sandbox.security.access import Limit
from sandbox.storage import secrets
from sandbox.storage.encoding import dump, load

_ASKED: Final = frozenset({"_type", "_since", "_until", "_outputFormat"})
_SECRET: Final = "population"  # noqa: S105  the name it is stored under
_WHOLE: Final = (Limit(),)
Rows = Callable[[str], AsyncIterator[dict[str, Any]]]
"""Resources of one type in an export, as they stand in it."""


def asked(call: Call) -> bool:
    """Whether this caller is given de-identified data."""
    return call.access.population


def admit(call: Call, parameters: set[str], members: tuple[str, ...] | None) -> Call:
    """The call with what a masked export may read. Raises `BadRequestError` and `ForbiddenError`.

    What could single one person out is refused: filters, named patients, and groups of fewer than `SMALLEST`.
    """
    refused = sorted(parameters - _ASKED)
    if refused:
        raise BadRequestError(
            Text(
                f"A de-identified export takes _type, _since and _until only, not {refused[0]}.",
                f"برون‌بری بی‌نام تنها ‎_type، ‎_since و ‎_until می‌پذیرد، نه {refused[0]}.",
            ),
            code="not-supported",
        )
    if members is not None and len(set(members)) < SMALLEST:
        raise ForbiddenError(
            Text(
                f"The group has fewer than {SMALLEST} members: its data would name them.",
                f"گروه کمتر از {SMALLEST} عضو دارد و داده‌اش آنان را می‌شناساند.",
            ),
            code="suppressed",
        )
    return limited(call)


def limited(call: Call) -> Call:
    """The call reading the types that can be masked, less what consent keeps from the App, and nothing else."""
    grants = {(rtype, "r"): _WHOLE for rtype in TYPES}
    return replace(call, access=replace(call.access, grants=grants))


async def mask(call: Call, rtype: str, at: int, rows: Rows) -> Callable[[bytes], bytes]:
    """Turns stored bodies of `rtype` into lines of the file; a body that may not leave becomes nothing."""
    today = moment_of(at).date()
    store = call.services.store
    crowd = await _crowd(rows, today) if rtype == "Patient" else None
    secret = await secrets.get(store.database, _SECRET)
    masked = Mask(
        secret,
        call.access.app or call.access.client,
        today=today,
        crowd=crowd,
        left_out=await _left_out(call, rows, today),
    )

    def line(body: bytes) -> bytes:
        made = masked(load(body))
        return b"" if made is None else dump(made) + b"\n"

    return line


async def _crowd(rows: Rows, today: date) -> Crowd:
    crowd = Crowd()
    async for patient in rows("Patient"):
        crowd.add(person_of(patient, today))
    return crowd


async def _left_out(call: Call, rows: Rows, today: date) -> frozenset[str]:
    """Patients whose every type is withheld from the App, and those who opted out."""
    apart = [
        frozenset(a.patient for limit in call.access.limits(rtype, "r") for a in limit.apart if not a.labels)
        for rtype in TYPES
        if rtype != "Patient"
    ]
    withheld = frozenset.intersection(*apart)
    out = set()
    async for consent in rows("Consent"):
        if _opts_out(consent, today):
            out.add(str(consent.get("patient", {}).get("reference", "")).removeprefix("Patient/"))
    return withheld | out


def _opts_out(consent: dict[str, Any], today: date) -> bool:
    """Whether a Consent denies everything to everybody: no App, care centre or category is singled out in it."""
    provision = consent.get("provision", {})
    end = str(provision.get("period", {}).get("end", ""))
    general = provision.get("type") == "deny" and not provision.get("actor") and not provision.get("class")
    return consent.get("status") == "active" and general and (not end or end[:10] >= today.isoformat())
