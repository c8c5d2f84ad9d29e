"""Prescriptions and dispensing over records in memory: nothing handed out twice, nothing lost on retry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.fhir.outcomes import ConflictError, FhirError, NotFoundError
from sandbox.workflows import dispensing, prescription
from sandbox.workflows.codes import NATIONAL_CODE, PRESCRIPTION_CODE, identifier_of, state_tag
from sandbox.workflows.dispensing import Line
from sandbox.workflows.drug_catalogue import catalogue
from sandbox.workflows.records import ref
from tests.sandbox.workflows.memory import NOW, MemoryRecords, patient, pharmacy, practitioner

CODE = {drug.name: drug.code for drug in catalogue().drugs.values()}


def item(name: str, quantity: float = 30, *, dose: float = 1, times: int = 1, **more: Any) -> dict[str, Any]:
    timing = {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}}
    dosage = {"timing": timing, "doseAndRate": [{"doseQuantity": {"value": dose}}]}
    return {"medication": catalogue().drugs[CODE[name]].concept(), "quantity": quantity, "dosage": dosage} | more


def world(*more: dict[str, Any]) -> MemoryRecords:
    national = {"identifier": [{"system": NATIONAL_CODE, "value": "9990000017"}]}
    return MemoryRecords(NOW, patient(**national), practitioner(), pharmacy(), pharmacy("ph2"), *more)


async def issued(records: MemoryRecords, *items: dict[str, Any]) -> dict[str, Any]:
    draft = await prescription.draft(records, patient="Patient/p1", prescriber="Practitioner/dr1", items=items)
    signed = await prescription.sign(records, draft, signer="Practitioner/dr1")
    return await prescription.issue(records, signed)


def requests(group: dict[str, Any]) -> list[str]:
    return [action["resource"]["reference"] for action in group["action"]]


STEPS = ("sign", "withdraw", "issue", "cancel", "dispense", "substitute", "return", "advance", "reserve")


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 40), st.integers(0, 3)), max_size=20))
async def test_never_more_is_handed_out_than_was_prescribed(steps: list[tuple[str, int, int]]) -> None:
    records = world()
    group = await prescription.draft(
        records,
        patient="Patient/p1",
        prescriber="Practitioner/dr1",
        items=[item("Metformin", 60, repeats=1, days=30, dose=2)],
    )
    for step in steps:
        before = dict(records.resources)
        try:
            await act(records, ref(group), *step)
        except FhirError:
            records.resources = before
        live = records.resources[ref(group)]
        gone = sum(d["quantity"]["value"] for d in records.all("MedicationDispense") if d["status"] == "completed")
        assert gone <= 120
        assert state_tag(live) != "dispensed" or gone == 120
        assert state_tag(live) != "issued" or gone == 0
        assert state_tag(live) not in {"draft", "signed"} or not records.all("MedicationDispense")


async def act(records: MemoryRecords, group_ref: str, name: str, quantity: int, which: int) -> None:
    group = records.resources[group_ref]
    if name == "sign":
        await prescription.sign(records, group, signer="Practitioner/dr1")
    elif name == "withdraw":
        await prescription.withdraw(records, group)
    elif name == "issue":
        await prescription.issue(records, group)
    elif name == "cancel":
        await prescription.cancel(records, group, reason="changed")
    elif name == "reserve":
        await dispensing.reserve(records, group, pharmacy=("Organization/ph1", "Organization/ph2")[which % 2])
    elif name == "advance":
        records.advance(timedelta(days=11))
    elif name == "return":
        if done := records.all("MedicationDispense"):
            await dispensing.give_back(records, done[which % len(done)], reason="not needed")
    else:
        product = catalogue().drugs["SBX-metformin-brand-a"].concept() if name == "substitute" else None
        line = Line(requests(group)[0], quantity, product)
        where = ("Organization/ph1", "Organization/ph2")[which % 2]
        await dispensing.dispense(records, group, pharmacy=where, lines=[line], key=f"k{quantity}")


async def test_every_step_repeated_by_a_retry_changes_nothing() -> None:
    records = world()
    key = {"patient": "Patient/p1", "prescriber": "Practitioner/dr1", "items": [item("Metformin")], "key": "a-1"}
    first, second = await prescription.draft(records, **key), await prescription.draft(records, **key)  # type: ignore[arg-type]
    assert first == second
    signed = await prescription.sign(records, first, signer="Practitioner/dr1")
    assert await prescription.sign(records, signed, signer="Practitioner/dr1") == signed
    group = await prescription.issue(records, signed)
    assert await prescription.issue(records, group) == group
    lines = [Line(requests(group)[0], 30)]
    done = await dispensing.dispense(records, group, pharmacy="Organization/ph1", lines=lines, key="d-1")
    after = records.resources[ref(group)]
    assert await dispensing.dispense(records, after, pharmacy="Organization/ph1", lines=lines, key="d-1") == done
    assert len(records.all("MedicationDispense")) == 1 and state_tag(after) == "dispensed"


async def test_an_interaction_blocks_the_signature_until_it_is_overridden_with_a_reason() -> None:
    records = world()
    items = [item("Warfarin"), item("Ibuprofen", times=3)]
    draft = await prescription.draft(records, patient="Patient/p1", prescriber="Practitioner/dr1", items=items)
    with pytest.raises(ConflictError) as caught:
        await prescription.sign(records, draft, signer="Practitioner/dr1")
    assert any("risk of bleeding" in issue.text.en and issue.rule == "interaction" for issue in caught.value.issues)
    signed = await prescription.sign(records, draft, signer="Practitioner/dr1", override="short course, INR watched")
    assert state_tag(signed) == "signed"
    (provenance,) = records.all("Provenance")
    assert "short course, INR watched" in provenance["reason"][0]["text"] and provenance["signature"][0]["data"]


async def test_a_prescription_is_found_by_both_codes_only() -> None:
    records = world()
    group = await issued(records, item("Metformin"))
    code = identifier_of(group, PRESCRIPTION_CODE)
    found, items = await dispensing.find(records, national_code="9990000017", code=code)
    assert ref(found) == ref(group) and [ref(i) for i in items] == requests(group)
    for national, wrong in (("9990000018", code), ("9990000017", "00000000")):
        with pytest.raises(NotFoundError):
            await dispensing.find(records, national_code=national, code=wrong)


async def test_a_repeat_opens_when_its_time_comes_and_the_refusal_says_when() -> None:
    records = world()
    group = await issued(records, item("Metformin", 60, repeats=1, days=30))
    line = [Line(requests(group)[0], 60)]
    await dispensing.dispense(records, group, pharmacy="Organization/ph1", lines=line, key="1")
    with pytest.raises(ConflictError, match="next repeat opens at 2026-12-28"):
        await dispensing.dispense(
            records, records.resources[ref(group)], pharmacy="Organization/ph1", lines=line, key="2"
        )
    records.advance(timedelta(days=30))
    await dispensing.dispense(records, records.resources[ref(group)], pharmacy="Organization/ph1", lines=line, key="2")
    assert state_tag(records.resources[ref(group)]) == "dispensed"


async def test_substitution_takes_the_same_medicine_only_and_only_where_allowed() -> None:
    records = world()
    brand = catalogue().drugs["SBX-metformin-brand-a"].concept()
    group = await issued(records, item("Metformin"), item("Amlodipine", substitution=False))
    one, two = requests(group)
    with pytest.raises(ConflictError, match="prescriber forbids"):
        other = Line(two, 30, catalogue().drugs["SBX-amlodipine-brand-a"].concept())
        await dispensing.dispense(records, group, pharmacy="Organization/ph1", lines=[other], key="1")
    with pytest.raises(ConflictError, match="not the same medicine"):
        wrong = Line(one, 30, catalogue().drugs[CODE["Losartan"]].concept())
        await dispensing.dispense(records, group, pharmacy="Organization/ph1", lines=[wrong], key="1")
    (done,) = await dispensing.dispense(
        records, group, pharmacy="Organization/ph1", lines=[Line(one, 30, brand)], key="1"
    )
    assert done["substitution"]["wasSubstituted"] is True


async def test_a_stock_out_names_what_is_there_instead() -> None:
    records = world(dispensing.stock_out_list("Organization/ph1", [CODE["Metformin"]]))
    group = await issued(records, item("Metformin"))
    with pytest.raises(ConflictError, match=r"out of stock.*SBX-metformin-brand-a"):
        await dispensing.dispense(
            records, group, pharmacy="Organization/ph1", lines=[Line(requests(group)[0], 30)], key="1"
        )


async def test_another_pharmacy_waits_while_one_has_reserved() -> None:
    records = world()
    group = await issued(records, item("Metformin"))
    group = await dispensing.reserve(records, group, pharmacy="Organization/ph1")
    lines = [Line(requests(group)[0], 30)]
    with pytest.raises(ConflictError, match="reserved by another pharmacy"):
        await dispensing.dispense(records, group, pharmacy="Organization/ph2", lines=lines, key="1")
    records.advance(dispensing.RESERVE_TIME)
    assert await dispensing.dispense(records, group, pharmacy="Organization/ph2", lines=lines, key="1")


async def test_a_cancelled_prescription_is_final_and_its_items_with_it() -> None:
    records = world()
    group = await prescription.cancel(records, await issued(records, item("Metformin")), reason="wrong patient")
    assert [r["status"] for r in records.all("MedicationRequest")] == ["cancelled"]
    with pytest.raises(ConflictError, match="This state is final"):
        await dispensing.dispense(
            records, group, pharmacy="Organization/ph1", lines=[Line(requests(group)[0], 1)], key="1"
        )
    with pytest.raises(ConflictError, match="through its operations"):
        await prescription.guard(records, group, {**group, "status": "active"})
