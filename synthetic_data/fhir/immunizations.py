"""Immunization. http://hl7.org/fhir/R4/immunization.html"""

from functools import cache

from ..calendars import ISO
from ..life.record import Run, Visit
from ..world.tables import load
from . import systems
from .fragments import META, coding, concept, encode, reference


@cache
def _middle(cvx: str) -> bytes:
    words = load("vaccination")["vaccines"][cvx]
    code = encode(concept([coding(systems.CVX, cvx, words["en"])], words["fa"]))
    return b"".join((b'",', META, b',"status":"completed","vaccineCode":', code, b","))


@cache
def _centre(identifier: str) -> bytes:
    return (
        b',"performer":[{"actor":'
        + encode(reference("Organization", identifier))
        + b'}],"protocolApplied":[{"doseNumberPositiveInt":'
    )


def write_immunization(run: Run, visit: Visit | None, cvx: str, dose: int, day: int) -> None:
    """One dose; `visit` is missing when it lies before the written history."""
    name, id_ = run.new_id()
    life = run.life
    encounter = b'"encounter":{"reference":"Encounter/' + visit.id + b'"},' if visit else b""
    centre = life.home.network.facilities["health_centre"].id
    life.out.append(("Immunization", name, b"".join((
        b'{"resourceType":"Immunization","id":"', id_, _middle(cvx), life.patient, encounter,
        b'"occurrenceDateTime":"', visit.start if visit else ISO[day],
        b'","primarySource":', b"true" if visit else b"false", _centre(centre), str(dose).encode(), b"}]}",
    ))))  # fmt: skip
