"""What the page shows, gathered from one person's FHIR resources."""

from base64 import b64decode
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from ..calendars import day_of
from ..fhir.fragments import Resource

Json = dict[str, Any]

CURVES = {
    "8480-6": "فشار سیستولی (میلی‌متر جیوه)",
    "4548-4": "هموگلوبین گلیکوزیله (درصد)",
    "13457-7": "کلسترول ال‌دی‌ال (میلی‌گرم در دسی‌لیتر)",
    "98979-8": "پالایش گلومرولی",
    "29463-7": "وزن (کیلوگرم)",
    "718-7": "هموگلوبین (گرم در دسی‌لیتر)",
}
"""LOINC codes that are drawn as curves."""


@dataclass
class Happening:
    """One entry of the timeline."""

    day: int
    title: str
    place: str = ""
    problems: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    note: str = ""


@dataclass
class Story:
    """One person, ready to be shown."""

    patient: Json
    problems: list[tuple[str, bool]]
    drugs: list[str]
    curves: dict[str, list[tuple[int, float]]]
    timeline: list[Happening]
    counts: dict[str, int]


def _day(text: str) -> int:
    return day_of(date.fromisoformat(text[:10]))


def _words(concept: Json | None) -> str:
    return str((concept or {}).get("text", ""))


def _target(reference: Json | None) -> str:
    return str((reference or {}).get("reference", ""))


def read_person(resources: list[Resource], places: dict[str, str]) -> Story:
    """Sort out a batch; `places` gives the names of Organizations by reference."""
    by_kind: dict[str, list[Json]] = defaultdict(list)
    for kind, _, content in resources:
        by_kind[kind].append(orjson.loads(content))
    conditions = {f"Condition/{c['id']}": c for c in by_kind["Condition"]}
    problems = {
        _words(c["code"]): c["clinicalStatus"]["coding"][0]["code"] == "active"
        for c in sorted(by_kind["Condition"], key=lambda c: str(c["onsetDateTime"]))
    }  # fmt: skip
    drugs = {_words(r["medicationCodeableConcept"]) for r in by_kind["MedicationRequest"] if r["status"] == "active"}
    timeline = [*_visits(by_kind, conditions, places), *_landmarks(by_kind)]
    timeline.sort(key=lambda happening: happening.day, reverse=True)
    return Story(
        by_kind["Patient"][0], list(problems.items()), sorted(drugs), _curves(by_kind["Observation"]), timeline,
        {kind: len(found) for kind, found in sorted(by_kind.items())},
    )  # fmt: skip


def _curves(observations: list[Json]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for observation in observations:
        for part in (observation, *observation.get("component", ())):
            code = part["code"]["coding"][0]["code"]
            if code in CURVES and "valueQuantity" in part:
                found[code].append((_day(observation["effectiveDateTime"]), float(part["valueQuantity"]["value"])))
    return {code: sorted(found[code]) for code in CURVES if len(found[code]) > 1}


def _visits(by_kind: dict[str, list[Json]], conditions: dict[str, Json], places: dict[str, str]) -> list[Happening]:
    made = {}
    for encounter in by_kind["Encounter"]:
        problems = [_words(conditions[_target(d["condition"])]["code"]) for d in encounter.get("diagnosis", ())]
        problems += [_words(reason) for reason in encounter.get("reasonCode", ())]
        title = f"{_words(encounter['type'][0])}، {_words(encounter.get('serviceType'))}"
        place = places.get(_target(encounter.get("serviceProvider")), "")
        made[f"Encounter/{encounter['id']}"] = Happening(_day(encounter["period"]["start"]), title, place, problems)
    for kind, field_name in (
        ("MedicationRequest", "medicationCodeableConcept"), ("DiagnosticReport", "code"), ("Procedure", "code"),
        ("Immunization", "vaccineCode"),
    ):  # fmt: skip
        for resource in by_kind[kind]:
            visit = made.get(_target(resource.get("encounter")))
            if visit is not None:
                visit.items.append(_words(resource[field_name]))
    for document in by_kind["DocumentReference"]:
        visit = made.get(_target(document["context"]["encounter"][0]))
        if visit is not None:
            lines = b64decode(document["content"][0]["attachment"]["data"]).decode().splitlines()
            visit.note = lines[3] if len(lines) > 3 else ""
    return list(made.values())


def _landmarks(by_kind: dict[str, list[Json]]) -> list[Happening]:
    """What is known from before the written history, birth and death."""
    patient = by_kind["Patient"][0]
    made = [Happening(_day(patient["birthDate"]), "تولد")] if "birthDate" in patient else []
    if "deceasedDateTime" in patient:
        made.append(Happening(_day(patient["deceasedDateTime"]), "درگذشت"))
    doses: dict[int, list[str]] = defaultdict(list)
    for dose in by_kind["Immunization"]:
        if "encounter" not in dose:
            doses[_day(dose["occurrenceDateTime"])].append(_words(dose["vaccineCode"]))
    made += [Happening(day, "واکسیناسیون", items=items) for day, items in doses.items()]
    for condition in by_kind["Condition"]:
        if "encounter" not in condition:
            made.append(Happening(_day(condition["onsetDateTime"]), "تشخیص", problems=[_words(condition["code"])]))
    for procedure in by_kind["Procedure"]:
        if "encounter" not in procedure:
            made.append(Happening(_day(procedure["performedDateTime"]), _words(procedure["code"])))
    return made
