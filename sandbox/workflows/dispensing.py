"""Pharmacy: find by national code and prescription code, reserve, dispense in full or part, substitute, return, stock-out.

Quantities are judged inside the writing transaction, and a dispense names a request key: a retry returns what the first call
made, and two racing pharmacies cannot hand out the same box. http://hl7.org/fhir/R4/medicationdispense.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.fhir.outcomes import ConflictError, NotFoundError, Text, UnprocessableError
from sandbox.workflows.codes import (
    CATEGORY,
    NATIONAL_CODE,
    PRESCRIPTION_CODE,
    RESERVED_BY,
    RESERVED_UNTIL,
    Resource,
    concept,
    extension,
    identifier_of,
    set_extension,
    set_state_tag,
    state_tag,
)
from sandbox.workflows.drug_catalogue import Drug, catalogue
from sandbox.workflows.prescription import MACHINE as PRESCRIPTION
from sandbox.workflows.prescription import earlier, group_of_item, is_one, items_of, keyed
from sandbox.workflows.records import Records, copy, id_of, need, parse_instant, pointer, ref, stamp
from sandbox.workflows.task_machine import Machine, arrow, states

RESERVE_TIME: Final = timedelta(minutes=30)
STOCK_OUT: Final = "stock-out"
_STATUS: Final = {"issued": "active", "partially-dispensed": "active", "dispensed": "completed"}
MACHINE: Final = Machine(
    name="dispensing",
    subject="MedicationDispense",
    initial=frozenset({"preparation", "in-progress", "completed", "declined"}),
    states=states(
        ("preparation", "آماده‌سازی"),
        ("in-progress", "در حال تحویل"),
        ("on-hold", "متوقف"),
        ("completed", "تحویل‌شده"),
        final=(
            ("stopped", "بازگردانده"),
            ("cancelled", "لغوشده"),
            ("declined", "تحویل نشد"),
            ("entered-in-error", "ثبت نادرست"),
        ),
    ),
    transitions=(
        arrow("begin", "preparation", "in-progress"),
        arrow("pause", "preparation in-progress", "on-hold"),
        arrow("resume", "on-hold", "in-progress"),
        arrow("hand-over", "preparation in-progress", "completed", effect="the quantity counts as dispensed"),
        arrow("cancel", "preparation in-progress on-hold", "cancelled"),
        arrow("return", "completed", "stopped", effect="the quantity is to be dispensed again"),
        arrow(
            "retract", "preparation in-progress on-hold completed", "entered-in-error", effect="as if never dispensed"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Supply:
    """How much of one MedicationRequest may still go out: `now` today, `total` over all repeats; `next` is when more may."""

    now: float
    total: float
    next: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a dispense: which order, how much, and the product handed over when it is another."""

    request: str
    quantity: float
    product: Any = None


def supply_of(request: Resource, dispensed: float, issued: datetime, now: datetime) -> Supply:
    """What is left of an order. Repeats become available one supply duration after another, counted from issue."""
    rules = request.get("dispenseRequest", {})
    each = float(rules.get("quantity", {}).get("value", 0))
    repeats = int(rules.get("numberOfRepeatsAllowed", 0))
    days = float(rules.get("expectedSupplyDuration", {}).get("value", 0))
    open_fills = repeats if not days else min(repeats, int((now - issued) / timedelta(days=days)))
    following = issued + timedelta(days=days * (open_fills + 1)) if open_fills < repeats else None
    return Supply(
        now=max(0.0, each * (1 + open_fills) - dispensed), total=each * (1 + repeats) - dispensed, next=following
    )


async def dispensed_of(records: Records, request: Resource) -> float:
    """How much of an order has been handed over and not come back."""
    done = await records.search("MedicationDispense", prescription=ref(request), status="completed")
    return sum(float(dispense.get("quantity", {}).get("value", 0)) for dispense in done)


async def find(records: Records, *, national_code: str, code: str) -> tuple[Resource, list[Resource]]:
    """The prescription and its items, by both codes; one wrong code and none at all look the same (404)."""
    for group in await records.search("RequestGroup", identifier=f"{PRESCRIPTION_CODE}|{code}"):
        patient = await records.find_one("Patient", id_of(group["subject"]["reference"], "Patient"))
        if is_one(group) and patient is not None and national_code == identifier_of(patient, NATIONAL_CODE):
            return group, await items_of(records, group)
    raise NotFoundError(
        Text(
            "No prescription matches this national code and prescription code.",
            "نسخه‌ای با این کد ملی و کد نسخه یافت نشد.",
        )
    )


