"""The port every Workflow works through: one Tenant's records inside one transaction, at one instant.

Whatever a verb reads is what its writes are judged on: the exchange runs the verbs of one Tenant one after another, so the
second of two racing calls sees what the first one wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import Resource
from sandbox.workflows.task_machine import Actor


class Records(Protocol):
    """Read and write one Tenant's resources; every write commits together or not at all."""

    @property
    def now(self) -> datetime:
        """The Tenant's clock, UTC; the same for the whole transaction."""
        ...

    @property
    def actor(self) -> Actor: ...

    async def find_one(self, kind: str, rid: str) -> Resource | None:
        """The live resource, or None when absent or hidden."""
        ...

    async def search(self, kind: str, **criteria: str) -> list[Resource]:
        """All live resources matching FHIR search parameters; a `_` stands for the `-` of a parameter's name."""
        ...

    async def save(self, resource: Resource) -> Resource:
        """Create (no id yet) or update (id given) and return what was stored."""
        ...

    async def later(self, due: datetime, verb: str, subject: str, data: Mapping[str, Any]) -> None:
        """Have the Tenant's clock run `verb` on `subject` (`Type/id`) when it reaches `due`."""
        ...

    def tell(self, topic: str, subject: Resource, data: Mapping[str, Any]) -> None:
        """Say what happened: it goes to the timeline, to subscribers and to Counterparts."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a Workflow, told once."""

    topic: str
    kind: str
    rid: str
    at: datetime
    actor: Actor
    data: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"{self.kind}/{self.rid}"


def copy(resource: Resource) -> Resource:
    """A deep copy: what a verb may change."""
    return {name: _copied(value) for name, value in resource.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return copy(value)
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def ref(resource: Resource) -> str:
    """`Type/id` of a stored resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def pointer(reference: str) -> Resource:
    return {"reference": reference}


def id_of(reference: str, kind: str) -> str:
    """The id in a reference to `kind` (relative, or absolute on any base); empty when it is none."""
    head, _, rid = reference.partition("/_history/")[0].rpartition("/")
    return rid if head == kind or head.endswith(f"/{kind}") else ""


async def need(records: Records, reference: str, kind: str, *, where: str) -> Resource:
    """The resource a parameter points at; `UnprocessableError` naming `where` when it is not there."""
    rid = id_of(reference, kind)
    found = await records.find_one(kind, rid) if rid else None
    if found is None:
        raise UnprocessableError(
            Text(
                f"{where} must reference an existing {kind}; '{reference}' is none.",
                f"پارامتر «{where}» باید به یک {kind} موجود ارجاع دهد؛ «{reference}» چنین نیست.",
            ),
            code="not-found",
            expression=(where,),
        )
    return copy(found)


def stamp(moment: datetime) -> str:
    """FHIR instant, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """The instant of a FHIR dateTime with zone, or the start of a FHIR date (whole or partial) in Tehran (UTC+03:30)."""
    if len(text) <= 10:
        return datetime.fromisoformat(f"{(text + '-01-01')[:10]}T00:00:00+03:30").astimezone(UTC)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


@contextmanager
def complete(what: str) -> Iterator[None]:
    """A step needs elements that FHIR leaves optional: one that is missing is named, instead of failing the server."""
    try:
        yield
    except (KeyError, IndexError) as missing:
        name = str(missing.args[0]) if isinstance(missing, KeyError) and missing.args else "?"
        raise UnprocessableError(
            Text(
                f"{what} cannot go on: a resource it works on lacks the element '{name}'.",
                f"«{what}» پیش نمی‌رود: در یکی از منابع آن عنصر «{name}» نیست.",
            ),
            code="required",
        ) from missing


def after(records: Records, **delta: float) -> datetime:
    """The instant that much later on the Tenant's clock (`minutes=10`)."""
    return records.now + timedelta(**delta)


def patient_of(resource: Resource) -> str:
    """The patient a resource is about (`Patient/id`), from the elements Workflows use; empty when none."""
    for name in ("subject", "patient", "beneficiary", "for"):
        reference = str(resource.get(name, {}).get("reference", ""))
        if id_of(reference, "Patient"):
            return reference
    for participant in resource.get("participant", ()):
        reference = str(participant.get("actor", {}).get("reference", ""))
        if id_of(reference, "Patient"):
            return reference
    return ""
