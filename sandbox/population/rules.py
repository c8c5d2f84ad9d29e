"""The rules of de-identification: pure, one resource at a time, keyed so that one App's ids and dates say nothing of another's.

HIPAA's Safe Harbor list (45 CFR 164.514(b)(2)) is the floor; on top of it dates keep their distances but not their places, and
what is rare among the exported people is said less exactly (k-anonymity, k = `SMALLEST`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from sandbox.population.shapes import SHAPES, Shape

SMALLEST: Final = 5
OLDEST: Final = 89
AGE_BAND: Final = "https://gozar.example/fhir/StructureDefinition/age-band"
LABELS: Final = (
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"},
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"},
)
_HTEST: Final = ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST")
_OWNERS: Final = ("subject", "patient", "beneficiary")
_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,39}|[A-Z]{1,8}|1?\d(?:\.\d)?|%")
# A coding passes when its system is public and its code looks as that system's codes do.
_SYSTEMS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("http://loinc.org", re.compile(r"(?:LA|LP)?\d{1,7}-\d")),
    ("http://snomed.info/sct", re.compile(r"(?!\d{10}\Z)\d{6,18}")),
    ("http://hl7.org/fhir/sid/icd-10", re.compile(r"[A-Z]\d{2}(?:\.[0-9A-Z]{1,4})?")),
    ("http://www.whocc.no/atc", re.compile(r"[A-Z](?:\d{2}(?:[A-Z](?:[A-Z](?:\d{2})?)?)?)?")),
    ("http://hl7.org/fhir/sid/cvx", re.compile(r"\d{1,4}")),
    ("http://unitsofmeasure.org", re.compile(r"[!-~]{1,30}")),
    ("http://terminology.hl7.org/CodeSystem/", re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}|\d{1,3}")),
    ("https://gozar.example/fhir/CodeSystem/", re.compile(r"[A-Za-z][A-Za-z0-9-]{0,59}")),
)
_DAY: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(T.+)?)?)?\Z")
PROVINCES: Final = frozenset(
    (
        "آذربایجان شرقی", "آذربایجان غربی", "اردبیل", "اصفهان", "البرز", "ایلام", "بوشهر", "تهران", "چهارمحال و بختیاری",
        "خراسان جنوبی", "خراسان رضوی", "خراسان شمالی", "خوزستان", "زنجان", "سمنان", "سیستان و بلوچستان", "فارس", "قزوین",
        "قم", "کردستان", "کرمان", "کرمانشاه", "کهگیلویه و بویراحمد", "گلستان", "گیلان", "لرستان", "مازندران", "مرکزی",
        "هرمزگان", "همدان", "یزد",
    )
)  # fmt: skip
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """What could single a patient out together: ten years of age, gender, province."""

    band: str
    gender: str
    province: str


def person_of(patient: Mapping[str, Any], today: date) -> Person:
    """The quasi-identifiers of a Patient; empty where they are not known."""
    provinces = [a.get("state") for a in patient.get("address", ()) if a.get("state") in PROVINCES]
    return Person(
        band_of(str(patient.get("birthDate", "")), today), str(patient.get("gender", "")), str([*provinces, ""][0])
    )


def band_of(born: str, today: date) -> str:
    """`40-49`, or `90+`; empty without a birth date."""
    match = _DAY.match(born)
    if match is None:
        return ""
    age = today.year - int(match[1]) - ((today.month, today.day) < (int(match[2] or 1), int(match[3] or 1)))
    return "90+" if age > OLDEST else f"{max(age, 0) // 10 * 10}-{max(age, 0) // 10 * 10 + 9}"


@dataclass(slots=True)
class Crowd:
    """How many of the exported people share their quasi-identifiers: what is rare is left out."""

    full: Counter[Person] = field(default_factory=Counter)
    without_place: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, person: Person) -> None:
        self.full[person] += 1
        self.without_place[(person.band, person.gender)] += 1

    def shown(self, person: Person) -> tuple[bool, bool]:
        """Whether the province, and whether the age, may be said."""
        return self.full[person] >= SMALLEST, self.without_place[(person.band, person.gender)] >= SMALLEST


class Mask:
    """The rules under one App's key. `crowd` is None for types other than Patient."""

    def __init__(
        self, secret: bytes, app: str, *, today: date, crowd: Crowd | None = None, left_out: frozenset[str]
    ) -> None:
        self._key = hmac.digest(secret, app.encode(), hashlib.sha256)
        self._today, self._crowd, self._left_out = today, crowd or Crowd(), left_out

    def __call__(self, resource: Resource) -> Resource | None:
        """What may leave of a resource; None when it may not leave at all."""
        rtype = resource["resourceType"]
        owner = resource["id"] if rtype == "Patient" else _owner(resource)
        if not owner or owner in self._left_out:
            return None
        labels = [*LABELS, *_test_label(resource)]
        made: Resource = {"resourceType": rtype, "id": self.key_of(rtype, resource["id"]), "meta": {"security": labels}}
        days = self.shift_of(owner)
        made |= self._kept(resource, SHAPES[rtype], days)
        return self._patient(made, resource, days) if rtype == "Patient" else made

    def key_of(self, rtype: str, rid: str) -> str:
        """The id under which this App knows a resource: the same in every export, another for every App."""
        return hmac.digest(self._key, f"{rtype}/{rid}".encode(), hashlib.sha256).hex()[:32]

    def shift_of(self, patient: str) -> int:
        """Days by which all dates of a patient move, -182 to 182 and never 0."""
        number = int.from_bytes(hmac.digest(self._key, f"shift/{patient}".encode(), hashlib.sha256)[:4])
        return number % 182 + 1 if number & 0x8000_0000 else -(number % 182 + 1)

    def _patient(self, made: Resource, patient: Resource, days: int) -> Resource:
        person = person_of(patient, self._today)
        place, age = self._crowd.shown(person)
        if place and person.province:
            made["address"] = [{"state": person.province, "country": "IR"}]
        if age and person.band:
            made["extension"] = [{"url": AGE_BAND, "valueString": person.band}]
            if person.band != "90+":
                made["birthDate"] = (shifted(str(patient["birthDate"]), days) or "")[:4]
        if person.band == "90+" and "deceasedDateTime" in made:
            made["deceasedBoolean"] = True
            del made["deceasedDateTime"]
        return made

    def _kept(self, node: Mapping[str, Any], shape: Shape, days: int) -> Resource:
        kept = {}
        for name, kind in shape.items():
            value = self._value(node[name], kind, days) if name in node else None
            if value is not None and value != []:
                kept[name] = value
        return kept

    def _value(self, value: Any, kind: Any, days: int) -> Any:
        if isinstance(value, list):
            return [made for item in value if (made := self._value(item, kind, days)) is not None]
        if isinstance(kind, dict):
            return (self._kept(value, kind, days) or None) if isinstance(value, dict) else None
        match kind:
            case "flag":
                return value if isinstance(value, bool) else None
            case "number":
                return value if _is_number(value) else None
            case "code":
                return value if isinstance(value, str) and _CODE.fullmatch(value) else None
            case "date":
                return shifted(value, days) if isinstance(value, str) else None
            case "coding":
                return coding_of(value)
            case "concept":
                codings = [made for item in _listed(value, "coding") if (made := coding_of(item))]
                return {"coding": codings} if codings else None
            case "quantity":
                return quantity_of(value)
            case "age":
                return _age(value)
        return self._reference(value)

    def _reference(self, value: Any) -> Resource | None:
        text = value.get("reference", "") if isinstance(value, dict) else ""
        rtype, slash, rid = text.partition("/") if isinstance(text, str) else ("", "", "")
        if rtype not in SHAPES or not slash or "/" in rid:
            return None
        return {"reference": f"{rtype}/{self.key_of(rtype, rid)}"}


