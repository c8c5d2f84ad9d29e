"""Refusals on purpose, at the gateway: the same place, words and header fields as the real ones.

Consulted only for calls that a run records, so that no other call pays for it; counted in the database, so that several workers give
a rehearsed refusal as often as was asked and no oftener.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from portal.conformance.calls import parse_target
from portal.conformance.models import Rehearsal
from portal.kernel.database import SessionMaker, transaction

CONSENT = "consent"
LOST_ANSWER = "lost-answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """What to answer instead of what would have been answered. `retry_after` in seconds, 0 for none."""

    kind: str
    retry_after: int = 0


class Rehearsals:
    """The gateway's question: is there a refusal to rehearse on this call?"""

    def __init__(self, maker: SessionMaker) -> None:
        self._maker = maker

    async def next(self, client_id: str, method: str, target: str) -> Fault | None:
        """The refusal to give to this call, counted as given; None lets it pass."""
        where = parse_target(target)
        async with transaction(self._maker) as session:
            rows = await session.scalars(
                select(Rehearsal).where(Rehearsal.client_id == client_id, Rehearsal.left > 0).order_by(Rehearsal.id)
            )
            for row in rows:
                if row.method not in ("", method) or row.type not in ("", where.kind):
                    continue
                if row.kind == CONSENT:
                    if row.patient in target:
                        return Fault(CONSENT)
                    continue
                taken = await session.scalar(
                    update(Rehearsal)
                    .where(Rehearsal.id == row.id, Rehearsal.left > 0)
                    .values(left=Rehearsal.left - 1)
                    .returning(Rehearsal.id)
                    .execution_options(synchronize_session=False)
                )
                if taken is not None:
                    return Fault(row.kind, row.retry_after)
        return None
