"""E-prescription (نسخهٔ الکترونیک): draft, check, sign, issue with a prescription code, renew, cancel.

A prescription is a RequestGroup whose actions are MedicationRequests; a `workflow-state` tag holds its exact state
and the FHIR statuses follow. http://hl7.org/fhir/R4/requestgroup.html, http://hl7.org/fhir/R4/medicationrequest.html
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from sandbox.fhir.outcomes import ConflictError, Issue, Text, UnprocessableError
from sandbox.kernel.ids import new_id
from sandbox.workflows.codes import (
    PRESCRIPTION_CODE,
    REQUEST_KEY,
    Resource,
    identifier_of,
    set_state_tag,
    state_tag,
)
from sandbox.workflows.drug_catalogue import catalogue
from sandbox.workflows.patient_facts import known_of
from sandbox.workflows.prescription_checks import Finding, Item, check, daily_doses
from sandbox.workflows.records import Records, copy, id_of, need, pointer, ref, stamp
from sandbox.workflows.task_machine import CLOCK_ONLY, Machine, arrow, states

VALID_FOR: Final = timedelta(days=30)
MACHINE: Final = Machine(
    name="prescription",
    subject="RequestGroup",
    initial=frozenset({"draft"}),
    states=states(
        ("draft", "پیش‌نویس"),
        ("signed", "امضاشده"),
        ("issued", "صادرشده"),
        ("partially-dispensed", "تحویل ناقص"),
        ("dispensed", "تحویل کامل"),
        final=(("cancelled", "لغوشده"), ("expired", "منقضی")),
    ),
    transitions=(
        arrow("sign", "draft", "signed", effect="Provenance with the signature; overridden findings are recorded"),
        arrow("withdraw", "signed", "draft", effect="the signature is void"),
        arrow("issue", "signed", "issued", effect="a prescription code; MedicationRequests active"),
        arrow(
            "cancel", "draft issued partially-dispensed", "cancelled", effect="MedicationRequests cancelled or stopped"
        ),
        arrow("reserve", "issued", "issued", effect="no other pharmacy may dispense for 30 minutes"),
        arrow("reserve", "partially-dispensed", "partially-dispensed", effect="as above, for what is left"),
        arrow("dispense-part", "issued partially-dispensed", "partially-dispensed", effect="MedicationDispense"),
        arrow("dispense-rest", "issued partially-dispensed", "dispensed", effect="MedicationDispense; all completed"),
        arrow("take-back", "partially-dispensed dispensed", "issued", effect="all that was dispensed came back"),
        arrow("take-back-part", "partially-dispensed dispensed", "partially-dispensed", effect="some of it came back"),
        arrow("expire", "issued", "expired", who=CLOCK_ONLY, effect="MedicationRequests stopped"),
    ),
)
_WAYS = "draft active on-hold unknown"
ITEM: Final = Machine(
    name="medication-request",
    subject="MedicationRequest",
    initial=frozenset({"draft", "active", "on-hold", "unknown"}),
    states=states(
        ("draft", "پیش‌نویس"),
        ("active", "فعال"),
        ("on-hold", "معلق"),
        ("unknown", "نامعلوم"),
        final=(
            ("completed", "کامل"),
            ("stopped", "متوقف"),
            ("cancelled", "لغوشده"),
            ("entered-in-error", "ثبت نادرست"),
        ),
    ),
    transitions=(
        arrow("activate", "draft on-hold unknown", "active"),
        arrow("hold", "draft active unknown", "on-hold"),
        arrow("complete", "active on-hold unknown", "completed"),
        arrow("stop", "active on-hold unknown", "stopped"),
        arrow("cancel", _WAYS, "cancelled"),
        arrow("retract", _WAYS, "entered-in-error"),
    ),
)
_GROUP_STATUS: Final = {
    "draft": "draft",
    "signed": "on-hold",
    "issued": "active",
    "partially-dispensed": "active",
    "dispensed": "completed",
    "cancelled": "revoked",
    "expired": "revoked",
}
_ITEM_STATUS: Final = {
    "draft": "draft",
    "signed": "on-hold",
    "issued": "active",
    "cancelled": "cancelled",
    "expired": "stopped",
}


def is_one(group: Resource) -> bool:
    """Whether a RequestGroup is a prescription of this Workflow."""
    return MACHINE.knows(state_tag(group))


async def items_of(records: Records, group: Resource) -> list[Resource]:
    """The MedicationRequests of a prescription, in order."""
    found = []
    for action in group.get("action", ()):
        rid = id_of(str(action.get("resource", {}).get("reference", "")), "MedicationRequest")
        item = await records.find_one("MedicationRequest", rid) if rid else None
        if item is not None:
            found.append(copy(item))
    return found


async def earlier(records: Records, kind: str, key: str) -> Resource | None:
    """What the same request key made before, so that a retry doubles nothing."""
    if not key:
        return None
    found = await records.search(kind, identifier=f"{REQUEST_KEY}|{key}")
    return found[0] if found else None


def keyed(resource: Resource, key: str) -> Resource:
    if not key:
        return resource
    return resource | {"identifier": [*resource.get("identifier", ()), {"system": REQUEST_KEY, "value": key}]}


async def draft(
    records: Records, *, patient: str, prescriber: str, items: Sequence[Resource], key: str = ""
) -> Resource:
    """A new prescription. Each item: medication (CodeableConcept), quantity, dosage, repeats, days, substitution."""
    repeated = await earlier(records, "RequestGroup", key)
    if repeated is not None:
        return repeated
    await need(records, patient, "Patient", where="patient")
    await need(records, prescriber, "Practitioner", where="prescriber")
    if not items:
        raise UnprocessableError(
            Text("A prescription needs at least one item.", "نسخه دست‌کم یک قلم می‌خواهد."), expression=("item",)
        )
    group_id = new_id()
    requests = [await records.save(_request(records, item, patient, prescriber, group_id)) for item in items]
    group: Resource = {
        "resourceType": "RequestGroup",
        "id": group_id,
        "intent": "order",
        "subject": pointer(patient),
        "author": pointer(prescriber),
        "authoredOn": stamp(records.now),
        "action": [{"resource": pointer(ref(item))} for item in requests],
    }
    return await _enter(records, keyed(group, key), "draft")


def _request(records: Records, item: Resource, patient: str, prescriber: str, group: str) -> Resource:
    supply: Resource = {"quantity": {"value": item["quantity"]}, "numberOfRepeatsAllowed": item.get("repeats", 0)}
    if item.get("days"):
        supply["expectedSupplyDuration"] = {
            "value": item["days"],
            "unit": "d",
            "system": "http://unitsofmeasure.org",
            "code": "d",
        }
    request: Resource = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": item["medication"],
        "subject": pointer(patient),
        "requester": pointer(prescriber),
        "authoredOn": stamp(records.now),
        "supportingInformation": [pointer(f"RequestGroup/{group}")],
        "dispenseRequest": supply,
        "substitution": {"allowedBoolean": item.get("substitution", True)},
    }
    if item.get("dosage"):
        request["dosageInstruction"] = [item["dosage"]]
    return request


async def _enter(records: Records, group: Resource, state: str) -> Resource:
    """Write a prescription in `state`, its items following."""
    set_state_tag(group, state)
    group["status"] = _GROUP_STATUS[state]
    started = state == "cancelled" and await dispensed_any(records, group)
    for item in await items_of(records, group) if state in _ITEM_STATUS else []:
        status = "stopped" if started and item["status"] == "active" else _ITEM_STATUS[state]
        if item["status"] != status and item["status"] not in {"completed", "stopped", "cancelled"}:
            await records.save(item | {"status": status})
    saved = await records.save(group)
    records.tell(f"prescription-{state}", saved, {"code": identifier_of(saved, PRESCRIPTION_CODE)})
    return saved


async def dispensed_any(records: Records, group: Resource) -> bool:
    """Whether anything of a prescription has been handed over."""
    for item in await items_of(records, group):
        if await records.search("MedicationDispense", prescription=ref(item), status="completed"):
            return True
    return False


def _fire(records: Records, group: Resource, verb: str) -> str:
    if not is_one(group):
        raise UnprocessableError(
            Text(f"{ref(group)} is no prescription of this service.", f"«{ref(group)}» نسخهٔ این سامانه نیست.")
        )
    return MACHINE.fire(verb, state_tag(group), who=records.actor, now=records.now, subject=ref(group))


async def findings(records: Records, group: Resource) -> list[Finding]:
    """All checks over a prescription as it stands."""
    requests = await items_of(records, group)
    items = [_item(request, n) for n, request in enumerate(requests)]
    known = await known_of(records, group["subject"]["reference"], apart=frozenset(map(ref, requests)))
    return check(items, known, catalogue())


def _item(request: Resource, index: int) -> Item:
    medication = request.get("medicationCodeableConcept", {})
    drug = catalogue().find(medication)
    text = medication.get("text") or next((c.get("code", "") for c in medication.get("coding", ())), "")
    quantity = float(request.get("dispenseRequest", {}).get("quantity", {}).get("value", 0))
    return Item(drug, text, daily_doses(request.get("dosageInstruction", ())), quantity, index)


async def sign(records: Records, group: Resource, *, signer: str, override: str = "") -> Resource:
    """Sign a draft; blocking findings need an `override` reason. Signing again what the signer signed changes nothing."""
    group = copy(group)
    if state_tag(group) in {"signed", "issued"} and await _signed_by(records, group, signer):
        return group
    state = _fire(records, group, "sign")
    await need(records, signer, "Practitioner", where="signer")
    blocking = [f for f in await findings(records, group) if f.blocking]
    if blocking and not override:
        raise _blocked(blocking)
    await records.save(await _provenance(records, group, signer, blocking, override))
    return await _enter(records, group, state)


def _blocked(blocking: Sequence[Finding]) -> ConflictError:
    first = Text(
        "The checks found what blocks the signature: change the items, or sign with an override reason.",
        "بررسی نسخه مانع امضاست: اقلام را اصلاح کنید یا با ذکر دلیل (override) امضا کنید.",
    )
    issues = [Issue("error", "business-rule", Text(f.text, f.fa), rule=f.kind) for f in blocking]
    return ConflictError(first, code="business-rule", issues=issues)


async def _signed_by(records: Records, group: Resource, signer: str) -> bool:
    found = await records.search("Provenance", target=ref(group))
    return any(p["agent"][0]["who"]["reference"] == signer for p in found if p.get("signature"))


async def _provenance(
    records: Records, group: Resource, signer: str, blocking: Sequence[Finding], override: str
) -> Resource:
    """Who signed what: the digest stands in for the qualified signature that production asks for."""
    items = await items_of(records, group)
    digest = hashlib.sha256(orjson.dumps([group, *items], option=orjson.OPT_SORT_KEYS)).digest()
    provenance: Resource = {
        "resourceType": "Provenance",
        "target": [pointer(ref(group)), *(pointer(ref(item)) for item in items)],
        "recorded": stamp(records.now),
        "agent": [{"who": pointer(signer)}],
        "signature": [
            {
                "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}],
                "when": stamp(records.now),
                "who": pointer(signer),
                "sigFormat": "application/octet-stream",
                "data": base64.b64encode(digest).decode(),
            }
        ],
    }
    if blocking:
        text = "; ".join(f.text for f in blocking)
        provenance["reason"] = [{"text": f"Override: {override}. Findings: {text}"}]
    return provenance


async def withdraw(records: Records, group: Resource) -> Resource:
    """Back to a draft: the signature is void."""
    group = copy(group)
    state = _fire(records, group, "withdraw")
    for provenance in await records.search("Provenance", target=ref(group)):
        if provenance.get("signature"):
            kept = {name: value for name, value in copy(provenance).items() if name != "signature"}
            await records.save(kept | {"activity": {"text": "signature withdrawn"}})
    return await _enter(records, group, state)


async def issue(records: Records, group: Resource) -> Resource:
    """Make a signed prescription dispensable under a code of eight digits; issuing again changes nothing."""
    group = copy(group)
    if state_tag(group) in {"issued", "partially-dispensed", "dispensed"}:
        return group
    state = _fire(records, group, "issue")
    code = {"system": PRESCRIPTION_CODE, "value": await _free_code(records)}
    group["identifier"] = [*group.get("identifier", ()), code]
    group["groupIdentifier"] = code
    for item in await items_of(records, group):
        await records.save(item | {"groupIdentifier": code, "status": "active"})
    await records.later(records.now + VALID_FOR, "prescription.expire", ref(group), {})
    return await _enter(records, group, state)


async def _free_code(records: Records) -> str:
    while True:
        code = f"{10_000_000 + int(new_id().replace('-', ''), 16) % 90_000_000}"
        if not await records.search("RequestGroup", identifier=f"{PRESCRIPTION_CODE}|{code}"):
            return code


async def cancel(records: Records, group: Resource, *, reason: str) -> Resource:
    """Cancel a draft, an issued prescription, or what is left of a partly dispensed one."""
    group = copy(group)
    state = _fire(records, group, "cancel")
    group["note"] = [*group.get("note", ()), {"text": reason, "time": stamp(records.now)}]
    return await _enter(records, group, state)


async def renew(records: Records, group: Resource, *, key: str = "") -> Resource:
    """A new draft with the same items, for the same patient and prescriber."""
    repeated = await earlier(records, "RequestGroup", key)
    if repeated is not None:
        return repeated
    if state_tag(group) not in {"issued", "partially-dispensed", "dispensed", "expired"}:
        raise MACHINE.refusal("renew", state_tag(group), subject=ref(group), who=records.actor)
    items: list[Resource] = []
    for request in await items_of(records, group):
        supply = request.get("dispenseRequest", {})
        item: dict[str, Any] = {
            "medication": request["medicationCodeableConcept"],
            "quantity": supply["quantity"]["value"],
            "repeats": supply.get("numberOfRepeatsAllowed", 0),
            "days": supply.get("expectedSupplyDuration", {}).get("value"),
            "dosage": next(iter(request.get("dosageInstruction", ())), None),
            "substitution": request.get("substitution", {}).get("allowedBoolean", True),
        }
        items.append(item)
    subject, author = group["subject"]["reference"], group["author"]["reference"]
    fresh = copy(await draft(records, patient=subject, prescriber=author, items=items, key=key))
    return await records.save(fresh | {"replaces": [pointer(ref(group))]})


async def expire(records: Records, group: Resource, _data: dict[str, str]) -> Resource | None:
    """Timer: a prescription nobody began to dispense runs out."""
    if state_tag(group) != "issued":
        return None
    group = copy(group)
    return await _enter(records, group, _fire(records, group, "expire"))


async def guard_item(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a MedicationRequest: one of a prescription changes while it is a draft, and by verbs."""
    group = await group_of_item(records, before) if before is not None else None
    if group is None and await group_of_item(records, new) is not None:
        raise UnprocessableError(
            Text(
                "Items enter a prescription with RequestGroup/$prescribe.",
                "قلم نسخه با RequestGroup/$prescribe ثبت می‌شود.",
            ),
            code="business-rule",
            expression=("MedicationRequest.supportingInformation",),
        )
    if before is None:
        return
    ITEM.follow(before["status"], str(new.get("status", "")), who=records.actor, now=records.now, subject=ref(before))
    if group is None:
        return
    fixed = ("status", "subject", "groupIdentifier", "supportingInformation")
    content = (
        "medicationCodeableConcept",
        "medicationReference",
        "dispenseRequest",
        "dosageInstruction",
        "substitution",
    )
    kept = fixed if state_tag(group) == "draft" else (*fixed, *content)
    changed = [name for name in kept if before.get(name) != new.get(name)]
    if changed:
        raise ConflictError(
            Text(
                f"{ref(before)} is an item of {ref(group)} in state '{state_tag(group)}': {', '.join(changed)} may not change.",
                f"«{ref(before)}» قلمی از «{ref(group)}» در وضعیت «{state_tag(group)}» است و {'، '.join(changed)} تغییر نمی‌کند.",
            ),
            code="business-rule",
            expression=tuple(f"MedicationRequest.{name}" for name in changed),
        )


