"""Short builders of the resources that Personas are made of. Everything is labelled HTEST: test health data."""

from __future__ import annotations

from typing import Any, Final

from sandbox.workflows.codes import ACT_CODE, ACT_REASON, LOINC, NATIONAL, NATIONAL_CODE, Resource, concept
from sandbox.workflows.drug_catalogue import catalogue
from sandbox.workflows.lab_tests import interpret, tests
from sandbox.workflows.records import pointer

HTEST: Final = {"system": ACT_REASON, "code": "HTEST", "display": "test health data"}
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
SPECIALTY: Final = f"{NATIONAL}/CodeSystem/specialty"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_DAYS: Final = {"unit": "{tablet}", "system": "http://unitsofmeasure.org", "code": "{tablet}"}
GP: Final = "Practitioner/persona-dr-family"
CLINIC: Final = "Organization/persona-clinic"
INSURER: Final = "Organization/persona-insurer"


def meta(*labels: str) -> Resource:
    """meta with the HTEST label and sensitivity labels (v3-ActCode)."""
    return {"security": [HTEST, *({"system": ACT_CODE, "code": label} for label in labels)]}


def national_code(number: int) -> str:
    """A code nobody can have: block 999 and a check digit that is wrong on purpose."""
    body = f"9990{number:05d}"
    remainder = sum(int(digit) * (10 - i) for i, digit in enumerate(body)) % 11
    right = remainder if remainder < 2 else 11 - remainder
    return body + str((right + 5) % 10)


def patient(rid: str, number: int, given: str, family: str, gender: str, born: str, **more: Any) -> Resource:
    """A Persona's Patient; `number` 0 leaves the national code out."""
    body: Resource = {
        "resourceType": "Patient",
        "id": f"persona-{rid}",
        "meta": meta(),
        "active": True,
        "name": [{"use": "official", "text": f"{given} {family}", "family": family, "given": [given]}],
        "gender": gender,
        "birthDate": born,
        "managingOrganization": pointer(CLINIC),
    }
    if number:
        body["identifier"] = [{"use": "official", "system": NATIONAL_CODE, "value": national_code(number)}]
        body["telecom"] = [{"system": "phone", "use": "mobile", "value": f"+9897000{number:05d}"}]
    return body | more


def coverage(rid: str, start: str = "2024-03-20", end: str = "") -> Resource:
    """Basic insurance with the Personas' insurer."""
    return {
        "resourceType": "Coverage",
        "id": f"persona-{rid}-coverage",
        "meta": meta(),
        "status": "active",
        "beneficiary": pointer(f"Patient/persona-{rid}"),
        "relationship": concept(f"{_TERMS}/subscriber-relationship", "self"),
        "period": {"start": start} | ({"end": end} if end else {}),
        "payor": [pointer(INSURER)],
    }


def condition(rid: str, code: str, text: str, onset: str, *labels: str, active: bool = True) -> Resource:
    """A diagnosis by ICD-10 code."""
    return {
        "resourceType": "Condition",
        "id": f"persona-{rid}-{code.lower().replace('.', '')}",
        "meta": meta(*labels),
        "clinicalStatus": concept(f"{_TERMS}/condition-clinical", "active" if active else "resolved"),
        "verificationStatus": concept(f"{_TERMS}/condition-ver-status", "confirmed"),
        "category": [concept(f"{_TERMS}/condition-category", "problem-list-item")],
        "code": concept(ICD10, code) | {"text": text},
        "subject": pointer(f"Patient/persona-{rid}"),
        "onsetDateTime": onset,
        "recordedDate": onset,
    } | ({} if active else {"abatementDateTime": onset})


