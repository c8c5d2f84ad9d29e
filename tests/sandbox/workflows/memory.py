"""One Tenant's records in memory: the twin of the exchange's, for properties over many sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.workflows.records import Event, copy, patient_of, ref
from sandbox.workflows.task_machine import Actor

Resource = dict[str, Any]


def _refs(name: str) -> Callable[[Resource], set[str]]:
    def found(resource: Resource) -> set[str]:
        node = resource.get(name, ())
        return {str(item.get("reference", "")) for item in (node if isinstance(node, list) else [node])}

    return found


def _tokens(name: str) -> Callable[[Resource], set[str]]:
    def found(resource: Resource) -> set[str]:
        nodes = resource.get(name, ())
        codings = [c for n in (nodes if isinstance(nodes, list) else [nodes]) for c in n.get("coding", ())]
        return {c["code"] for c in codings} | {f"{c.get('system', '')}|{c['code']}" for c in codings}

    return found


_PARAMS: dict[str, Callable[[Resource], set[str]]] = {
    "status": lambda r: {str(r.get("status", ""))},
    "patient": lambda r: {patient_of(r)},
    "identifier": lambda r: {f"{i.get('system', '')}|{i.get('value', '')}" for i in r.get("identifier", ())},
    "supporting_info": _refs("supportingInformation"),
    "prescription": _refs("authorizingPrescription"),
    "target": _refs("target"),
    "based_on": _refs("basedOn"),
    "beneficiary": _refs("beneficiary"),
    "request": _refs("request"),
    "code": _tokens("code"),
}


class MemoryRecords:
    """Resources by `Type/id`, timers and events, all inspectable."""

    def __init__(self, now: datetime, *resources: Resource, actor: Actor = Actor.APP) -> None:
        self.now = now
        self.actor = actor
        self.resources = {ref(r): copy(r) for r in resources}
        self.timers: list[tuple[datetime, str, str, dict[str, Any]]] = []
        self.events: list[Event] = []
        self._made = 0

    def advance(self, step: timedelta) -> None:
        self.now += step

    async def find_one(self, kind: str, rid: str) -> Resource | None:
        found = self.resources.get(f"{kind}/{rid}")
        return copy(found) if found else None

    async def search(self, kind: str, **criteria: str) -> list[Resource]:
        return [
            copy(r)
            for r in self.resources.values()
            if r["resourceType"] == kind and all(value in _PARAMS[name](r) for name, value in criteria.items())
        ]

    async def save(self, resource: Resource) -> Resource:
        stored = copy(resource)
        if "id" not in stored:
            self._made += 1
            stored["id"] = f"made-{self._made}"
        self.resources[ref(stored)] = stored
        return copy(stored)

    async def later(self, due: datetime, verb: str, subject: str, data: Mapping[str, Any]) -> None:
        self.timers.append((due, verb, subject, dict(data)))

    def tell(self, topic: str, subject: Resource, data: Mapping[str, Any]) -> None:
        self.events.append(Event(topic, subject["resourceType"], subject["id"], self.now, self.actor, dict(data)))

    def all(self, kind: str) -> list[Resource]:
        return [r for r in self.resources.values() if r["resourceType"] == kind]


NOW = datetime.fromisoformat("2026-11-28T05:30:00+00:00")  # Saturday 7 Azar 1405, 09:00 in Tehran


def patient(rid: str = "p1", **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": rid, "birthDate": "1980-05-05"} | more


def practitioner(rid: str = "dr1") -> Resource:
    return {"resourceType": "Practitioner", "id": rid}


def pharmacy(rid: str = "ph1") -> Resource:
    return {"resourceType": "Organization", "id": rid}


def slot(rid: str = "s1", *, hours: int = 48) -> Resource:
    start = NOW + timedelta(hours=hours)
    return {
        "resourceType": "Slot",
        "id": rid,
        "status": "free",
        "schedule": {"reference": "Schedule/sch1"},
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=20)).isoformat(),
    }


def schedule() -> Resource:
    return {"resourceType": "Schedule", "id": "sch1", "actor": [{"reference": "Practitioner/dr1"}]}