def _owner(resource: Resource) -> str:
    """The patient whose record a resource belongs to; empty when it is nobody's."""
    for name in _OWNERS:
        node = resource.get(name)
        reference = node.get("reference", "") if isinstance(node, dict) else ""
        if isinstance(reference, str) and reference.startswith("Patient/"):
            return reference.removeprefix("Patient/").partition("/")[0]
    return ""


def _test_label(resource: Resource) -> Iterable[dict[str, str]]:
    """Synthetic data stays marked as such."""
    for label in resource.get("meta", {}).get("security", ()):
        if (label.get("system"), label.get("code")) == _HTEST:
            yield {"system": _HTEST[0], "code": _HTEST[1]}
            return


def coding_of(value: Any) -> Resource | None:
    """System and code of a Coding of a public system; its display and version are free text, and go."""
    if not isinstance(value, dict):
        return None
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return None
    for known, pattern in _SYSTEMS:
        if system == known or (
            known.endswith("/") and system.startswith(known) and system.removeprefix(known).isascii()
        ):
            return {"system": system, "code": code} if pattern.fullmatch(code) else None
    return None


def quantity_of(value: Any) -> Resource | None:
    """Number and coded unit; a unit without a code is free text."""
    if not isinstance(value, dict) or not _is_number(value.get("value")):
        return None
    made: Resource = {"value": value["value"]}
    if value.get("comparator") in {"<", "<=", ">=", ">"}:
        made["comparator"] = value["comparator"]
    unit = coding_of({"system": value.get("system"), "code": value.get("code")})
    return made | ({"unit": unit["code"], **unit} if unit else {})


def _age(value: Any) -> Resource | None:
    made = quantity_of(value)
    return made if made is not None and made["value"] <= OLDEST else None


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str | dict | list | None)


def _listed(node: Any, name: str) -> list[Any]:
    found = node.get(name, []) if isinstance(node, dict) else []
    return found if isinstance(found, list) else []


def shifted(text: str, days: int) -> str | None:
    """A date, dateTime or instant moved by days, as exact as it was; None for what is no date."""
    match = _DAY.match(text)
    if match is None:
        return None
    try:
        moved = date(int(match[1]), int(match[2] or 6), int(match[3] or 15)) + timedelta(days=days)
        if match[4]:
            datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    length = 10 if match[3] else 7 if match[2] else 4
    return moved.isoformat()[:length] + (match[4] or "")
