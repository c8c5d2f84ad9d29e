"""Operations of the specification, one file per noun; `OPERATIONS` is what the router and the CapabilityStatement know."""

from __future__ import annotations

from sandbox.exchange.operations import (
    checking,
    everything,
    export,
    importing,
    lastn,
    matching,
    meta,
    terminologies,
    translating,
)
from sandbox.exchange.seams import Handler, OperationKey

OPERATIONS: dict[OperationKey, Handler] = {
    **checking.OPERATIONS,
    **everything.OPERATIONS,
    **export.OPERATIONS,
    **lastn.OPERATIONS,
    **matching.OPERATIONS,
    **meta.OPERATIONS,
    **importing.OPERATIONS,
    **terminologies.OPERATIONS,
    **translating.OPERATIONS,
}
