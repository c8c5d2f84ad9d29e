"""Pieces of JSON encoded once: numbers, codings, concepts, references. Hot exporters only join them."""

from collections.abc import Iterable
from typing import Any

import orjson

from .systems import HTEST_META, TERMINOLOGY

Resource = tuple[str, str, bytes]
"""(resource type, id, the resource as JSON bytes)."""

META = b'"meta":' + orjson.dumps(HTEST_META)
INTEGERS: list[bytes] = [str(i).encode() for i in range(10_000)]
TENTHS: list[bytes] = [f"{i / 10:.1f}".encode() for i in range(10_000)]
HUNDREDTHS: list[bytes] = [f"{i / 100:.2f}".encode() for i in range(10_000)]
DECIMALS = (INTEGERS, TENTHS, HUNDREDTHS)


def encode(value: Any) -> bytes:
    """Any JSON value as bytes, keys in the order given."""
    return orjson.dumps(value)


def text(value: str) -> bytes:
    """A JSON string, quotes included."""
    return orjson.dumps(value)


def coding(system: str, code: str, display: str) -> dict[str, str]:
    """A FHIR Coding."""
    return {"system": system, "code": code, "display": display}


def concept(codings: Iterable[dict[str, str]], words: str) -> dict[str, Any]:
    """A FHIR CodeableConcept whose text is the Persian wording."""
    return {"coding": list(codings), "text": words}


def v3(system: str, code: str, display: str) -> dict[str, str]:
    """A coding of one of HL7's own code systems, e.g. v3("v3-ActCode", "AMB", "ambulatory")."""
    return coding(f"{TERMINOLOGY}/{system}", code, display)


def reference(kind: str, identifier: str) -> dict[str, str]:
    """A relative reference."""
    return {"reference": f"{kind}/{identifier}"}


def resource(kind: str, identifier: str, body: dict[str, Any]) -> Resource:
    """A rarely made resource, through orjson; hot families have their own templates."""
    return kind, identifier, orjson.dumps({"resourceType": kind, "id": identifier, "meta": HTEST_META, **body})
