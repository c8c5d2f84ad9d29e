"""Insurance claims: judge a Claim for dispensed drugs against Coverage and the catalogue's rules (ClaimResponse, EOB).

Amounts are rials, whole numbers. http://hl7.org/fhir/R4/claim.html, http://hl7.org/fhir/R4/claimresponse.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from sandbox.fhir.outcomes import ConflictError, Text
from sandbox.workflows.codes import Resource
from sandbox.workflows.drug_catalogue import Drug, catalogue
from sandbox.workflows.patient_facts import covers
from sandbox.workflows.records import Records, copy, id_of, need, pointer, ref, stamp
from sandbox.workflows.task_machine import Machine, arrow, states

_ADJUDICATION: Final = "http://terminology.hl7.org/CodeSystem/adjudication"
CURRENCY: Final = "IRR"
MACHINE: Final = Machine(
    name="claim",
    subject="Claim",
    initial=frozenset({"draft", "active"}),
    states=states(
        ("draft", "پیش‌نویس"),
        ("active", "ارسال‌شده"),
        final=(("cancelled", "لغوشده"), ("entered-in-error", "ثبت نادرست")),
    ),
    transitions=(
        arrow("submit", "draft", "active", effect="the insurer answers with ClaimResponse and ExplanationOfBenefit"),
        arrow("cancel", "draft active", "cancelled", effect="its ClaimResponse is cancelled too"),
        arrow("retract", "draft active", "entered-in-error"),
    ),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim line: what was asked, what the insurer pays, and why not more. All in rials."""

    sequence: int
    submitted: int
    benefit: int
    reason: str
    fa: str


def judge(items: Iterable[Any], *, covered: bool, authorised: bool = False) -> list[Judged]:
    """The insurer's rules on each Claim.item: catalogue share, quantity bound, prior authorisation, active cover."""
    return [_line(item, covered=covered, authorised=authorised) for item in items]


def _line(item: Any, *, covered: bool, authorised: bool) -> Judged:
    sequence, asked = int(item.get("sequence", 0)), rials(item)
    drug = catalogue().find(item.get("productOrService", {}))
    if not covered:
        return Judged(
            sequence, asked, 0, "No active coverage at the time of service.", "پوشش بیمه در زمان خدمت فعال نبود."
        )
    if drug is None:
        return Judged(sequence, asked, 0, "Not in the drug catalogue.", "در فهرست دارویی نیست.")
    if drug.cover_percent == 0:
        return Judged(sequence, asked, 0, "Not covered by basic insurance.", "زیر پوشش بیمهٔ پایه نیست.")
    if drug.prior_authorisation and not authorised:
        return Judged(sequence, asked, 0, "Needs prior authorisation.", "نیازمند تأیید پیشین است.")
    return _shared(sequence, asked, float(item.get("quantity", {}).get("value", 1)), drug)


def _shared(sequence: int, asked: int, quantity: float, drug: Drug) -> Judged:
    share = Decimal(drug.cover_percent) / 100
    counted = min(quantity, drug.max_quantity)
    part = Decimal(str(counted)) / Decimal(str(quantity)) if quantity > 0 else Decimal(0)
    benefit = int((Decimal(asked) * share * part).to_integral_value(ROUND_HALF_UP))
    if counted < quantity:
        return Judged(
            sequence,
            asked,
            benefit,
            f"Only {drug.max_quantity} of {quantity:g} are covered.",
            f"تنها {drug.max_quantity} از {quantity:g} عدد زیر پوشش است.",
        )
    return Judged(sequence, asked, benefit, f"{drug.cover_percent}% covered.", f"{drug.cover_percent}٪ پوشش.")


def rials(item: Any) -> int:
    """What a Claim.item asks: its net, or unitPrice × quantity; 0 when it says neither."""
    if "net" in item:
        return int(item["net"].get("value", 0))
    price = Decimal(str(item.get("unitPrice", {}).get("value", 0)))
    return int(price * Decimal(str(item.get("quantity", {}).get("value", 1))))


async def answer_of(records: Records, claim: Resource) -> Resource | None:
    """The standing ClaimResponse of a Claim; None before the insurer answered."""
    found = await records.search("ClaimResponse", request=ref(claim), status="active")
    return found[0] if found else None


async def submit(records: Records, claim: Resource) -> Resource:
    """Send a Claim (new, or a stored draft); the insurer's answer follows by its script."""
    body = copy(claim)
    if "id" in body and body.get("status") == "active":
        return body
    body["status"] = "active"
    body.setdefault("created", stamp(records.now))
    saved = await records.save(body)
    await submitted(records, saved)
    return saved


async def submitted(records: Records, claim: Resource) -> None:
    """Check a sent Claim's Coverage and tell the insurer."""
    for insurance in claim.get("insurance", ()):
        await need(records, insurance["coverage"]["reference"], "Coverage", where="Claim.insurance.coverage")
    await _refuse_doubles(records, claim)
    records.tell("claim-submitted", claim, {"total": sum(rials(item) for item in claim.get("item", ()))})


async def _refuse_doubles(records: Records, claim: Resource) -> None:
    """One dispense is paid once: another active Claim with the same identifier is refused."""
    for identifier in claim.get("identifier", ()):
        token = f"{identifier.get('system', '')}|{identifier.get('value', '')}"
        for other in await records.search("Claim", identifier=token, status="active"):
            if other["id"] != claim["id"]:
                raise ConflictError(
                    Text(
                        f"{ref(other)} has already claimed {identifier.get('value')}.",
                        f"«{ref(other)}» پیش‌تر {identifier.get('value')} را مطالبه کرده است.",
                    ),
                    code="duplicate",
                    expression=("Claim.identifier",),
                )


