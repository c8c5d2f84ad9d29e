"""Who the Personas meet and who Counterparts speak for: organisations, practitioners, their Schedules; and cohorts of Personas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sandbox.workflows.codes import WEEKLY_HOURS, Resource, concept, set_extension
from sandbox.workflows.persona_parts import SPECIALTY, meta
from sandbox.workflows.records import pointer

_HOURS: Final = {
    "family": (
        "family-medicine",
        "پزشک خانواده",
        "نرگس",
        "امیری",
        "sat,sun,mon,tue,wed 08:30-11:30/30; thu 09:00-11:00/30",
    ),
    "cardiology": ("cardiology", "متخصص قلب و عروق", "شهاب", "کیانی", "sat,mon 15:00-18:00/30"),
    "paediatrics": ("paediatrics", "متخصص کودکان", "ترانه", "نظری", "sun,tue,thu 09:00-12:00/20"),
    "psychiatry": ("psychiatry", "روان‌پزشک", "سینا", "پرتوی", "mon,wed 16:00-19:00/45"),
}


def _organization(rid: str, code: str, name: str, alias: str) -> Resource:
    kind = concept("http://terminology.hl7.org/CodeSystem/organization-type", code)
    return {
        "resourceType": "Organization",
        "id": f"persona-{rid}",
        "meta": meta(),
        "active": True,
        "type": [kind],
        "name": name,
        "alias": [alias],
    }


def infrastructure() -> Iterator[Resource]:
    """Organisations, practitioners and their Schedules: who the Personas meet, and who Counterparts speak for."""
    yield _organization("hospital", "prov", "بیمارستان نمونهٔ گذر", "Gozar sample hospital")
    yield _organization("clinic", "prov", "درمانگاه نمونهٔ گذر", "Gozar sample clinic")
    yield _organization("pharmacy", "prov", "داروخانهٔ نمونهٔ یک", "Sample pharmacy one")
    yield _organization("pharmacy-2", "prov", "داروخانهٔ نمونهٔ دو", "Sample pharmacy two")
    yield _organization("laboratory", "prov", "آزمایشگاه نمونه", "Sample laboratory")
    yield _organization("insurer", "pay", "بیمه‌گر نمونه", "Sample insurer")
    yield {
        "resourceType": "Location",
        "id": "persona-clinic-place",
        "meta": meta(),
        "status": "active",
        "name": "درمانگاه نمونهٔ گذر، طبقهٔ همکف",
        "address": {"city": "تهران", "state": "تهران", "country": "IR"},
        "managingOrganization": pointer("Organization/persona-clinic"),
    }
    for key, (specialty, title, given, family, hours) in _HOURS.items():
        yield from _practice(key, specialty, title, given, family, hours)


def _practice(key: str, specialty: str, title: str, given: str, family: str, hours: str) -> Iterator[Resource]:
    skill = concept(SPECIALTY, specialty) | {"text": title}
    doctor = f"persona-dr-{key}"
    yield {
        "resourceType": "Practitioner",
        "id": doctor,
        "meta": meta(),
        "active": True,
        "name": [{"use": "official", "text": f"{given} {family}", "family": family, "given": [given]}],
        "qualification": [{"code": skill}],
    }
    yield {
        "resourceType": "PractitionerRole",
        "id": f"persona-role-{key}",
        "meta": meta(),
        "active": True,
        "practitioner": pointer(f"Practitioner/{doctor}"),
        "organization": pointer("Organization/persona-clinic"),
        "specialty": [skill],
        "location": [pointer("Location/persona-clinic-place")],
    }
    schedule: Resource = {
        "resourceType": "Schedule",
        "id": f"persona-schedule-{key}",
        "meta": meta(),
        "active": True,
        "specialty": [skill],
        "actor": [pointer(f"Practitioner/{doctor}"), pointer("Location/persona-clinic-place")],
    }
    set_extension(schedule, WEEKLY_HOURS, "String", hours)
    yield schedule


_COHORTS: Final = {
    "chronic": (
        "People who live with a chronic disease",
        (
            "elderly",
            "thalassaemia",
            "diabetic-child",
            "interaction-trap",
            "duplicate-trap",
            "asthma-child",
            "cancer",
            "withheld",
        ),
    ),
    "small": ("Too few to be exported without naming them", ("pregnant", "infant")),
}


def cohorts() -> Iterator[Resource]:
    """Groups of Personas, for population data: one that may be exported, and one too small for it."""
    for name, (title, members) in _COHORTS.items():
        yield {
            "resourceType": "Group",
            "id": f"persona-cohort-{name}",
            "meta": meta(),
            "active": True,
            "type": "person",
            "actual": True,
            "name": title,
            "quantity": len(members),
            "member": [{"entity": pointer(f"Patient/persona-{member}")} for member in members],
        }