async def reserve(records: Records, group: Resource, *, pharmacy: str) -> Resource:
    """Keep other pharmacies away for `RESERVE_TIME`; reserving again prolongs one's own."""
    group = copy(group)
    _fire(records, group, "reserve")
    await need(records, pharmacy, "Organization", where="pharmacy")
    _check_reservation(records, group, pharmacy)
    until = stamp(records.now + RESERVE_TIME)
    set_extension(group, RESERVED_BY, "Reference", pointer(pharmacy))
    set_extension(group, RESERVED_UNTIL, "Instant", until)
    saved = await records.save(group)
    records.tell("prescription-reserved", saved, {"pharmacy": pharmacy, "until": until})
    return saved


def _fire(records: Records, group: Resource, verb: str) -> str:
    return PRESCRIPTION.fire(verb, state_tag(group), who=records.actor, now=records.now, subject=ref(group))


def _check_reservation(records: Records, group: Resource, pharmacy: str) -> None:
    holder = (extension(group, RESERVED_BY) or {}).get("reference", "")
    until = extension(group, RESERVED_UNTIL)
    if holder and holder != pharmacy and parse_instant(until) > records.now:
        raise ConflictError(
            Text(
                f"{ref(group)} is reserved by another pharmacy until {until}.",
                f"«{ref(group)}» تا {until} برای داروخانهٔ دیگری نگه داشته شده است.",
            ),
            code="business-rule",
        )


async def dispense(
    records: Records, group: Resource, *, pharmacy: str, lines: Sequence[Line], key: str
) -> list[Resource]:
    """Hand over; all lines or none. A repeated `key` returns the dispenses that the first call made."""
    done = await _made_by(records, key)
    if done:
        return done
    group = copy(group)
    if not lines:
        raise UnprocessableError(
            Text("A dispense needs at least one item.", "تحویل دست‌کم یک قلم می‌خواهد."), expression=("item",)
        )
    if state_tag(group) not in _STATUS or state_tag(group) == "dispensed":
        raise PRESCRIPTION.refusal("dispense", state_tag(group), subject=ref(group), who=records.actor)
    await need(records, pharmacy, "Organization", where="pharmacy")
    _check_reservation(records, group, pharmacy)
    requests = {ref(item): item for item in await items_of(records, group)}
    absent = await _stock_out(records, pharmacy)
    made = []
    for number, line in enumerate(lines):
        request = _line_request(requests, line, group)
        await check_quantity(records, request, line.quantity, group)
        body = _dispense(records, request, line, pharmacy, absent)
        made.append(await records.save(keyed(body, f"{key}/{number}" if key else "")))
    await settle(records, group)
    return made


async def _made_by(records: Records, key: str) -> list[Resource]:
    made: list[Resource] = []
    while key and (one := await earlier(records, "MedicationDispense", f"{key}/{len(made)}")):
        made.append(one)
    return made


def _line_request(requests: dict[str, Resource], line: Line, group: Resource) -> Resource:
    if line.request not in requests:
        raise UnprocessableError(
            Text(f"'{line.request}' is no item of {ref(group)}.", f"«{line.request}» از اقلام «{ref(group)}» نیست."),
            expression=("item.request",),
        )
    if line.quantity <= 0:
        raise UnprocessableError(
            Text("The quantity must be above zero.", "مقدار باید بیش از صفر باشد."), expression=("item.quantity",)
        )
    return requests[line.request]


async def check_quantity(records: Records, request: Resource, quantity: float, group: Resource) -> None:
    """Refuse more than may go out now; the message says how much that is, and from when there is more."""
    issued = await _issued_at(records, group)
    left = supply_of(request, await dispensed_of(records, request), issued, records.now)
    if quantity <= left.now:
        return
    when = f" The next repeat opens at {stamp(left.next)}." if left.next and quantity <= left.total else ""
    when_fa = f" تکرار بعدی از {stamp(left.next)} است." if left.next and quantity <= left.total else ""
    raise ConflictError(
        Text(
            f"{quantity:g} of {ref(request)} cannot be dispensed: {left.now:g} may be handed over now.{when}",
            f"تحویل {quantity:g} عدد از «{ref(request)}» ممکن نیست؛ اکنون {left.now:g} عدد قابل تحویل است.{when_fa}",
        ),
        code="business-rule",
        expression=("MedicationDispense.quantity",),
    )


