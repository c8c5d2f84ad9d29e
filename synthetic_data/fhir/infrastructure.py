"""Organizations, Locations, Practitioners, PractitionerRoles: the care network and the insurers."""

from collections.abc import Iterator
from typing import Any

from ..calendars import ISO, day_of
from ..population import PopulationSpec
from ..world.names import Name
from ..world.payers import Payer, payers
from ..world.places import Province, provinces
from ..world.providers import KINDS, Facility, Practitioner, network
from . import systems
from .fragments import Resource, coding, concept, reference, resource, v3
from .scheduling import schedules


def human_name(given: Name, family: Name, prefix: str | None = None) -> list[dict[str, Any]]:
    """A name in Persian script and, marked as such, in Latin letters."""
    official: dict[str, Any] = {
        "use": "official", "text": f"{given.fa} {family.fa}", "family": family.fa, "given": [given.fa],
    }  # fmt: skip
    if prefix:
        official["prefix"] = [prefix]
    latin = {
        "extension": [{"url": systems.REPRESENTATION, "valueCode": "ABC"}],
        "use": "usual", "text": f"{given.latin} {family.latin}", "family": family.latin, "given": [given.latin],
    }  # fmt: skip
    return [official, latin]


def _telecom(phone: str) -> list[dict[str, str]]:
    return [{"system": "phone", "value": phone, "use": "work"}]


def _organization(facility: Facility) -> Resource:
    kind = facility.kind
    city = facility.city
    return resource("Organization", facility.id, {
        "identifier": [{"system": systems.LEGAL_ENTITY_ID, "value": facility.legal_id}],
        "active": True,
        "type": [
            concept([v3("organization-type", "prov", "Healthcare Provider")], "ارائه‌دهندهٔ خدمات سلامت"),
            concept([coding(systems.FACILITY, kind.replace("_", "-"), KINDS[kind][1])], KINDS[kind][0]),
        ],
        "name": facility.name_fa,
        "alias": [facility.name_en],
        "telecom": _telecom(facility.phone),
        "address": [{"use": "work", "city": city.name_fa, "state": city.province.name_fa, "country": "IR"}],
    })  # fmt: skip


def _location(facility: Facility) -> Resource:
    city = facility.city
    kind = facility.kind
    return resource("Location", facility.location, {
        "status": "active",
        "name": facility.name_fa,
        "mode": "instance",
        "type": [concept([coding(systems.FACILITY, kind.replace("_", "-"), KINDS[kind][1])], KINDS[kind][0])],
        "address": {"use": "work", "city": city.name_fa, "state": city.province.name_fa, "country": "IR"},
        "position": {"longitude": city.longitude, "latitude": city.latitude},
        "managingOrganization": reference("Organization", facility.id),
    })  # fmt: skip


def _practitioner(person: Practitioner) -> Iterator[Resource]:
    specialty = person.specialty
    council = {"system": systems.MEDICAL_COUNCIL, "value": person.council}
    words = concept([coding(systems.SPECIALTY, specialty.code.replace("_", "-"), specialty.name_en)], specialty.name_fa)
    yield resource("Practitioner", person.id, {
        "identifier": [council],
        "active": True,
        "name": human_name(person.given, person.family),
        "gender": "female" if person.female else "male",
        "birthDate": ISO[person.birth].decode(),
        "qualification": [{"identifier": [council], "code": words}],
    })  # fmt: skip
    yield resource("PractitionerRole", person.role, {
        "active": True,
        "practitioner": reference("Practitioner", person.id),
        "organization": reference("Organization", person.facility.id),
        "specialty": [words],
        "location": [reference("Location", person.facility.location)],
        "telecom": _telecom(person.facility.phone),
    })  # fmt: skip


def payer_id(code: str) -> str:
    """The id of an insurer's Organization."""
    return f"o-payer-{code.lower()}"


def _payer(payer: Payer) -> Resource:
    return resource("Organization", payer_id(payer.code), {
        "identifier": [{"system": systems.PAYER, "value": payer.code}],
        "active": True,
        "type": [concept([v3("organization-type", "pay", "Payer")], "سازمان بیمه‌گر")],
        "name": payer.name_fa,
        "alias": [payer.name_en],
    })  # fmt: skip


def infrastructure(spec: PopulationSpec) -> Iterator[Resource]:
    """Insurers, then the network of the population's provinces, then its booking lists and free slots."""
    codes = spec.region
    for payer in payers():
        if payer.code != "NONE":
            yield _payer(payer)
    for province in provinces():
        if not codes or province.code in codes:
            yield from _province(province)
    yield from schedules(codes, day_of(spec.as_of))


def _province(province: Province) -> Iterator[Resource]:
    for city in network(province):
        for facility in city.facilities.values():
            yield _organization(facility)
            yield _location(facility)
        for person in city.own:
            yield from _practitioner(person)
