"""Each check of a prescription, and the catalogue they read."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.workflows.codes import ATC, DRUG
from sandbox.workflows.drug_catalogue import Drug, catalogue
from sandbox.workflows.prescription_checks import Finding, Item, Known, allergy_causes, check, daily_doses

BY_NAME = {drug.name: drug for drug in catalogue().drugs.values()}


def known(age: float, *, pregnant: bool = False, allergies: str = "", current: str = "", insured: bool = True) -> Known:
    used = (BY_NAME[current],) if current else ()
    return Known(age, pregnant, frozenset(allergies.split()), used, insured)


HEALTHY = Known(age=40, pregnant=False, allergies=frozenset(), current=(), insured=True)


def line(name: str, daily: float | None = None, quantity: float = 10, index: int = 0) -> Item:
    return Item(BY_NAME[name], name, daily, quantity, index)


def kinds(found: list[Finding]) -> list[tuple[str, bool]]:
    return [(f.kind, f.blocking) for f in found]


def test_a_plain_prescription_for_a_healthy_adult_has_no_finding() -> None:
    assert check([line("Amoxicillin", 3, 21)], HEALTHY, catalogue()) == []


@pytest.mark.parametrize(
    ("items", "patient", "expected"),
    [
        ([Item(None, "unicorn dust", None, 1)], HEALTHY, [("unknown-drug", True)]),
        ([line("Metformin", 6)], HEALTHY, [("dose", True)]),
        ([line("Metformin", 5)], HEALTHY, []),
        ([line("Atorvastatin", 0.25)], HEALTHY, [("dose", False)]),
        ([line("Methotrexate"), line("Trimethoprim and sulfamethoxazole", index=1)], HEALTHY, [("interaction", True)]),
        ([line("Sildenafil")], known(60, current="Glyceryl trinitrate"), [("interaction", True), ("coverage", False)]),
        ([line("Paracetamol"), line("Adult cold", index=1)], HEALTHY, [("duplicate", True), ("coverage", False), ("coverage", False)]),
        ([line("Losartan")], known(60, current="Valsartan"), [("duplicate", False)]),
        ([line("Isotretinoin")], known(25, pregnant=True), [("pregnancy", True), ("coverage", False)]),
        ([line("Azithromycin", quantity=6)], known(25, pregnant=True), []),
        ([line("Amlodipine")], known(25, pregnant=True), [("pregnancy", False)]),
        ([line("Cefixime")], known(25, allergies="beta-lactam"), [("allergy", True)]),
        ([line("Amoxicillin and clavulanic acid")], known(25, allergies="penicillin"), [("allergy", True)]),
        ([line("Metformin", quantity=181)], HEALTHY, [("coverage", False)]),
        ([line("Deferasirox")], HEALTHY, [("coverage", False)]),
        ([line("Metformin")], known(40, insured=False), [("coverage", False)]),
    ],
)  # fmt: skip
def test_each_kind_of_finding(items: list[Item], patient: Known, expected: list[tuple[str, bool]]) -> None:
    assert kinds(check(items, patient, catalogue())) == expected


@pytest.mark.parametrize(
    ("repeat", "daily"),
    [
        ({"frequency": 3, "period": 1, "periodUnit": "d"}, 6),
        ({"period": 8, "periodUnit": "h"}, 6),
        ({"frequency": 1, "period": 1, "periodUnit": "wk"}, 2 / 7),
        ({}, None),
    ],
)
def test_daily_doses_follow_from_the_timing(repeat: dict[str, Any], daily: float | None) -> None:
    dosage = [{"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": {"value": 2}}]}]
    assert daily_doses(dosage) == pytest.approx(daily)


def test_a_drug_is_found_by_own_code_or_by_an_atc_code_of_one_product() -> None:
    assert catalogue().find({"coding": [{"system": ATC, "code": "A10BA02"}]}) is BY_NAME["Metformin"]
    assert (
        catalogue().find({"coding": [{"system": DRUG, "code": "SBX-metformin-brand-a"}]})
        is catalogue().drugs["SBX-metformin-brand-a"]
    )
    assert catalogue().find({"coding": [{"system": DRUG, "code": "nope"}]}) is None
    assert catalogue().find({"coding": [{"system": ATC, "code": "N02BE51"}]}) is None, (
        "two products share this ATC code"
    )


def test_the_catalogue_states_its_licence_and_is_consistent() -> None:
    assert "ATC" in catalogue().licence and len(catalogue().drugs) >= 80
    for drug in catalogue().drugs.values():
        assert isinstance(drug, Drug) and 0 < drug.daily_min <= drug.daily_max and drug.name_fa and drug.ingredients
        assert not drug.brand or any(not other.brand for other in catalogue().substitutes(drug)), drug.code


def test_an_allergy_is_understood_by_code_class_or_words() -> None:
    assert "penicillin" in allergy_causes({"code": {"text": "Penicillin allergy"}})
    assert "J01CA04" in allergy_causes({"code": {"coding": [{"system": ATC, "code": "J01CA04"}]}})
