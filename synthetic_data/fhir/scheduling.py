"""Schedule, Slot, Appointment. http://hl7.org/fhir/R4/appointment.html

Every clinic and hospital has a booking list of its own (a Schedule whose actor is its Location: several rooms work side by side). A
Slot belongs to exactly one Appointment, so nothing is booked twice. After the day of the population, provincial capitals
have free slots with named practitioners, for booking in the sandbox.
"""

from collections.abc import Iterator
from functools import cache

from ..calendars import CLOCK, ISO, OPEN_DAY
from ..life.record import Life
from ..world.places import provinces
from ..world.providers import Facility, Practitioner, network
from . import concepts
from .encounters import attending
from .fragments import META, Resource, encode, reference, resource

_BOOKABLE = ("clinic", "hospital")
_FREE = ("general_practice", "internal", "paediatrics")
_DAYS, _PER_DAY = 5, 4


def schedule_id(facility: Facility) -> str:
    """The id of a facility's booking list."""
    return f"sch-{facility.id[2:]}"


def _personal_id(person: Practitioner) -> str:
    return f"sch-{person.id[2:]}"


def schedules(codes: tuple[str, ...], as_of: int) -> Iterator[Resource]:
    """Booking lists of all facilities, and the free slots of the coming days."""
    for province in provinces():
        if codes and province.code not in codes:
            continue
        for city in network(province):
            for kind in _BOOKABLE:
                facility = city.facilities[kind]
                actors = [reference("Location", facility.location)]
                yield resource(
                    "Schedule", schedule_id(facility), {"active": True, "actor": actors, "comment": "نوبت‌دهی"}
                )
        for code in _FREE:
            yield from _free(network(province)[0].practitioners[code][0], as_of)


def _free(person: Practitioner, as_of: int) -> Iterator[Resource]:
    name = _personal_id(person)
    actors = [
        reference("Practitioner", person.id),
        reference("PractitionerRole", person.role),
        reference("Location", person.facility.location),
    ]
    yield resource("Schedule", name, {"active": True, "actor": actors})
    day = as_of
    for _ in range(_DAYS):
        day = OPEN_DAY[day + 1]
        for number in range(_PER_DAY):
            minute = 540 + 30 * number
            start, end = (f"{ISO[day].decode()}{CLOCK[day][m].decode()}" for m in (minute, minute + 20))
            yield resource("Slot", f"{name}-{day}-{number}", {
                "schedule": reference("Schedule", name), "status": "free", "start": start, "end": end,
            })  # fmt: skip


@cache
def _slot_middle(facility: str) -> bytes:
    return b"".join(
        (
            b'",',
            META,
            b',"schedule":',
            encode(reference("Schedule", f"sch-{facility[2:]}")),
            b',"status":"busy","start":"',
        )
    )


@cache
def _appointment_middle(specialty: str, status: bytes) -> bytes:
    return b"".join(
        (b'",', META, b',"status":"', status, b'","specialty":[', concepts.specialty(specialty), b'],"start":"')
    )


def write_booking(
    life: Life, name: str, physician: Practitioner, day: int, minute: int, status: bytes, minutes: int = 10
) -> None:
    """An Appointment and the Slot it takes; `name` is the id they are made of."""
    start = ISO[day] + CLOCK[day][minute]
    end = ISO[day] + CLOCK[day][min(1439, minute + minutes)]
    slot, text = f"{name}-s", f"{name}-a"
    place = encode(reference("Location", physician.facility.location))
    life.out.append(("Slot", slot, b"".join((
        b'{"resourceType":"Slot","id":"', slot.encode(), _slot_middle(physician.facility.id), start, b'","end":"', end, b'"}',
    ))))  # fmt: skip
    life.out.append(("Appointment", text, b"".join((
        b'{"resourceType":"Appointment","id":"', text.encode(), _appointment_middle(physician.specialty.code, status),
        start, b'","end":"', end, b'","slot":[{"reference":"Slot/', slot.encode(),
        b'"}],"participant":[{"actor":{"reference":"Patient/', life.pid, b'"},"status":"accepted"},{"actor":', place,
        b',"status":"accepted"},{"actor":', attending(physician), b',"status":"accepted"}]}',
    ))))  # fmt: skip
