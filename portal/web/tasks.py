"""What a Company has still to do on an App's way to production. Rooms contribute sources; the dashboard shows their tasks in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

TaskState = Literal["done", "todo", "changes", "blocked"]


@dataclass(frozen=True, slots=True)
class Task:
    """One step. `blocked` cannot start yet, `changes` waits for a correction; `path` is where it is done."""

    position: int
    state: TaskState
    fa: str
    en: str
    path: str = ""
    hint_fa: str = ""
    hint_en: str = ""


class TaskSource(Protocol):
    """A room's tasks for one App."""

    async def __call__(
        self, session: AsyncSession, *, app_id: str, company_id: str, now: datetime
    ) -> Sequence[Task]: ...