async def group_of_item(records: Records, item: Resource) -> Resource | None:
    """The prescription a MedicationRequest belongs to; None when it stands alone."""
    for info in item.get("supportingInformation", ()):
        rid = id_of(str(info.get("reference", "")), "RequestGroup")
        group = await records.find_one("RequestGroup", rid) if rid else None
        if group is not None and is_one(group):
            return group
    return None


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a prescription's RequestGroup: its state moves by verbs only."""
    if before is None or not is_one(before):
        raise UnprocessableError(
            Text(
                "A prescription is made with RequestGroup/$prescribe.", "نسخه با RequestGroup/$prescribe ساخته می‌شود."
            ),
            code="business-rule",
        )
    kept = ("status", "action", "subject", "author", "identifier", "groupIdentifier", "intent")
    set_state_tag(new, state_tag(before))
    changed = [name for name in kept if before.get(name) != new.get(name)]
    if changed:
        verbs = ", ".join(f"${verb}" for verb in MACHINE.allowed(state_tag(before), records.actor))
        raise ConflictError(
            Text(
                f"{ref(before)} is a prescription in state '{state_tag(before)}': {', '.join(changed)} change only "
                f"through its operations. Allowed now: {verbs or 'none, the state is final'}.",
                f"«{ref(before)}» نسخه‌ای در وضعیت «{state_tag(before)}» است و {'، '.join(changed)} تنها با عملیات آن "
                f"تغییر می‌کند. عملیات مجاز: {verbs or 'هیچ؛ وضعیت پایانی است'}.",
            ),
            code="business-rule",
            expression=tuple(f"RequestGroup.{name}" for name in changed),
        )


async def deleting(_records: Records, group: Resource) -> None:
    """Only a draft can be deleted; what was signed stays on record."""
    _refuse_deletion(group, group)


async def deleting_item(records: Records, item: Resource) -> None:
    """As `deleting`, for one item."""
    group = await group_of_item(records, item)
    if group is not None:
        _refuse_deletion(item, group)


def _refuse_deletion(what: Resource, group: Resource) -> None:
    if state_tag(group) != "draft":
        raise ConflictError(
            Text(
                f"{ref(what)} belongs to a prescription in state '{state_tag(group)}' and stays on record: "
                f"RequestGroup/{group['id']}/$cancel is the way to end it.",
                f"«{ref(what)}» از نسخه‌ای در وضعیت «{state_tag(group)}» است و در پرونده می‌ماند؛ برای پایان دادن، "
                f"RequestGroup/{group['id']}/$cancel را فراخوانید.",
            ),
            code="business-rule",
        )
