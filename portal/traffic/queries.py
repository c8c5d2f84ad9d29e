"""Reads of the request log, always of one App."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import Invalid, NotFound
from portal.traffic.models import CallBody, CallRecord
from portal.traffic.service import instant

VERDICTS = ("admitted", "limited", "refused", "failed")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls to show; "" and 0 ask for nothing. `verdict` is one of VERDICTS, `status` a whole status such as 404.

    `text` is looked for in the route and, in the sandbox, in path and query.
    """

    environment: str = ""
    verdict: str = ""
    status: int = 0
    interaction: str = ""
    request_id: str = ""
    text: str = ""


def _narrowed(app_id: str, wanted: Filter) -> list[object]:
    found: list[object] = [CallRecord.app_id == app_id]
    if wanted.environment:
        found.append(CallRecord.environment == wanted.environment)
    if wanted.status:
        found.append(CallRecord.status == wanted.status)
    if wanted.interaction:
        found.append(CallRecord.interaction == wanted.interaction)
    if wanted.request_id:
        found.append(or_(CallRecord.request_id == wanted.request_id, CallRecord.id == wanted.request_id))
    if wanted.text:
        found.append(
            or_(
                CallRecord.target.contains(wanted.text, autoescape=True),
                CallRecord.template.contains(wanted.text, autoescape=True),
            )
        )
    if wanted.verdict == "admitted":
        found.append(CallRecord.code == "admitted")
    elif wanted.verdict == "limited":
        found.append(CallRecord.status == 429)
    elif wanted.verdict == "failed":
        found.append(CallRecord.status >= 500)
    elif wanted.verdict == "refused":
        found.append(and_(CallRecord.code != "admitted", CallRecord.status < 500, CallRecord.status != 429))
    return found


def cursor_of(record: CallRecord) -> str:
    """Where the page after `record` begins."""
    at_us = (record.at - instant(0)) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{at_us}:{record.id}".encode()).decode().rstrip("=")


def parse_cursor(text: str) -> tuple[datetime, str]:
    """Instant and id of a cursor; raises Invalid."""
    try:
        at_us, _, call_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(":")
        return instant(int(at_us)), call_id
    except (ValueError, binascii.Error, OverflowError):
        raise Invalid("Take `cursor` from the answer before", fa="نشانگر صفحه درست نیست", field="cursor") from None


async def calls(
    session: AsyncSession, app_id: str, wanted: Filter, *, limit: int, cursor: str = ""
) -> tuple[Sequence[CallRecord], str]:
    """Calls, newest first, and the cursor of the next page ("" at the end)."""
    query = select(CallRecord).where(*_narrowed(app_id, wanted))  # type: ignore[arg-type]
    if cursor:
        at, call_id = parse_cursor(cursor)
        query = query.where(or_(CallRecord.at < at, and_(CallRecord.at == at, CallRecord.id < call_id)))
    query = query.order_by(CallRecord.at.desc(), CallRecord.id.desc()).limit(limit + 1)
    found = (await session.scalars(query)).all()
    return found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else ""


async def call(session: AsyncSession, app_id: str, call_id: str) -> tuple[CallRecord, CallBody | None]:
    """One call of the App, with its bodies where they are kept; raises NotFound."""
    found = await session.get(CallRecord, call_id)
    if found is None or found.app_id != app_id:
        raise NotFound("There is no such call", fa="چنین فراخوانی‌ای نیست")
    return found, await session.get(CallBody, call_id)
