"""References between resources: what a reference string points at, and rewriting them.

http://hl7.org/fhir/R4/references.html#literal
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from sandbox.fhir.definitions import RESOURCE_TYPES

ReferenceKind = Literal["relative", "absolute", "urn", "contained", "other"]

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_VERSION = r"(?:/_history/([A-Za-z0-9\-.]{1,64}))?"
_RESTFUL: Final = re.compile(rf"(?:((?:https?)://.+)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{{1,64}}){_VERSION}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. `type` and `id` are empty unless it follows the RESTful form; `base` only when absolute.

    `contained` keeps the fragment in `id` ("" points at the container itself); `urn` and `other` keep only `raw`.
    """

    kind: ReferenceKind
    raw: str
    type: str = ""
    id: str = ""
    version: str = ""
    base: str = ""

    @property
    def versionless(self) -> str:
        """The reference without its `/_history/` part."""
        return self.raw.partition("/_history/")[0] if self.version else self.raw


def parse(raw: str, *, own_base: str = "") -> Reference:
    """Parse a reference; absolute ones under `own_base` (no trailing slash) count as relative."""
    if own_base and raw.startswith(own_base) and raw[len(own_base) : len(own_base) + 1] == "/":
        raw = raw[len(own_base) + 1 :]
    if raw.startswith("#"):
        return Reference("contained", raw, id=raw[1:])
    match = _RESTFUL.match(raw)
    if match is not None and match[2] in RESOURCE_TYPES:
        base, kind, fid, version = match.groups()
        return Reference("absolute" if base else "relative", raw, kind, fid, version or "", base or "")
    if raw.startswith(("urn:uuid:", "urn:oid:")):
        return Reference("urn", raw)
    return Reference("other", raw)


def is_id(value: object) -> bool:
    """Whether a value is a legal logical id (1 to 64 letters, digits, `-` and `.`)."""
    return isinstance(value, str) and ID_PATTERN.match(value) is not None


def walk(resource: Any) -> Iterator[dict[str, Any]]:
    """Every object of a resource that carries a literal `reference` string, depth first, without recursion."""
    stack = [resource]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get("reference"), str):
                yield node
            stack.extend(v for v in node.values() if isinstance(v, (dict, list)))
        elif isinstance(node, list):
            stack.extend(v for v in node if isinstance(v, (dict, list)))


def rewrite(resource: Any, replace: Callable[[str], str | None]) -> None:
    """Replace references in place: `replace` returns the new string, or None to leave one as it is."""
    for node in walk(resource):
        new = replace(node["reference"])
        if new is not None:
            node["reference"] = new
