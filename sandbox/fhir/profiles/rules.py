"""ElementDefinitions of a profile as a tree: http://hl7.org/fhir/R4/elementdefinition.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.fhir import definitions

CORE: Final = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(slots=True)
class Rule:
    """What a profile says of one element, or of one slice of it; every field may be silent."""

    name: str
    path: str
    slice_name: str = ""
    minimum: int = 0
    maximum: int | None = None
    types: tuple[Mapping[str, Any], ...] = ()
    fixed: Any = None
    pattern: Any = None
    binding: tuple[str, str] = ("", "")
    """Strength and canonical of the value set."""
    constraints: list[Mapping[str, Any]] = field(default_factory=list)
    discriminators: tuple[tuple[str, str], ...] = ()
    closed: bool = False
    max_length: int | None = None
    bounds: tuple[Any, Any] = (None, None)
    children: dict[str, Rule] = field(default_factory=dict)
    slices: dict[str, Rule] = field(default_factory=dict)

    def child(self, name: str) -> Rule:
        """The rule of a child element or slice (`component:systolic`), made when it is not there yet."""
        element, _, slice_name = name.partition(":")
        found = self.children.get(element)
        if found is None:
            found = self.children[element] = Rule(element, f"{self.path}.{element}")
        for part in slice_name.split("/") if slice_name else ():
            known = found.slices.get(part)
            if known is None:
                known = found.slices[part] = Rule(element, found.path, part)
            found = known
        return found


def rules_of(lineage: Sequence[Mapping[str, Any]]) -> Rule:
    """The rules of a profile; `lineage` starts with it and goes on with what it derives from.

    A snapshot says all by itself; without one the differentials are laid over each other, the base first.
    """
    kind = str(lineage[0]["type"])
    root = Rule(kind, kind)
    layers: list[Iterable[Mapping[str, Any]]] = []
    for definition in lineage:
        snapshot = (definition.get("snapshot") or {}).get("element")
        layers.append(snapshot or (definition.get("differential") or {}).get("element") or ())
        if snapshot:
            break
    for elements in reversed(layers):
        for element in elements:
            _apply(root, element)
    return root


def _apply(root: Rule, element: Mapping[str, Any]) -> None:
    rule = root
    for name in _steps(element):
        rule = rule.child(name)
    if "min" in element:
        rule.minimum = int(element["min"])
    if "max" in element:
        rule.maximum = None if element["max"] == "*" else int(element["max"])
    if element.get("type"):
        rule.types = tuple(element["type"])
    for key, value in element.items():
        if key.startswith("fixed"):
            rule.fixed = value
        elif key.startswith("pattern"):
            rule.pattern = value
    bound = element.get("binding")
    if bound and bound.get("valueSet"):
        rule.binding = (str(bound.get("strength", "")), str(bound["valueSet"]))
    known = {c.get("key") for c in rule.constraints}
    rule.constraints += [c for c in element.get("constraint") or () if c.get("key") not in known and not _is_core(c)]
    slicing = element.get("slicing")
    if slicing:
        rule.discriminators = tuple((d["type"], d["path"]) for d in slicing.get("discriminator") or ())
        rule.closed = slicing.get("rules") == "closed"
    rule.max_length = element.get("maxLength", rule.max_length)
    low = next((v for k, v in element.items() if k.startswith("minValue")), rule.bounds[0])
    high = next((v for k, v in element.items() if k.startswith("maxValue")), rule.bounds[1])
    rule.bounds = (low, high)


def _steps(element: Mapping[str, Any]) -> list[str]:
    """`Observation.component:systolic.value[x]` -> its names without the root; a path with `sliceName` says the same."""
    named = str(element.get("id") or element["path"])
    if ":" not in named:
        named = str(element["path"])
        if element.get("sliceName"):
            named += f":{element['sliceName']}"
    return _split(named)[1:]


def _split(text: str) -> list[str]:
    """Dots separate elements, but not inside a slice's name."""
    parts: list[str] = []
    for part in text.split("."):
        if parts and ":" in parts[-1] and not (part[:1].islower() or part[:1] == ""):
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return parts


def _is_core(constraint: Mapping[str, Any]) -> bool:
    """Whether the constraint is the core's own, which is judged with the base definition."""
    source = str(constraint.get("source") or "")
    if source.startswith(CORE) and definitions.is_type(source.removeprefix(CORE)):
        return True
    try:
        return definitions.constraint(str(constraint.get("key"))).expression == constraint.get("expression")
    except KeyError:
        return False


def targets_of(definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(resource type, canonical) of all that judging by a profile may need: what it derives from, and what it refers to."""
    wanted = [("StructureDefinition", str(definition.get("baseDefinition") or ""))]
    for part in ("snapshot", "differential"):
        for element in (definition.get(part) or {}).get("element") or ():
            for kind in element.get("type") or ():
                profiles = [*(kind.get("profile") or ()), *(kind.get("targetProfile") or ())]
                wanted += [("StructureDefinition", str(url)) for url in profiles]
            bound = (element.get("binding") or {}).get("valueSet")
            if bound:
                wanted.append(("ValueSet", str(bound)))
    plain = dict.fromkeys((kind, url.partition("|")[0]) for kind, url in wanted if url)
    return [(kind, url) for kind, url in plain if not definitions.is_type(url.removeprefix(CORE))]
