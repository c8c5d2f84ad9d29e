"""The pharmacy dispenses issued prescriptions (silent unless told: the App may be the pharmacy); the insurer judges claims.

Pharmacy options: `pharmacy` (its Organization), `share` (of each quantity, for `partial`; 0.5 by default). Insurer options:
`share` (of the benefit, for `partial`), `reason` (for `decline`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.counterparts.scripts import Mode, Part, Script
from sandbox.workflows import claims, dispensing
from sandbox.workflows.codes import Resource, state_tag
from sandbox.workflows.dispensing import Line
from sandbox.workflows.prescription import items_of
from sandbox.workflows.records import Records, pointer, ref, stamp

PHARMACY: Final = "Organization/persona-pharmacy"


async def _pharmacy(records: Records, group: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    if state_tag(group) != "issued":
        return
    pharmacy = str(options.get("pharmacy", PHARMACY))
    items = await items_of(records, group)
    if mode in {Mode.DECLINE, Mode.ERROR}:
        for item in items:
            await records.save(_declined(records, item, pharmacy, mode))
        return
    share = float(options.get("share", 0.5)) if mode is Mode.PARTIAL else 1.0
    lines = [Line(ref(i), max(1.0, float(int(i["dispenseRequest"]["quantity"]["value"] * share)))) for i in items]
    await dispensing.dispense(records, group, pharmacy=pharmacy, lines=lines, key=f"counterpart-{group['id']}")


def _declined(records: Records, item: Resource, pharmacy: str, mode: Mode) -> Resource:
    why = "موجود نیست / out of stock" if mode is Mode.DECLINE else "خطای سامانهٔ داروخانه / the pharmacy's system failed"
    return {
        "resourceType": "MedicationDispense",
        "status": "declined",
        "statusReasonCodeableConcept": {"text": why},
        "medicationCodeableConcept": item["medicationCodeableConcept"],
        "subject": item["subject"],
        "performer": [{"actor": pointer(pharmacy)}],
        "authorizingPrescription": [pointer(ref(item))],
        "whenPrepared": stamp(records.now),
    }


async def _insurer(records: Records, claim: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    if claim.get("status") != "active":
        return
    if mode is Mode.ERROR:
        await claims.fail(records, claim, reason="خطای سامانهٔ بیمه‌گر / the insurer's system failed")
        return
    decline = str(options.get("reason", "Declined by the insurer. رد شد.")) if mode is Mode.DECLINE else ""
    part = float(options.get("share", 0.5)) if mode is Mode.PARTIAL else 1.0
    await claims.adjudicate(records, claim, decline=decline, part=part)


PARTS: Final = (
    Part("pharmacy", "prescription-issued", _pharmacy, Script(Mode.SILENT)),
    Part("insurer", "claim-submitted", _insurer),
)
