"""The catalogue: nothing in it without proof, nothing without words in both languages."""

from __future__ import annotations

import re

import pytest

from portal.conformance.arming import ACTIONS
from portal.conformance.calls import Recording
from portal.conformance.judging import judge
from portal.conformance.requirements import CORE, Requirement, catalogues, of_products, suite_version
from portal.conformance.scenarios import scenarios
from portal.conformance.verdicts import Result, checks
from portal.products.catalogue import entries
from portal.reviews.questionnaire import questions

ALL = [row for catalogue in catalogues() for row in catalogue.requirements]
PERSIAN = re.compile("[آ-ی]")


def test_there_are_at_least_sixty_with_ids_of_their_own() -> None:
    assert len(ALL) >= 60
    assert len({row.id for row in ALL}) == len(ALL)


def test_every_requirement_is_proved_by_exactly_one_check_or_attestation() -> None:
    for row in ALL:
        assert bool(row.check) != bool(row.attestation), row.id
        assert row.level in ("must", "should"), row.id
        if row.check:
            assert row.check in checks(), row.id
        else:
            assert row.attestation in questions(), f"{row.id}: no such question in the questionnaire"


def test_no_check_is_without_its_requirement() -> None:
    assert set(checks()) == {row.check for row in ALL if row.check}


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
def test_every_requirement_speaks_both_languages_and_names_its_source(row: Requirement) -> None:
    assert PERSIAN.search(row.title_fa)
    assert PERSIAN.search(row.text_fa)
    assert row.title_en.isascii()
    assert row.source
    if row.check:
        assert PERSIAN.search(row.hint_fa)
        assert row.hint_en


def test_catalogues_belong_to_products_that_exist() -> None:
    assert {catalogue.product for catalogue in catalogues()} - {CORE} <= {entry.id for entry in entries()}


def test_scenarios_prove_what_exists_by_actions_that_exist() -> None:
    ids = {row.id for row in ALL}
    for scenario in scenarios():
        assert set(scenario.proves) <= ids, scenario.id
        assert {action["do"] for action in scenario.arm} <= set(ACTIONS), scenario.id
        assert PERSIAN.search(scenario.do_fa)


def test_nothing_passes_on_an_empty_recording() -> None:
    for row in of_products(frozenset(entry.id for entry in entries())):
        verdict = judge(row, Recording((), scopes=frozenset({"system/*.cruds"})))
        assert verdict.result in (Result.SKIP, Result.FAIL), row.id


def test_what_the_app_has_no_right_to_is_omitted() -> None:
    reader = Recording((), scopes=frozenset({"system/Patient.r"}))
    results = {row.id: judge(row, reader).result for row in ALL if row.check}
    assert results["rx-1"] == results["safe-1"] == results["id-5"] == Result.OMIT
    assert results["id-1"] == results["merge-1"] == Result.SKIP


def test_the_suite_version_follows_its_data() -> None:
    assert re.fullmatch(r"1405\.1\+[0-9a-f]{12}", suite_version())
