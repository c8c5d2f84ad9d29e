"""Names this sandbox gives to code systems, identifiers and extensions: the product's own, as the population has them."""

from __future__ import annotations

from typing import Any, Final

NATIONAL: Final = "https://gozar.example/fhir"
NATIONAL_CODE: Final = f"{NATIONAL}/sid/national-code"
PRESCRIPTION_CODE: Final = f"{NATIONAL}/sid/prescription-code"
REQUEST_KEY: Final = f"{NATIONAL}/sid/request-key"
DRUG: Final = f"{NATIONAL}/CodeSystem/drug"
ATC: Final = "http://www.whocc.no/atc"
LOINC: Final = "http://loinc.org"
STATE: Final = f"{NATIONAL}/CodeSystem/workflow-state"
CATEGORY: Final = f"{NATIONAL}/CodeSystem/workflow"
ALERT: Final = f"{NATIONAL}/CodeSystem/alert"
CHECK: Final = f"{NATIONAL}/CodeSystem/prescription-check"

HOLD_UNTIL: Final = f"{NATIONAL}/StructureDefinition/hold-until"
ANSWER_BY: Final = f"{NATIONAL}/StructureDefinition/answer-by"
JOIN_LINK: Final = f"{NATIONAL}/StructureDefinition/join-link"
RESERVED_BY: Final = f"{NATIONAL}/StructureDefinition/reserved-by"
RESERVED_UNTIL: Final = f"{NATIONAL}/StructureDefinition/reserved-until"
WEEKLY_HOURS: Final = f"{NATIONAL}/StructureDefinition/weekly-hours"

ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"

Resource = dict[str, Any]


def concept(system: str, code: str, display: str = "") -> Resource:
    """A CodeableConcept of one coding."""
    coding = {"system": system, "code": code}
    return {"coding": [coding | {"display": display}] if display else [coding]}


def has_code(node: Any, system: str, code: str | None = None) -> bool:
    """Whether a CodeableConcept, or a list of them, holds a coding of `system` (and `code`)."""
    nodes = node if isinstance(node, list) else [node]
    return any(
        coding.get("system") == system and code in (None, coding.get("code"))
        for item in nodes
        if isinstance(item, dict)
        for coding in item.get("coding", ())
    )


def code_of(node: Any, system: str) -> str:
    """The first code of `system` in a CodeableConcept (or list of them); empty when there is none."""
    nodes = node if isinstance(node, list) else [node]
    for item in nodes:
        for coding in item.get("coding", ()) if isinstance(item, dict) else ():
            if coding.get("system") == system:
                return str(coding.get("code", ""))
    return ""


def extension(resource: Resource, url: str) -> Any:
    """The value of an extension; None when the resource does not carry it."""
    for item in resource.get("extension", ()):
        if item.get("url") == url:
            return next((value for name, value in item.items() if name.startswith("value")), None)
    return None


def set_extension(resource: Resource, url: str, kind: str, value: Any) -> None:
    """Set (`value` given) or drop (`value` None) one extension; `kind` is the choice suffix, such as `Instant`."""
    kept = [item for item in resource.get("extension", ()) if item.get("url") != url]
    if value is not None:
        kept.append({"url": url, f"value{kind}": value})
    resource.pop("extension", None)
    if kept:
        resource["extension"] = kept


def identifier_of(resource: Resource, system: str) -> str:
    """The first identifier value of `system`; empty when there is none."""
    for item in resource.get("identifier", ()):
        if item.get("system") == system:
            return str(item.get("value", ""))
    return ""


def state_tag(resource: Resource) -> str:
    """The Workflow state a resource is tagged with; empty when none."""
    for tag in resource.get("meta", {}).get("tag", ()):
        if tag.get("system") == STATE:
            return str(tag.get("code", ""))
    return ""


def set_state_tag(resource: Resource, state: str) -> None:
    """Tag a resource with its Workflow state, so that `_tag` finds it."""
    meta = dict(resource.get("meta", {}))
    tags = [tag for tag in meta.get("tag", ()) if tag.get("system") != STATE]
    resource["meta"] = meta | {"tag": [*tags, {"system": STATE, "code": state}]}
