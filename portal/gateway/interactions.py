"""FHIR method and path to Interaction: what right it needs, what it costs, how the request log names it.

Source: FHIR R4 http.html (summary table) and SMART App Launch 2.2 §3.0.2.3 for the letters. The exchange judges the fine rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from portal.gateway.scopes import ANY, CREATE, DELETE, READ, SEARCH, UPDATE

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OPERATION = re.compile(r"\$[a-z][a-z0-9\-]{0,63}")
# What one call weighs against burst and sustained limits; everything not named weighs 1. Quota always counts calls.
COSTS = {"$everything": 5, "bundle": 5, "$export": 20}
PAGE = 100
"""Entries of a search page that weigh 1: `_count=250` weighs 3."""
_COUNT = re.compile(rb"(?:^|&)_count=(\d{1,9})(?=&|$)")
MOST_FOR_PAGES = 10


@dataclass(frozen=True, slots=True)
class Interaction:
    """One FHIR interaction. `kind` is the resource type, or empty at system level; `needed` letters of which one is enough."""

    name: str
    template: str
    kind: str = ""
    needed: int = ANY
    cost: int = 1
    public: bool = False
    writes: bool = False


def weight(interaction: Interaction, query: bytes) -> int:
    """What a call weighs, its page size included."""
    if b"_count=" not in query:
        return interaction.cost
    found = _COUNT.search(query)
    pages = -(-int(found[1]) // PAGE) if found else 1
    return max(interaction.cost, min(pages, MOST_FOR_PAGES))


PARTNER_READ = Interaction("call", "/", needed=ANY)
PARTNER_WRITE = Interaction("call", "/", needed=ANY, writes=True)
"""A call to a partner Product: the gateway knows only whether it reads or writes."""


class UnknownInteraction(Exception):
    """No FHIR interaction has this shape."""


class MethodNotAllowed(Exception):
    """The path exists, but not with this method; `allow` lists those that do."""

    def __init__(self, allow: str) -> None:
        super().__init__(allow)
        self.allow = allow


def interaction(method: str, segments: list[str]) -> Interaction:
    """The Interaction of a request below the FHIR base; raises `UnknownInteraction` or `MethodNotAllowed`."""
    depth = len(segments)
    if depth == 0:
        return _by_method("", "", method)
    if depth == 1:
        return _of_one(method, segments[0])
    head = segments[0]
    if head == ".well-known" and depth == 2:
        return _by_method("well-known", "", method)
    if not _TYPE.fullmatch(head):
        raise UnknownInteraction
    if depth == 2:
        return _of_two(method, head, segments[1])
    if depth == 3:
        return _of_three(method, head, segments)
    if depth == 4 and segments[2] == "_history" and _ID.fullmatch(segments[1]) and _ID.fullmatch(segments[3]):
        return _by_method("version", head, method)
    if depth == 4 and segments[3] == "_search" and _ID.fullmatch(segments[1]) and _TYPE.fullmatch(segments[2]):
        return _by_method("compartment-search", segments[2], method, head)
    raise UnknownInteraction


def _of_one(method: str, segment: str) -> Interaction:
    if segment in ("metadata", "openapi.json", "_history", "_search"):
        return _by_method(segment, "", method)
    if segment[0] == "$" and _OPERATION.fullmatch(segment):
        return _by_method("operation", "", method, segment)
    if _TYPE.fullmatch(segment):
        return _by_method("type", segment, method)
    raise UnknownInteraction


def _of_two(method: str, kind: str, second: str) -> Interaction:
    if second in ("_search", "_history"):
        return _by_method(f"type{second}", kind, method)
    if second[0] == "$" and _OPERATION.fullmatch(second):
        return _by_method("type-operation", kind, method, second)
    if _ID.fullmatch(second):
        return _by_method("instance", kind, method)
    raise UnknownInteraction


def _of_three(method: str, kind: str, segments: list[str]) -> Interaction:
    _, second, third = segments
    if second[0] == "$" or not _ID.fullmatch(second):
        raise UnknownInteraction
    if third == "_history":
        return _by_method("instance_history", kind, method)
    if third[0] == "$" and _OPERATION.fullmatch(third):
        return _by_method("instance-operation", kind, method, third)
    if third == "*" or _TYPE.fullmatch(third):
        return _by_method("compartment", "" if third == "*" else third, method, kind)
    raise UnknownInteraction


# shape -> method -> (name, letters, writes); `GET` also answers HEAD.
_SHAPES: dict[str, dict[str, tuple[str, int, bool]]] = {
    "": {"GET": ("search-system", SEARCH, False), "POST": ("bundle", ANY, True)},
    "metadata": {"GET": ("capabilities", 0, False)},
    "openapi.json": {"GET": ("capabilities", 0, False)},
    "well-known": {"GET": ("discovery", 0, False)},
    "_history": {"GET": ("history-system", SEARCH, False)},
    "_search": {"POST": ("search-system", SEARCH, False)},
    "operation": {
        "GET": ("operation", ANY, False),
        "POST": ("operation", ANY, False),
        "DELETE": ("operation", ANY, False),
    },
    "type": {
        "GET": ("search-type", SEARCH, False),
        "POST": ("create", CREATE, True),
        "PUT": ("update-conditional", UPDATE, True),
        "PATCH": ("patch-conditional", UPDATE, True),
        "DELETE": ("delete-conditional", DELETE, True),
    },
    "type_search": {"POST": ("search-type", SEARCH, False)},
    "type_history": {"GET": ("history-type", SEARCH, False)},
    "type-operation": {"GET": ("operation", ANY, False), "POST": ("operation", ANY, False)},
    "instance": {
        "GET": ("read", READ, False),
        "PUT": ("update", UPDATE, True),
        "PATCH": ("patch", UPDATE, True),
        "DELETE": ("delete", DELETE, True),
    },
    "instance_history": {"GET": ("history-instance", READ, False)},
    "instance-operation": {"GET": ("operation", ANY, False), "POST": ("operation", ANY, False)},
    "version": {"GET": ("vread", READ, False)},
    "compartment": {"GET": ("search-compartment", SEARCH, False)},
    "compartment-search": {"POST": ("search-compartment", SEARCH, False)},
}
_TEMPLATES = {
    "": "/",
    "well-known": "/.well-known/{document}",
    "operation": "/{extra}",
    "type": "/{kind}",
    "type_search": "/{kind}/_search",
    "type_history": "/{kind}/_history",
    "type-operation": "/{kind}/{extra}",
    "instance": "/{kind}/{id}",
    "instance_history": "/{kind}/{id}/_history",
    "instance-operation": "/{kind}/{id}/{extra}",
    "version": "/{kind}/{id}/_history/{version}",
    "compartment": "/{extra}/{id}/{kind}",
    "compartment-search": "/{extra}/{id}/{kind}/_search",
}


@lru_cache(maxsize=8192)
def _by_method(shape: str, kind: str, method: str, extra: str = "") -> Interaction:
    offered = _SHAPES[shape]
    found = offered.get("GET" if method == "HEAD" else method)
    if found is None:
        raise MethodNotAllowed(", ".join((*offered, "HEAD") if "GET" in offered else offered))
    name, needed, writes = found
    template = _TEMPLATES.get(shape, f"/{shape}")
    if shape.startswith("compartment") and not kind:
        template = template.replace("{kind}", "*")
    template = template.replace("{kind}", kind).replace("{extra}", extra)
    return Interaction(
        name=name,
        template=template,
        kind=kind,
        needed=needed,
        cost=COSTS.get(extra) or COSTS.get(name, 1),
        public=needed == 0,
        writes=writes,
    )