async def _issued_at(records: Records, group: Resource) -> datetime:
    for item in await records.search("Provenance", target=ref(group)):
        if item.get("signature"):
            return parse_instant(item["recorded"])
    return parse_instant(group["authoredOn"])


def _dispense(records: Records, request: Resource, line: Line, pharmacy: str, absent: set[str]) -> Resource:
    ordered = catalogue().find(request["medicationCodeableConcept"])
    product = catalogue().find(line.product) if line.product else ordered
    if product is None or ordered is None:
        raise UnprocessableError(
            Text("The product is not in the drug catalogue.", "فرآورده در فهرست دارویی نیست."),
            expression=("item.product",),
        )
    if product.code in absent:
        raise _out_of_stock(product, absent)
    if product.code != ordered.code:
        _check_substitution(request, ordered, product)
    return {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "medicationCodeableConcept": product.concept(),
        "subject": request["subject"],
        "performer": [{"actor": pointer(pharmacy)}],
        "authorizingPrescription": [pointer(ref(request))],
        "quantity": {"value": line.quantity},
        "whenHandedOver": stamp(records.now),
        "substitution": {"wasSubstituted": product.code != ordered.code},
    }


def _check_substitution(request: Resource, ordered: Drug, product: Drug) -> None:
    allowed = request.get("substitution", {}).get("allowedBoolean", True)
    if allowed and product in catalogue().substitutes(ordered):
        return
    why = "the prescriber forbids substitution" if not allowed else "it is not the same medicine in the same strength"
    why_fa = "پزشک جایگزینی را منع کرده است" if not allowed else "همان دارو با همان قدرت نیست"
    raise ConflictError(
        Text(
            f"{product.name} may not replace {ordered.name}: {why}.",
            f"{product.name_fa} جایگزین {ordered.name_fa} نمی‌شود: {why_fa}.",
        ),
        code="business-rule",
        expression=("item.product",),
    )


def _out_of_stock(product: Drug, absent: set[str]) -> ConflictError:
    others = [other for other in catalogue().substitutes(product) if other.code not in absent]
    names = ", ".join(f"{other.code} ({other.name})" for other in others) or "none"
    names_fa = "، ".join(f"{other.code} ({other.name_fa})" for other in others) or "هیچ"
    return ConflictError(
        Text(
            f"{product.name} is out of stock at this pharmacy. In stock instead: {names}.",
            f"{product.name_fa} در این داروخانه موجود نیست. جایگزین موجود: {names_fa}.",
        ),
        code="business-rule",
        rule=STOCK_OUT,
    )


async def _stock_out(records: Records, pharmacy: str) -> set[str]:
    """Codes of drugs a pharmacy has not: a List of code `stock-out` whose source is the pharmacy says so."""
    found = await records.search("List", code=f"{CATEGORY}|{STOCK_OUT}", status="current")
    return {
        str(coding.get("code"))
        for one in found
        if one.get("source", {}).get("reference") == pharmacy
        for entry in one.get("entry", ())
        for coding in entry.get("flag", {}).get("coding", ())
    }


def stock_out_list(pharmacy: str, codes: Sequence[str]) -> Resource:
    """The List that tells which drugs a pharmacy has run out of."""
    entries = []
    for code in codes:
        drug = catalogue().drugs.get(code)
        if drug is not None:
            entries.append({"flag": drug.concept(), "item": {"display": drug.name}})
    listed: Resource = {
        "resourceType": "List",
        "id": f"stock-out-{pharmacy.partition('/')[2]}",
        "status": "current",
        "mode": "working",
        "code": concept(CATEGORY, STOCK_OUT),
        "source": pointer(pharmacy),
    }
    return listed | ({"entry": entries} if entries else {})