def medication(rid: str, drug: str, daily: int, authored: str = "2026-10-01", *labels: str) -> Resource:
    """A drug in use: one unit, `daily` times a day."""
    return {
        "resourceType": "MedicationRequest",
        "id": f"persona-{rid}-{drug.lower()}",
        "meta": meta(*labels),
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": catalogue().drugs[f"SBX-{drug}"].concept(),
        "subject": pointer(f"Patient/persona-{rid}"),
        "authoredOn": authored,
        "requester": pointer(GP),
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": daily, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1} | _DAYS}],
            }
        ],
        "dispenseRequest": {"quantity": {"value": 30 * daily}, "numberOfRepeatsAllowed": 2},
    }


def lab(rid: str, loinc: str, value: float, when: str, suffix: str = "") -> Resource:
    """A final laboratory result with its reference range and interpretation."""
    test = tests()[loinc]
    return {
        "resourceType": "Observation",
        "id": f"persona-{rid}-{loinc}{suffix}",
        "meta": meta(),
        "status": "final",
        "category": [concept(f"{_TERMS}/observation-category", "laboratory")],
        "code": test.concept(),
        "subject": pointer(f"Patient/persona-{rid}"),
        "effectiveDateTime": when,
        "valueQuantity": test.quantity(value),
        "interpretation": [concept(f"{_TERMS}/v3-ObservationInterpretation", interpret(test, value))],
        "referenceRange": [test.reference_range()],
    }


def pressure(rid: str, systolic: int, diastolic: int, when: str, suffix: str = "") -> Resource:
    """A blood-pressure panel."""

    def part(code: str, text: str, value: int) -> Resource:
        quantity = {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        return {"code": concept(LOINC, code, text), "valueQuantity": quantity}

    return {
        "resourceType": "Observation",
        "id": f"persona-{rid}-bp{suffix}",
        "meta": meta(),
        "status": "final",
        "category": [concept(f"{_TERMS}/observation-category", "vital-signs")],
        "code": concept(LOINC, "85354-9", "Blood pressure panel"),
        "subject": pointer(f"Patient/persona-{rid}"),
        "effectiveDateTime": when,
        "component": [part("8480-6", "Systolic", systolic), part("8462-4", "Diastolic", diastolic)],
    }


def allergy(rid: str, code: str, text: str) -> Resource:
    """A confirmed, active allergy to a class, an ingredient or a drug."""
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"persona-{rid}-allergy-{code}",
        "meta": meta(),
        "clinicalStatus": concept(f"{_TERMS}/allergyintolerance-clinical", "active"),
        "verificationStatus": concept(f"{_TERMS}/allergyintolerance-verification", "confirmed"),
        "type": "allergy",
        "category": ["medication"],
        "criticality": "high",
        "code": concept(f"{NATIONAL}/CodeSystem/substance", code) | {"text": text},
        "patient": pointer(f"Patient/persona-{rid}"),
        "recordedDate": "2020-05-01",
        "reaction": [{"manifestation": [{"text": "anaphylaxis"}], "severity": "severe"}],
    }


def vaccine(rid: str, cvx: str, text: str, when: str, dose: int) -> Resource:
    """A dose that was given."""
    return {
        "resourceType": "Immunization",
        "id": f"persona-{rid}-{cvx}-{dose}",
        "meta": meta(),
        "status": "completed",
        "vaccineCode": concept(CVX, cvx) | {"text": text},
        "patient": pointer(f"Patient/persona-{rid}"),
        "occurrenceDateTime": when,
        "primarySource": True,
        "protocolApplied": [{"doseNumberPositiveInt": dose}],
    }


def visit(rid: str, number: int, when: str, reason: str) -> Resource:
    """A finished visit at the Personas' clinic."""
    return {
        "resourceType": "Encounter",
        "id": f"persona-{rid}-visit-{number}",
        "meta": meta(),
        "status": "finished",
        "class": {"system": ACT_CODE, "code": "AMB", "display": "ambulatory"},
        "subject": pointer(f"Patient/persona-{rid}"),
        "participant": [{"individual": pointer(GP)}],
        "period": {"start": f"{when}T09:00:00+03:30", "end": f"{when}T09:20:00+03:30"},
        "reasonCode": [{"text": reason}],
        "serviceProvider": pointer(CLINIC),
    }
