"""Imperfections on demand: realistic defects, each labelled in `meta.tag`, for people who train their data cleaning.

Every defect is drawn from its own stream, so asking for one does not move the others, and the resources stay valid FHIR.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import orjson

from .fhir import systems
from .fhir.fragments import Resource
from .population import PopulationSpec
from .randomness import mix64, stream_key

Json = dict[str, Any]

WORDS = {
    "duplicate_patient": "the same person registered twice, with the name written a little differently",
    "arabic_letters": "Arabic yeh and kaf in place of the Persian letters",
    "missing_field": "an expected field is missing",
    "swapped_fields": "given name and family name are exchanged",
    "late_result": "a result issued weeks after the sample",
    "wrong_unit": "a glucose value whose unit is not its own",
}
_ARABIC = str.maketrans("یک", "يك")


def _label(resource: Json, name: str) -> None:
    tag = {"system": systems.IMPERFECTION, "code": name.replace("_", "-"), "display": WORDS[name]}
    resource["meta"].setdefault("tag", []).append(tag)


def _changed(resource: Resource, name: str, change: Callable[[Json], None]) -> Resource:
    kind, identifier, content = resource
    value = orjson.loads(content)
    change(value)
    _label(value, name)
    return kind, identifier, orjson.dumps(value)


def _swap(patient: Json) -> None:
    for name in patient["name"]:
        name["family"], name["given"] = " ".join(name["given"]), [name["family"]]


def _arabic(patient: Json) -> None:
    for name in patient["name"]:
        name["text"] = name["text"].translate(_ARABIC)
        name["family"] = name["family"].translate(_ARABIC)
        name["given"] = [given.translate(_ARABIC) for given in name["given"]]


def _without(field: str) -> Callable[[Json], None]:
    def change(patient: Json) -> None:
        patient.pop(field, None)

    return change


def _mmol(observation: Json) -> None:
    observation["valueQuantity"].update(unit="mmol/L", code="mmol/L")


class Spoiler:
    """Puts the asked-for share of each imperfection into people's resources."""

    def __init__(self, spec: PopulationSpec) -> None:
        self._shares = {name: share for name, share in spec.imperfections.items() if share > 0}
        self._keys = {name: stream_key(f"imperfection:{spec.seed}:{name}") for name in WORDS}

    def _draw(self, name: str, identifier: str) -> float:
        return (mix64(stream_key(identifier) ^ self._keys[name]) >> 11) * 2.0**-53

    def _hit(self, name: str, identifier: str) -> bool:
        share = self._shares.get(name)
        return share is not None and self._draw(name, identifier) < share

    def spoil(self, label: str, resources: list[Resource]) -> list[Resource]:
        """The resources of one person with their imperfections; the same list when there are none to make."""
        if not self._shares:
            return resources
        made = [self._resource(resource) for resource in resources]
        patient = next((index for index, resource in enumerate(made) if resource[0] == "Patient"), None)
        if patient is not None:
            made[patient] = self._patient(label, made[patient])
            if self._hit("duplicate_patient", label):
                made.insert(patient + 1, _changed(_copy(resources[patient]), "duplicate_patient", _rewritten))
        return made

    def _patient(self, label: str, patient: Resource) -> Resource:
        if self._hit("swapped_fields", label):
            patient = _changed(patient, "swapped_fields", _swap)
        if self._hit("arabic_letters", label):
            patient = _changed(patient, "arabic_letters", _arabic)
        if self._hit("missing_field", label):
            fields = ("telecom", "address", "birthDate", "gender")
            field = fields[int(self._draw("missing_field", f"{label}:which") * len(fields))]
            patient = _changed(patient, "missing_field", _without(field))
        return patient

    def _resource(self, resource: Resource) -> Resource:
        kind, identifier, content = resource
        if kind == "Observation" and b'"1558-6"' in content and self._hit("wrong_unit", identifier):
            return _changed(resource, "wrong_unit", _mmol)
        if kind == "DiagnosticReport" and self._hit("late_result", identifier):
            return _changed(resource, "late_result", self._late(identifier))
        return resource

    def _late(self, identifier: str) -> Callable[[Json], None]:
        days = 14 + int(self._draw("late_result", f"{identifier}:days") * 30)

        def change(report: Json) -> None:
            issued = report["issued"]
            report["issued"] = (date.fromisoformat(issued[:10]) + timedelta(days=days)).isoformat() + issued[10:]

        return change


def _copy(patient: Resource) -> Resource:
    kind, identifier, content = patient
    twin = f"{identifier}-twin"
    return kind, twin, content.replace(f'"id":"{identifier}"'.encode(), f'"id":"{twin}"'.encode(), 1)


def _rewritten(patient: Json) -> None:
    patient.pop("link", None)
    patient["telecom"] = patient["telecom"][1:]
    for name in patient["name"]:
        name["text"] = name["text"].replace("\u200c", " ").replace(" ", "  ")
        name["family"] = name["family"].replace("\u200c", "")