async def settle(records: Records, group: Resource) -> Resource:
    """Bring a prescription and its items to where the dispensed quantities put them."""
    left, gone = 0.0, 0.0
    issued = await _issued_at(records, group)
    for item in await items_of(records, group):
        dispensed = await dispensed_of(records, item)
        rest = supply_of(item, dispensed, issued, records.now).total
        if rest < 0:
            raise ConflictError(
                Text(
                    f"More of {ref(item)} would be dispensed than was prescribed.",
                    f"از «{ref(item)}» بیش از مقدار تجویزشده تحویل می‌شد.",
                ),
                code="business-rule",
                expression=("MedicationDispense.quantity",),
            )
        left, gone = left + rest, gone + dispensed
        status = "completed" if rest <= 0 else "active"
        if item["status"] in {"active", "completed"} and item["status"] != status:
            await records.save(item | {"status": status})
    state = "dispensed" if left <= 0 else "partially-dispensed" if gone > 0 else "issued"
    group = copy(group)
    set_state_tag(group, state)
    group["status"] = _STATUS[state]
    for url in (RESERVED_BY, RESERVED_UNTIL):
        set_extension(group, url, "Reference", None)
    saved = await records.save(group)
    records.tell(f"prescription-{state}", saved, {"code": identifier_of(saved, PRESCRIPTION_CODE)})
    return saved


async def give_back(records: Records, dispense_: Resource, *, reason: str) -> Resource:
    """A returned dispense: its quantity may be dispensed again, unless the prescription has been cancelled since."""
    body = copy(dispense_)
    state = MACHINE.fire("return", body["status"], who=records.actor, now=records.now, subject=ref(body))
    group = await group_of(records, body)
    saved = await records.save(body | {"status": state, "statusReasonCodeableConcept": {"text": reason}})
    if group is not None and state_tag(group) in _STATUS:
        await settle(records, group)
    records.tell("dispense-returned", saved, {"reason": reason})
    return saved


async def group_of(records: Records, dispense_: Resource) -> Resource | None:
    """The prescription a MedicationDispense belongs to; None when it is not one of this service."""
    for authorised in dispense_.get("authorizingPrescription", ()):
        request = await records.find_one(
            "MedicationRequest", id_of(str(authorised.get("reference", "")), "MedicationRequest")
        )
        group = await group_of_item(records, request) if request else None
        if group is not None:
            return group
    return None


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a MedicationDispense against its prescription."""
    status = str(new.get("status", ""))
    if before is not None:
        MACHINE.follow(before["status"], status, who=records.actor, now=records.now, subject=ref(before))
        if before.get("quantity") == new.get("quantity") or before["status"] != "completed":
            return
        raise ConflictError(
            Text("The quantity of a completed dispense does not change.", "مقدار تحویلِ کامل‌شده تغییر نمی‌کند."),
            code="business-rule",
            expression=("MedicationDispense.quantity",),
        )
    if (group := await group_of(records, new)) is None:
        return
    if state_tag(group) not in {"issued", "partially-dispensed"}:
        raise PRESCRIPTION.refusal("dispense", state_tag(group), subject=ref(group), who=records.actor)
    pharmacy = next((p["actor"].get("reference", "") for p in new.get("performer", ()) if "actor" in p), "")
    _check_reservation(records, group, pharmacy)
    for item in await items_of(records, group):
        if status == "completed" and any(a.get("reference") == ref(item) for a in new["authorizingPrescription"]):
            await check_quantity(records, item, float(new.get("quantity", {}).get("value", 0)), group)


async def followed(records: Records, _before: Resource | None, saved: Resource) -> None:
    """After a plain write of a MedicationDispense: the prescription follows."""
    group = await group_of(records, saved)
    if group is not None and state_tag(group) in _STATUS:
        await settle(records, group)


async def deleting(records: Records, dispense_: Resource) -> None:
    """What was handed over on a prescription stays on record; it can be returned."""
    if await group_of(records, dispense_) is not None:
        raise ConflictError(
            Text(
                f"{ref(dispense_)} stays on record: MedicationDispense/{dispense_['id']}/$return takes it back.",
                f"«{ref(dispense_)}» در پرونده می‌ماند؛ MedicationDispense/{dispense_['id']}/$return آن را بازمی‌گرداند.",
            ),
            code="business-rule",
        )
