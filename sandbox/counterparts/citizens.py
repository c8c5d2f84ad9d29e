"""The citizen grants consent at once unless told otherwise; `partial` withholds `options.withhold` (mental and sexual health)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sandbox.counterparts.scripts import Mode, Part
from sandbox.workflows import consent
from sandbox.workflows.codes import Resource
from sandbox.workflows.records import Records

WITHHELD: Final = ("mental-health", "sexual-health")


async def _citizen(records: Records, document: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    if document["status"] != "proposed":
        return
    if mode is Mode.DECLINE:
        await consent.step(records, document, "reject")
        return
    if mode is Mode.ERROR:
        await consent.step(records, document, "retract")
        return
    withhold: Sequence[str] = options.get("withhold", WITHHELD) if mode is Mode.PARTIAL else ()
    await consent.step(records, document, "grant", withhold=[str(name) for name in withhold])


PARTS: Final = (Part("citizen", "consent-requested", _citizen),)
