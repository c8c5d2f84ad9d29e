"""One use for each client assertion: durable, and committed in groups so that many callers share one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from portal.oauth.models import UsedAssertion

_LARGEST_GROUP = 200


class _Waiting(NamedTuple):
    client_id: str
    jti_hash: str
    expires_at: datetime
    answer: asyncio.Future[bool]


class ReplayStore:
    """Remembers used `jti` values until their assertions expire."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        dialect = sqlite_dialect if engine.dialect.name == "sqlite" else postgresql
        self._insert = (
            dialect.insert(UsedAssertion)
            .on_conflict_do_nothing()
            .returning(UsedAssertion.client_id, UsedAssertion.jti_hash)
        )
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def use(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        """Whether this is the first use; once it returns True, that is on disk. Concurrent uses have one winner."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        digest = hashlib.sha256(jti.encode("utf-8", "surrogatepass")).hexdigest()
        self._waiting.append(_Waiting(client_id, digest, expires_at, answer))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="assertion replay store")
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_LARGEST_GROUP], self._waiting[_LARGEST_GROUP:]
            first: dict[tuple[str, str], _Waiting] = {}
            for each in group:
                first.setdefault((each.client_id, each.jti_hash), each)
            try:
                won = await self._insert_all(list(first.values()))
            except Exception as error:
                # Whoever waits must hear of it: an assertion that could not be recorded is not accepted.
                for each in group:
                    if not each.answer.done():
                        each.answer.set_exception(error)
                continue
            for each in group:
                key = (each.client_id, each.jti_hash)
                if not each.answer.done():
                    each.answer.set_result(key in won and first[key] is each)

    async def _insert_all(self, group: list[_Waiting]) -> set[tuple[str, str]]:
        rows = [
            {"client_id": each.client_id, "jti_hash": each.jti_hash, "expires_at": each.expires_at} for each in group
        ]
        async with self._engine.begin() as connection:
            result = await connection.execute(self._insert.values(rows))
            return {(row[0], row[1]) for row in result}


async def prune(session: AsyncSession, *, now: datetime) -> None:
    """Forget assertions that have expired anyway."""
    await session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