async def adjudicate(records: Records, claim: Resource, *, decline: str = "", part: float = 1.0) -> Resource:
    """The insurer's answer: ClaimResponse and ExplanationOfBenefit. `decline` refuses all, `part` pays a fraction."""
    standing = await answer_of(records, claim)
    if standing is not None:
        return standing
    coverage = await _coverage(records, claim)
    covered = coverage is not None and covers(coverage, records.now) and not decline
    lines = judge(claim.get("item", ()), covered=covered, authorised=_authorised(claim))
    if decline:
        lines = [Judged(one.sequence, one.submitted, 0, decline, decline) for one in lines]
    elif part < 1.0:
        why, why_fa = "Paid in part by the insurer.", "بیمه‌گر بخشی را پرداخت کرد."
        lines = [Judged(one.sequence, one.submitted, int(one.benefit * part), why, why_fa) for one in lines]
    response = await records.save(_response(records, claim, coverage, lines))
    await records.save(_benefit(records, claim, response, coverage, lines))
    paid = sum(line.benefit for line in lines)
    records.tell("claim-adjudicated", response, {"claim": ref(claim), "benefit": paid})
    return response


async def fail(records: Records, claim: Resource, *, reason: str) -> Resource:
    """An answer that is an error: ClaimResponse with outcome `error`; the Claim may be sent anew under another identifier."""
    head = _head(records, claim, await _coverage(records, claim), [])
    body = {"resourceType": "ClaimResponse"} | head | {"request": pointer(ref(claim)), "outcome": "error"}
    error = [{"code": {"text": reason}}]
    saved = await records.save(body | {"disposition": reason, "error": error})
    records.tell("claim-failed", saved, {"claim": ref(claim), "reason": reason})
    return saved


def _authorised(claim: Resource) -> bool:
    return any(insurance.get("preAuthRef") for insurance in claim.get("insurance", ()))


async def _coverage(records: Records, claim: Resource) -> Resource | None:
    for insurance in claim.get("insurance", ()):
        found = await records.find_one("Coverage", id_of(insurance["coverage"]["reference"], "Coverage"))
        if found is not None and found.get("beneficiary") == claim.get("patient"):
            return found
    return None


def _money(amount: int) -> Resource:
    return {"value": amount, "currency": CURRENCY}


def _parts(lines: list[Judged]) -> list[Resource]:
    def part(code: str, amount: int, reason: str = "") -> Resource:
        one: Resource = {"category": {"coding": [{"system": _ADJUDICATION, "code": code}]}, "amount": _money(amount)}
        return one | ({"reason": {"text": reason}} if reason else {})

    return [
        {
            "itemSequence": line.sequence,
            "adjudication": [
                part("submitted", line.submitted),
                part("benefit", line.benefit, f"{line.reason} {line.fa}"),
                part("copay", line.submitted - line.benefit),
            ],
        }
        for line in lines
    ]


def _head(records: Records, claim: Resource, coverage: Resource | None, lines: list[Judged]) -> Resource:
    payor = next(iter((coverage or {}).get("payor", ())), None)
    submitted, benefit = sum(x.submitted for x in lines), sum(x.benefit for x in lines)
    return {
        "status": "active",
        "type": claim["type"],
        "use": claim["use"],
        "patient": claim["patient"],
        "created": stamp(records.now),
        "insurer": payor or {"display": "unknown insurer"},
        "outcome": "complete",
        "disposition": f"{benefit} of {submitted} rials paid / {benefit} از {submitted} ریال پرداخت شد",
        "total": [
            {"category": {"coding": [{"system": _ADJUDICATION, "code": code}]}, "amount": _money(amount)}
            for code, amount in (("submitted", submitted), ("benefit", benefit))
        ],
    }


def _response(records: Records, claim: Resource, coverage: Resource | None, lines: list[Judged]) -> Resource:
    head = _head(records, claim, coverage, lines)
    return {"resourceType": "ClaimResponse"} | head | {"request": pointer(ref(claim)), "item": _parts(lines)}


def _benefit(
    records: Records, claim: Resource, response: Resource, coverage: Resource | None, lines: list[Judged]
) -> Resource:
    head = _head(records, claim, coverage, lines)
    items = []
    for asked, part in zip(claim.get("item", ()), _parts(lines), strict=True):
        kept = {name: asked[name] for name in ("sequence", "productOrService", "quantity") if name in asked}
        items.append(kept | {"adjudication": part["adjudication"]})
    return (
        {"resourceType": "ExplanationOfBenefit"}
        | head
        | {
            "claim": pointer(ref(claim)),
            "claimResponse": pointer(ref(response)),
            "provider": claim["provider"],
            "insurance": [
                {"focal": True, "coverage": pointer(ref(coverage)) if coverage else {"display": "no coverage found"}}
            ],
            "item": items,
        }
    )


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a Claim."""
    if before is None:
        MACHINE.start(str(new.get("status", "")))
        return
    MACHINE.follow(before["status"], new["status"], who=records.actor, now=records.now, subject=ref(before))


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a Claim: a sent one goes to the insurer, a cancelled one takes its answer along."""
    if saved["status"] == "active" and (before is None or before["status"] == "draft"):
        await submitted(records, saved)
    elif saved["status"] == "cancelled" and (answer := await answer_of(records, saved)) is not None:
        await records.save(copy(answer) | {"status": "cancelled"})
