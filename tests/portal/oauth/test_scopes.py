"""SMART scopes as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.oauth import scopes

PERMISSIONS = st.sets(st.sampled_from("cruds"), min_size=1)
RESOURCES = st.sampled_from(["*", "Patient", "Observation"])
TEXTS = st.builds(scopes.write, st.sampled_from(["patient", "user", "system"]), RESOURCES, PERMISSIONS)


@pytest.mark.parametrize(
    "text",
    [
        "patient/Patient.",
        "patient/Patient.sr",
        "patient/Patient.rr",
        "patient/patient.rs",
        "patient/.rs",
        "practitioner/Patient.rs",
        "patient/Patient.rs?",
        "patient/Patient.rs?category",
        "patient/Patient.rs?=x",
        "patient/Patient.read?category=x",
        "patient/Patient.rs ",
        "patient/Patient.rs\n",
        "PATIENT/Patient.rs",
        "system/Foo.rs",
        "patient/Patients.read",
        "user/DomainResource.rs",
        "",
    ],
)
def test_text_that_is_no_scope(text: str) -> None:
    assert scopes.parse(text) is None


@pytest.mark.parametrize(("old", "new"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
def test_v1_means_what_v2_says(old: str, new: str) -> None:
    first, second = scopes.parse(f"user/Patient.{old}"), scopes.parse(f"user/Patient.{new}")
    assert first is not None and second is not None
    assert first.permissions == second.permissions


@given(TEXTS)
def test_writing_and_parsing_are_inverse(text: str) -> None:
    parsed = scopes.parse(text)
    assert parsed is not None
    assert scopes.write(parsed.context, parsed.resource, parsed.permissions, parsed.query) == text


@given(asked=TEXTS, registered=st.lists(TEXTS, max_size=4))
def test_what_is_granted_is_never_more_than_asked_nor_than_registered(asked: str, registered: list[str]) -> None:
    wanted = scopes.parse(asked)
    assert wanted is not None
    for text in scopes.grantable(asked, registered):
        granted = scopes.parse(text)
        assert granted is not None
        assert granted.permissions <= wanted.permissions
        assert wanted.resource in ("*", granted.resource)
        covering = [scope for scope in map(scopes.parse, registered) if scope and granted.narrows(scope)]
        assert granted.permissions <= frozenset().union(*(scope.permissions for scope in covering))


@given(asked=TEXTS, registered=st.lists(TEXTS, max_size=4))
def test_granting_twice_changes_nothing(asked: str, registered: list[str]) -> None:
    once = scopes.grantable(asked, registered)
    assert set(scopes.grant_all(once, registered)) == set(once)


def test_granular_scope_is_within_the_plain_one_but_not_the_reverse() -> None:
    narrow = "patient/Observation.rs?category=laboratory"
    assert scopes.grantable(narrow, ["patient/Observation.rs"]) == [narrow]
    assert scopes.grantable("patient/Observation.rs", [narrow]) == [narrow]
    assert scopes.grantable("user/Observation.rs", [narrow]) == []


@given(st.text(max_size=60))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        items = scopes.split(text)
    except scopes.InvalidScope:
        return
    assert all(item and " " not in item and '"' not in item for item in items)
