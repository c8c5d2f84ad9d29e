"""729 example resources of the R4 specification, as HL7 publishes them in npm `hl7.fhir.r4.examples` 4.0.1 (CC0-1.0).

Left out: examples above 25 KB, and all but a handful of the specification's own definitions.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import orjson

ARCHIVE = Path(__file__).with_name("official-examples.ndjson.gz")


@cache
def official_examples() -> tuple[dict[str, Any], ...]:
    return tuple(orjson.loads(line) for line in gzip.decompress(ARCHIVE.read_bytes()).splitlines())


def example(resource_type: str, fid: str) -> dict[str, Any]:
    """A private copy of one example, free to change."""
    found = next(r for r in official_examples() if r["resourceType"] == resource_type and r.get("id") == fid)
    copy: dict[str, Any] = orjson.loads(orjson.dumps(found))
    return copy
