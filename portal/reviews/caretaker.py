"""The hourly round of a served installation: standing approvals and a signed checkpoint of the audit log."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from portal.apps import expiry
from portal.audit.checkpoints import checkpoint
from portal.audit.models import AuditHead
from portal.kernel.clock import Clock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.mail import Mailer
from portal.kernel.signing import PortalSigner
from portal.reviews import rounds
from portal.web.dependencies import HeldMailer

log = logging.getLogger(__name__)
PERIOD = 3600.0
FIRST = 60.0


class Caretaker:
    """One for each worker; those of several workers take turns, and the second finds nothing left to do."""

    def __init__(self, maker: SessionMaker, mailer: Mailer, signer: PortalSigner, clock: Clock) -> None:
        self._maker, self._mailer, self._signer, self._clock = maker, mailer, signer, clock
        self._task: asyncio.Task[None] | None = None

    async def once(self) -> rounds.Round:
        """One round, in one transaction; mails leave after it has committed."""
        mailer, now = HeldMailer(self._mailer), self._clock.now()
        async with transaction(self._maker) as session:
            # Nothing changes by it, but it holds the database's lock: rounds of two workers never overlap.
            await session.execute(update(AuditHead).where(AuditHead.id == 1).values(number=AuditHead.number))
            done = await rounds.run(session, mailer=mailer, now=now)
            done.notices += await expiry.notify(session, mailer=mailer, now=now)
            await checkpoint(session, signer=self._signer, now=now)
        await mailer.deliver()
        return done

    async def start(self) -> None:
        """Begin the rounds, the first after a minute."""
        self._task = asyncio.create_task(self._run(), name="review caretaker")

    async def stop(self) -> None:
        """End the rounds; safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        await asyncio.sleep(FIRST)
        while True:
            try:
                await self.once()
            except (SQLAlchemyError, OSError):
                log.warning("the review round failed; it will be tried again", exc_info=True)
            await asyncio.sleep(PERIOD)
