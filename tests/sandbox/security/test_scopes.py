"""A scope grants what it says, and nothing when any of it is not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.definitions import RESOURCE_TYPES
from sandbox.security.scopes import Permission, permissions


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("patient/Observation.read", Permission("patient", "Observation", "rs")),
        ("patient/Observation.write", Permission("patient", "Observation", "cud")),
        ("user/Observation.*", Permission("user", "Observation", "cruds")),
        ("system/Observation.rs", Permission("system", "Observation", "rs")),
        ("system/Observation.cruds", Permission("system", "Observation", "cruds")),
        ("patient/Observation.rs?category=laboratory", Permission("patient", "Observation", "rs", "category=laboratory")),
        (
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
            Permission(
                "patient", "Observation", "rs",
                "category=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fobservation-category%7Claboratory",
            ),
        ),
        ("patient/Observation.r?code:in=http://x.example/vs&status=final", Permission(
            "patient", "Observation", "r", "code%3Ain=http%3A%2F%2Fx.example%2Fvs&status=final")),
    ],
)  # fmt: skip
def test_scopes_of_both_versions_are_understood(scope: str, expected: Permission) -> None:
    assert permissions(scope) == (expected,)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "openid",
        "launch/patient",
        "offline_access",
        "patient/Observation",
        "patient/Observation.",
        "patient/Observation.sr",
        "patient/Observation.rr",
        "patient/Observation.Read",
        "patient/observation.read",
        "patient/Pateint.read",
        "patient/Observation.read\n",
        "everyone/Observation.read",
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?nonsense=1",
        "patient/Observation.rs?category=laboratory&nonsense=1",
        "patient/Observation.rs?category:not=laboratory",
        "patient/Observation.rs?category:missing=true",
        "patient/Observation.rs?patient.name=x",
        "patient/Observation.rs?_has:Patient:x=1",
        "patient/Observation.rs?_content=x",
        "patient/Observation.rs?_count=1",
        "patient/Observation.rs?date=1405-01-01",
        "patient/Observation.rs?category=a|b|c",
        "patient/Observation.rs?category=a,,b",
        "patient/Observation.rs?category=%ff",
        "patient/Observation.read?category=laboratory",
        "patient/Observation.rs?" + "&".join(["status=final"] * 11),
    ],
)
def test_what_is_not_understood_in_full_grants_nothing(scope: str) -> None:
    assert permissions(scope) == ()


def test_a_star_is_every_type_that_can_hold_the_restriction() -> None:
    assert {p.resource_type for p in permissions("patient/*.read")} == RESOURCE_TYPES
    restricted = permissions("patient/*.rs?category=laboratory")
    assert {"Observation", "DiagnosticReport"} <= {p.resource_type for p in restricted}
    assert "Patient" not in {p.resource_type for p in restricted}
    assert all(p.query == "category=laboratory" for p in restricted)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    assert all(p.resource_type in RESOURCE_TYPES for p in permissions(text))


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_restriction_is_never_lost(name: str, value: str) -> None:
    assert all(p.query for p in permissions(f"patient/Observation.rs?{name}={value}"))
