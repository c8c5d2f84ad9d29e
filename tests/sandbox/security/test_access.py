"""A token's scopes and context become limits that no wider scope of the same token forgets to lift, nor any narrower one adds."""

from typing import Any

import pytest

from sandbox.fhir.outcomes import ForbiddenError
from sandbox.security.access import Access, Limit, access_of


def access(scope: str, **claims: Any) -> Access:
    return access_of({"scope": scope, "tenant": "t", **claims}, tenant="other")


def test_patient_scopes_stay_in_the_patients_compartment() -> None:
    found = access("patient/Observation.rs", patient="1")
    assert found.limits("Observation", "s") == (Limit(("Patient", "1")),)
    assert found.limits("Observation", "c") == ()
    assert found.limits("Condition", "r") == ()


@pytest.mark.parametrize("patient", ["", None, "a b", "1/../2", "x" * 65])
def test_patient_scopes_without_a_patient_grant_nothing(patient: Any) -> None:
    assert access("patient/*.cruds", patient=patient).grants == {}


def test_restrictions_and_compartment_hold_together() -> None:
    found = access("patient/Observation.rs?category=laboratory", patient="1")
    assert found.limits("Observation", "r") == (Limit(("Patient", "1"), "category=laboratory"),)


def test_alternatives_add_up_and_the_whole_absorbs_them() -> None:
    both = access("patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", patient="1")
    assert len(both.limits("Observation", "s")) == 2
    whole = access("patient/Observation.rs system/Observation.s", patient="1")
    assert whole.limits("Observation", "s") == (Limit(),)
    assert whole.limits("Observation", "r") == (Limit(("Patient", "1")),)


def test_user_scopes_follow_who_the_user_is() -> None:
    assert access("user/Observation.r", fhirUser="https://x.example/fhir/R4/Patient/7").limits("Observation", "r") == (
        Limit(("Patient", "7")),
    )
    assert access("user/Observation.r", fhirUser="RelatedPerson/8").limits("Observation", "r") == (
        Limit(("RelatedPerson", "8")),
    )
    assert access("user/Observation.r", fhirUser="Practitioner/9").limits("Observation", "r") == (Limit(),)


def test_refusal_names_the_scope_that_is_missing() -> None:
    with pytest.raises(ForbiddenError) as caught:
        access("system/Patient.r").need("Observation", "s")
    assert caught.value.status == 403
    assert "insufficient_scope" in caught.value.headers["WWW-Authenticate"]
    assert caught.value.issues[0].hint is not None
    assert "system/Observation.s" in caught.value.issues[0].hint.en


def test_the_tokens_own_tenant_wins() -> None:
    assert access("").tenant == "t"
    assert access_of({}, tenant="only").tenant == "only"


def test_one_tokens_grants_cannot_be_changed_for_another() -> None:
    with pytest.raises(TypeError):
        access("system/Patient.r").grants[("Patient", "d")] = (Limit(),)  # type: ignore[index]
