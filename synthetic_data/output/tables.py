"""Flat analytics tables: one row for each resource of the families that analysts ask for."""

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Json = dict[str, Any]


def _id(reference: Json | None) -> str | None:
    return None if not reference else str(reference["reference"]).partition("/")[2]


def _code(concept: Json | None) -> tuple[str | None, str | None, str | None]:
    """(system, code, Persian text) of a concept's first coding."""
    if not concept:
        return None, None, None
    first = (concept.get("coding") or [{}])[0]
    return first.get("system"), first.get("code"), concept.get("text")


def _concept(prefix: str, concept: Json | None) -> Row:
    system, code, words = _code(concept)
    return {f"{prefix}_system": system, f"{prefix}_code": code, f"{prefix}_fa": words}


def _patient(r: Json) -> Row:
    home = (r.get("address") or [{}])[0]
    return {
        "id": r["id"], "sex": r.get("gender"), "birth_date": r.get("birthDate"),
        "death_date": r.get("deceasedDateTime"), "province": home.get("state"), "city": home.get("city"),
        "marital_status": _code(r.get("maritalStatus"))[1],
    }  # fmt: skip


def _encounter(r: Json) -> Row:
    period = r.get("period", {})
    return {
        "id": r["id"], "patient": _id(r.get("subject")), "class": r["class"]["code"],
        "start": period.get("start"), "end": period.get("end"), "provider": _id(r.get("serviceProvider")),
        **_concept("service", r.get("serviceType")), "diagnoses": len(r.get("diagnosis", ())),
    }  # fmt: skip


def _condition(r: Json) -> Row:
    return {
        "id": r["id"], "patient": _id(r.get("subject")), "encounter": _id(r.get("encounter")), **_concept("diagnosis", r.get("code")),
        "status": _code(r.get("clinicalStatus"))[1], "onset": r.get("onsetDateTime"), "abatement": r.get("abatementDateTime"),
        "recorded": r.get("recordedDate"),
    }  # fmt: skip


def _observation(r: Json) -> list[Row]:
    base = {
        "id": r["id"], "patient": _id(r.get("subject")), "encounter": _id(r.get("encounter")),
        "category": _code(r["category"][0])[1], "time": r.get("effectiveDateTime"),
    }  # fmt: skip
    rows = []
    for part in r.get("component") or [r]:
        quantity = part.get("valueQuantity") or {}
        value = quantity.get("value")
        rows.append({
            **base, **_concept("test", part.get("code")), "value": None if value is None else float(value),
            "unit": quantity.get("code"), "result_code": _code(part.get("valueCodeableConcept"))[1],
        })  # fmt: skip
    return rows


def _drug(r: Json) -> Row:
    codes = (r.get("medicationCodeableConcept") or {}).get("coding", [])
    by_system = {coding["system"]: coding["code"] for coding in codes}
    return {
        "drug_code": next((c for s, c in by_system.items() if s.endswith("/CodeSystem/drug")), None),
        "atc": by_system.get("http://www.whocc.no/atc"), "drug_fa": (r.get("medicationCodeableConcept") or {}).get("text"),
    }  # fmt: skip


def _request(r: Json) -> Row:
    supply = r.get("dispenseRequest", {})
    return {
        "id": r["id"], "patient": _id(r.get("subject")), "encounter": _id(r.get("encounter")), **_drug(r),
        "authored": r.get("authoredOn"), "quantity": float(supply.get("quantity", {}).get("value", 0)),
        "days": int(supply.get("expectedSupplyDuration", {}).get("value", 0)),
        "prescription": (r.get("groupIdentifier") or {}).get("value"),
    }  # fmt: skip


def _dispense(r: Json) -> Row:
    return {
        "id": r["id"], "patient": _id(r.get("subject")), "request": _id((r.get("authorizingPrescription") or [None])[0]), **_drug(r),
        "handed_over": r.get("whenHandedOver"), "quantity": float(r.get("quantity", {}).get("value", 0)),
        "days": int(r.get("daysSupply", {}).get("value", 0)),
        "substituted": bool(r.get("substitution", {}).get("wasSubstituted")),
    }  # fmt: skip


def _procedure(r: Json) -> Row:
    return {
        "id": r["id"], "patient": _id(r.get("subject")), "encounter": _id(r.get("encounter")), **_concept("procedure", r.get("code")),
        "performed": r.get("performedDateTime"),
    }  # fmt: skip


def _immunization(r: Json) -> Row:
    return {
        "id": r["id"], "patient": _id(r.get("patient")), **_concept("vaccine", r.get("vaccineCode")),
        "given": r.get("occurrenceDateTime"), "dose": (r.get("protocolApplied") or [{}])[0].get("doseNumberPositiveInt"),
    }  # fmt: skip


def _claim(r: Json) -> Row:
    return {
        "id": r["id"], "patient": _id(r.get("patient")), "insurer": _id(r.get("insurer")), "provider": _id(r.get("provider")),
        "created": r.get("created"), "items": len(r.get("item", ())), "total_rials": float(r.get("total", {}).get("value", 0)),
    }  # fmt: skip


def _one(make: Callable[[Json], Row]) -> Callable[[Json], list[Row]]:
    return lambda resource: [make(resource)]


TABLES: dict[str, tuple[str, Callable[[Json], list[Row]]]] = {
    "Patient": ("patients", _one(_patient)),
    "Encounter": ("encounters", _one(_encounter)),
    "Condition": ("conditions", _one(_condition)),
    "Observation": ("observations", _observation),
    "MedicationRequest": ("prescription_items", _one(_request)),
    "MedicationDispense": ("dispenses", _one(_dispense)),
    "Procedure": ("procedures", _one(_procedure)),
    "Immunization": ("immunizations", _one(_immunization)),
    "Claim": ("claims", _one(_claim)),
}
"""Resource type -> (table, rows of a resource)."""

INTEGERS = frozenset(("days", "diagnoses", "items", "dose"))
FLOATS = frozenset(("value", "quantity", "total_rials"))
BOOLEANS = frozenset(("substituted",))
COLUMNS: dict[str, list[str]] = {
    "patients": ["id", "sex", "birth_date", "death_date", "province", "city", "marital_status"],
    "encounters": ["id", "patient", "class", "start", "end", "provider", "service_system", "service_code", "service_fa", "diagnoses"],
    "conditions": ["id", "patient", "encounter", "diagnosis_system", "diagnosis_code", "diagnosis_fa", "status", "onset", "abatement",
                   "recorded"],
    "observations": ["id", "patient", "encounter", "category", "time", "test_system", "test_code", "test_fa", "value", "unit",
                     "result_code"],
    "prescription_items": ["id", "patient", "encounter", "drug_code", "atc", "drug_fa", "authored", "quantity", "days", "prescription"],
    "dispenses": ["id", "patient", "request", "drug_code", "atc", "drug_fa", "handed_over", "quantity", "days", "substituted"],
    "procedures": ["id", "patient", "encounter", "procedure_system", "procedure_code", "procedure_fa", "performed"],
    "immunizations": ["id", "patient", "vaccine_system", "vaccine_code", "vaccine_fa", "given", "dose"],
    "claims": ["id", "patient", "insurer", "provider", "created", "items", "total_rials"],
}  # fmt: skip
