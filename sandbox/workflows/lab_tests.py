"""The laboratory's tests: LOINC code, unit, adult reference range and critical limits (`data/lab_tests.json`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import orjson

from sandbox.workflows.codes import LOINC, Resource

Flag = Literal["LL", "L", "N", "H", "HH"]


@dataclass(frozen=True, slots=True)
class LabTest:
    """One test. Bounds are in `unit` (UCUM); None where there is none."""

    loinc: str
    name: str
    unit: str
    low: float | None
    high: float | None
    critical_low: float | None
    critical_high: float | None

    def concept(self) -> Resource:
        return {"coding": [{"system": LOINC, "code": self.loinc, "display": self.name}], "text": self.name}

    def quantity(self, value: float) -> Resource:
        return {"value": value, "unit": self.unit, "system": "http://unitsofmeasure.org", "code": self.unit}

    def reference_range(self) -> Resource:
        bounds = {name: self.quantity(v) for name, v in (("low", self.low), ("high", self.high)) if v is not None}
        return bounds or {"text": "no numeric range"}


def interpret(test: LabTest, value: float) -> Flag:
    """Where a value stands: critically low or high before low or high."""
    if test.critical_low is not None and value < test.critical_low:
        return "LL"
    if test.critical_high is not None and value > test.critical_high:
        return "HH"
    if test.low is not None and value < test.low:
        return "L"
    return "H" if test.high is not None and value > test.high else "N"


@cache
def tests() -> dict[str, LabTest]:
    """All tests by LOINC code."""
    raw = orjson.loads(resources.files("sandbox.workflows.data").joinpath("lab_tests.json").read_bytes())
    return {item["loinc"]: LabTest(**item) for item in raw["tests"]}
