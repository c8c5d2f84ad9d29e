"""The laboratory collects an hour after the order, reports preliminary results after two and final ones after four hours.

Options: `values` maps LOINC codes to the values to report (to force a critical one); `text` is an imaging report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from sandbox.counterparts.scripts import Mode, Part
from sandbox.workflows import laboratory
from sandbox.workflows.codes import CATEGORY, Resource, has_code, state_tag
from sandbox.workflows.lab_tests import LabTest, tests
from sandbox.workflows.laboratory import IMAGING, Result
from sandbox.workflows.records import Records, ref

HOUR: Final = 3600
_REPORT: Final = "تصویربرداری انجام شد؛ یافتهٔ غیرطبیعی دیده نشد. / Imaging done; no abnormal finding."


async def _collect(records: Records, order: Resource, mode: Mode, _options: Mapping[str, Any]) -> None:
    if state_tag(order) != "ordered":
        return
    if mode is Mode.DECLINE:
        await laboratory.cancel(
            records, order, reason="آزمایشگاه این آزمایش را انجام نمی‌دهد / this laboratory does not do it"
        )
        return
    order = await laboratory.collect(records, order)
    if mode is Mode.ERROR:
        await laboratory.cancel(records, order, reason="نمونه همولیز شد / the specimen was haemolysed")


async def _preliminary(records: Records, order: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    """Preliminary values of the first test only, as laboratories do."""
    if state_tag(order) == "collected" and not _is_imaging(order):
        await laboratory.report(records, order, stage="preliminary", results=results(order, options)[:1])
    elif state_tag(order) == "collected" and mode is not Mode.PARTIAL:
        text = str(options.get("text", _REPORT))
        await laboratory.report(records, order, stage="final", text=text)


async def _final(records: Records, order: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    """All values; with `partial` the order stays preliminary."""
    if state_tag(order) == "preliminary" and mode is not Mode.PARTIAL:
        await laboratory.report(records, order, stage="final", results=results(order, options))


def _is_imaging(order: Resource) -> bool:
    return has_code(order.get("category", ()), CATEGORY, IMAGING)


def results(order: Resource, options: Mapping[str, Any]) -> list[Result]:
    """A value for each ordered test: the script's, or one inside the reference range that follows from the order's id."""
    wanted = options.get("values", {})
    found = []
    for loinc in laboratory.codes_of(order):
        value = wanted.get(loinc) if isinstance(wanted, Mapping) else None
        test = tests()[loinc]
        found.append(Result(loinc, float(value) if isinstance(value, (int, float)) else _usual(test, ref(order))))
    return found


def _usual(test: LabTest, seed: str) -> float:
    share = int.from_bytes(hashlib.sha256(f"{seed}/{test.loinc}".encode()).digest()[:4]) / 2**32
    low = test.low if test.low is not None else (test.high or 1.0) * 0.4
    high = test.high if test.high is not None else low * 1.8
    return round(low + (high - low) * (0.1 + 0.8 * share), 2)


PARTS: Final = (
    Part("laboratory", "laboratory-ordered", _collect, lag=HOUR),
    Part("laboratory", "laboratory-collected", _preliminary, lag=HOUR),
    Part("laboratory", "laboratory-preliminary", _final, lag=2 * HOUR),
)
