"""What the record says of a patient when a prescription is checked or a claim judged."""

from __future__ import annotations

from datetime import datetime

from sandbox.workflows.codes import Resource
from sandbox.workflows.drug_catalogue import Drug, catalogue
from sandbox.workflows.prescription_checks import Known, allergy_causes
from sandbox.workflows.records import Records, id_of, parse_instant, ref

_PREGNANCY_OBSERVATION = "82810-3"
_PREGNANT = frozenset({"77386006", "LA15173-0"})
_YEAR_DAYS = 365.2425


async def known_of(records: Records, patient: str, *, apart: frozenset[str] = frozenset()) -> Known:
    """Age, pregnancy, allergies, drugs in use and coverage of `Patient/id`; orders in `apart` do not count as in use."""
    person = await records.find_one("Patient", id_of(patient, "Patient")) or {}
    allergies: set[str] = set()
    for allergy in await records.search("AllergyIntolerance", patient=patient):
        if _clinical(allergy) in {"", "active"}:
            allergies |= allergy_causes(allergy)
    return Known(
        age=age_in_years(person, records.now),
        pregnant=await _pregnant(records, patient),
        allergies=frozenset(allergies),
        current=await _in_use(records, patient, apart),
        insured=await active_coverage(records, patient) is not None,
    )


def age_in_years(patient: Resource, now: datetime) -> float | None:
    """Years since birthDate; a partial date counts from its start."""
    text = str(patient.get("birthDate", ""))
    if not text:
        return None
    born = datetime.fromisoformat(f"{(text + '-01-01')[:10]}T00:00:00+03:30")
    return (now - born).days / _YEAR_DAYS


def _clinical(resource: Resource) -> str:
    return next((str(c.get("code", "")) for c in resource.get("clinicalStatus", {}).get("coding", ())), "")


async def _pregnant(records: Records, patient: str) -> bool:
    observations = await records.search("Observation", patient=patient, code=_PREGNANCY_OBSERVATION)
    if observations:
        newest = max(observations, key=lambda o: str(o.get("effectiveDateTime", "")))
        codings = newest.get("valueCodeableConcept", {}).get("coding", ())
        return any(c.get("code") in _PREGNANT for c in codings)
    for condition in await records.search("Condition", patient=patient):
        codes = [str(c.get("code", "")) for c in condition.get("code", {}).get("coding", ())]
        if _clinical(condition) in {"", "active"} and any(_means_pregnancy(code) for code in codes):
            return "abatementDateTime" not in condition
    return False


def _means_pregnancy(code: str) -> bool:
    """ICD-10 chapter O up to delivery, Z33 and Z34, or SNOMED CT's pregnancy."""
    return code in _PREGNANT or code[:3] in {"Z33", "Z34", "O24"} or (code[:1] == "O" and code[1:3] < "80")


async def _in_use(records: Records, patient: str, apart: frozenset[str]) -> tuple[Drug, ...]:
    orders = await records.search("MedicationRequest", patient=patient, status="active")
    drugs = [catalogue().find(o.get("medicationCodeableConcept", {})) for o in orders if ref(o) not in apart]
    return tuple(drug for drug in drugs if drug is not None)


async def active_coverage(records: Records, patient: str) -> Resource | None:
    """A Coverage of the patient that is active and whose period includes now."""
    for coverage in await records.search("Coverage", beneficiary=patient, status="active"):
        if covers(coverage, records.now):
            return coverage
    return None


def covers(coverage: Resource, now: datetime) -> bool:
    """Whether a Coverage's status and period include an instant; a period's end date counts whole."""
    period = coverage.get("period", {})
    start, end = str(period.get("start", "")), str(period.get("end", ""))
    if coverage.get("status") != "active" or (start and parse_instant(start) > now):
        return False
    if not end:
        return True
    return parse_instant(end) >= now or (len(end) == 10 and now.strftime("%Y-%m-%d") <= end)
