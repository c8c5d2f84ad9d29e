"""Every coded concept that is emitted, encoded once, with its Persian and its English words."""

from functools import cache

from ..catalogue.tables import Drug, Service, Test, diagnoses, drugs, imaging, panels, procedures, tests
from ..world.providers import specialties
from . import systems
from .fragments import coding, concept, encode, v3


@cache
def diagnosis(code: str) -> bytes:
    """An ICD-10 concept."""
    row = diagnoses()[code]
    return encode(concept([coding(systems.ICD10, row.code, row.en)], row.fa))


@cache
def medication(key: str) -> bytes:
    """A drug, by its fictitious national code and its ATC code."""
    row: Drug = drugs()[key]
    codes = [coding(systems.DRUG, f"SBX-{key.replace('_', '-')}", f"{row.en} {row.strength} {row.form}")]
    codes.append(coding(systems.ATC, row.atc, row.en))
    return encode(concept(codes, f"{row.fa} {row.strength}"))


@cache
def test(key: str) -> bytes:
    """A laboratory test by LOINC, or by the product's own code where no LOINC code was confirmed."""
    row: Test = tests()[key]
    system, code = (systems.LOINC, row.loinc) if row.loinc else (systems.SERVICE, key.replace("_", "-"))
    return encode(concept([coding(system, code, row.en)], row.fa))


@cache
def panel(key: str) -> bytes:
    """A panel as it is ordered and reported."""
    row = panels()[key]
    return encode(concept([coding(systems.SERVICE, key.replace("_", "-"), row.en)], row.fa))


@cache
def service(key: str) -> bytes:
    """A procedure or an imaging study."""
    row: Service = procedures().get(key) or imaging()[key]
    return encode(concept([coding(systems.SERVICE, key.replace("_", "-"), row.en)], row.fa))


@cache
def specialty(code: str) -> bytes:
    """A field of practice."""
    row = specialties()[code]
    return encode(concept([coding(systems.SPECIALTY, code.replace("_", "-"), row.name_en)], row.name_fa))


@cache
def own(system: str, code: str, en: str, fa: str) -> bytes:
    """A concept of one of the product's own code systems."""
    return encode(concept([coding(system, code, en)], fa))


@cache
def hl7(system: str, code: str, en: str, fa: str) -> bytes:
    """A concept of one of HL7's code systems."""
    return encode(concept([v3(system, code, en)], fa))
