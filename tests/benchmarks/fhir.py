"""CPU cost of FHIR itself, without HTTP or storage: parse, validate, index, per resource and against `orjson.loads`.

    python -m tests.benchmarks.fhir

Figures are CPU microseconds, the best of several rounds. Official example resources, with and without their narratives.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from time import process_time
from typing import Any

import orjson

from sandbox.fhir.indexing import index
from sandbox.fhir.validation import validate
from tests.sandbox.fhir.examples import example

SAMPLES = (
    ("Patient", "example"),
    ("Observation", "f001"),
    ("Observation", "blood-pressure"),
    ("Encounter", "f001"),
    ("Condition", "example"),
    ("MedicationRequest", "medrx0302"),
    ("DiagnosticReport", "f201"),
    ("Immunization", "example"),
)
# Bounds for the median resource of the samples, without narrative (docs/en/decisions).
VALIDATE_US, INDEX_US = 40.0, 25.0
CALLS, ROUNDS = 1000, 7


def cost(work: Callable[[], Any]) -> float:
    """Best CPU microseconds of one call."""
    return min(timeit.repeat(work, timer=process_time, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def measure(name: str, resource: dict[str, Any]) -> tuple[float, float]:
    body = orjson.dumps(resource)
    parsed = cost(lambda: orjson.loads(body))
    validated = cost(lambda: validate(resource))
    indexed = cost(lambda: index(resource["resourceType"], resource))
    print(
        f"{name:34} {len(body):>6} {parsed:>8.1f} {validated:>8.1f} {validated / parsed:>5.1f}x {indexed:>8.1f} {indexed / parsed:>5.1f}x"
    )
    return validated, indexed


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> int:
    print(f"{'resource':34} {'bytes':>6} {'loads':>8} {'validate':>8} {'':>6} {'index':>8}")
    figures = []
    for resource_type, fid in SAMPLES:
        resource = example(resource_type, fid)
        measure(f"{resource_type}/{fid}", resource)
        resource.pop("text", None)
        figures.append(measure(f"{resource_type}/{fid}, no narrative", resource))
    validated, indexed = median([f[0] for f in figures]), median([f[1] for f in figures])
    print(
        f"median without narrative: validate {validated:.1f} µs (bound {VALIDATE_US:.0f}), index {indexed:.1f} µs (bound {INDEX_US:.0f})"
    )
    return int(validated > VALIDATE_US or indexed > INDEX_US)


if __name__ == "__main__":
    sys.exit(main())
