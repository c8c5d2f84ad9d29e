"""Secrets of the exchange itself, made once and shared by its workers through the database."""

from __future__ import annotations

import secrets as random

from sandbox.kernel.database import Database, Transaction

_LOCK = -4


async def get(database: Database, name: str) -> bytes:
    """The secret called `name`, made when it is first asked for."""

    async def job(tx: Transaction) -> bytes:
        rows = await tx.rows("SELECT value FROM secret WHERE name=?1", (name,))
        if rows:
            return bytes(rows[0][0])
        made = random.token_bytes(32)
        await tx.run("INSERT INTO secret (name, value) VALUES (?1, ?2)", (name, made))
        return made

    return await database.write(job, lock=_LOCK)
