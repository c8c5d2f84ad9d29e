"""The list of all imperfections of a population: what was spoilt, where, and what stood there before.

The clean population and the spoilt one are made side by side, so the list holds exactly what differs, whatever format was written.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from .fhir import systems
from .fhir.fragments import Resource
from .generator import Simulation
from .imperfections import Spoiler
from .population import PopulationSpec

Fault = dict[str, Any]


def faults(spec: PopulationSpec) -> Iterator[Fault]:
    """Every fault of a population, in the order of its people.

    Each has `kind` (the name of the imperfection), `resource` ("Patient/..."), `field` (of the resource), `original` (the value
    that stood there, None where there was none) and `found` (what stands there now, None where it was removed). Of a patient
    registered twice the field is "id" and the original is the other Patient.
    """
    clean, spoiler = Simulation(spec.with_(imperfections={})), Spoiler(spec)
    for shard in clean.shards():
        for batch in clean.batches(shard):
            before = {(kind, identifier): content for kind, identifier, content in batch.resources}
            for spoilt in spoiler.spoil(batch.label, batch.resources):
                if before.get(spoilt[:2]) != spoilt[2]:
                    yield from _differences(batch.label, before.get(spoilt[:2]), spoilt)


def _differences(label: str, before: bytes | None, spoilt: Resource) -> Iterator[Fault]:
    kind, identifier, content = spoilt
    now: dict[str, Any] = orjson.loads(content)
    names = [
        tag["code"].replace("-", "_") for tag in now["meta"].get("tag", ()) if tag["system"] == systems.IMPERFECTION
    ]
    place = f"{kind}/{identifier}"
    if before is None:
        original = f"{kind}/{label}"
        yield {"kind": names[0], "resource": place, "field": "id", "original": original, "found": place}
        return
    then: dict[str, Any] = orjson.loads(before)
    for field in sorted((then.keys() | now.keys()) - {"meta"}):
        if then.get(field) != now.get(field):
            name = _responsible(names, field, now.get(field))
            yield {
                "kind": name,
                "resource": place,
                "field": field,
                "original": then.get(field),
                "found": now.get(field),
            }


def _responsible(names: list[str], field: str, found: Any) -> str:
    """Which of a resource's imperfections touched a field; names that are both exchanged and misspelt belong to both."""
    if found is None:
        return "missing_field"
    touching = [name for name in names if name != "missing_field"]
    return "+".join(touching if field == "name" else touching[:1])
