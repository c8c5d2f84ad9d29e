"""The one table of FHIR routes; the router and the CapabilityStatement both read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.exchange import bundles, history, reading, searching, writing
from sandbox.exchange.seams import Handler

Shape = Literal["system", "type", "instance", "history", "version", "search", "compartment", "operation"]


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a shape of path; `interaction` is the CapabilityStatement's code, "" for none of its own."""

    method: str
    shape: Shape
    handler: Handler
    interaction: str = ""


_TABLE = (
    Route("GET", "system", searching.system_search, "search-system"),
    Route("POST", "system", bundles.submit, "transaction"),
    Route("GET", "type", searching.search, "search-type"),
    Route("POST", "type", writing.create, "create"),
    Route("PUT", "type", writing.update_by_condition, "update"),
    Route("PATCH", "type", writing.patch_by_condition, "patch"),
    Route("DELETE", "type", writing.delete_by_condition, "delete"),
    Route("GET", "instance", reading.read, "read"),
    Route("PUT", "instance", writing.update, "update"),
    Route("PATCH", "instance", writing.patch, "patch"),
    Route("DELETE", "instance", writing.delete, "delete"),
    Route("GET", "history", history.history, "history"),
    Route("GET", "version", reading.vread, "vread"),
    Route("POST", "search", searching.post_search, "search-type"),
    Route("GET", "search", searching.search, "search-type"),
    Route("GET", "compartment", searching.compartment, "search-type"),
)
ROUTES: dict[tuple[Shape, str], Route] = {(route.shape, route.method): route for route in _TABLE}


def methods(shape: Shape) -> list[str]:
    """Methods that a shape of path answers."""
    found = [method for own, method in ROUTES if own == shape]
    return [*found, "HEAD"] if "GET" in found else found
