"""Evidence of a ReviewRequest: attaching it, and whether it lets a reviewer approve without giving a reason of their own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.conformance.models import Evidence
from portal.kernel.errors import Invalid
from portal.reviews import guards
from portal.reviews.models import EDITABLE, ReviewRequest
from portal.reviews.service import RequestClosed
from portal.users.models import User


async def attach(session: AsyncSession, request: ReviewRequest, *, evidence_id: str, by: User, now: datetime) -> None:
    """Bind signed Evidence of this App and version to the request; an empty id takes it off. Raises `Invalid`."""
    await guards.may_edit(session, by, request.company_id)
    if request.status not in EDITABLE:
        raise RequestClosed
    if evidence_id:
        found = await session.get(Evidence, evidence_id)
        if found is None or found.app_id != request.app_id:
            raise Invalid(
                "There is no such evidence of this app", fa="چنین شواهدی از این برنامه نیست", field="evidence"
            )
        if found.app_version != request.app_version:
            raise Invalid(
                f"The evidence is of version {found.app_version}, the request of {request.app_version}",
                fa=f"شواهد برای نسخهٔ {found.app_version} است و درخواست برای {request.app_version}",
                field="evidence",
            )
    request.evidence_id = evidence_id
    request.updated_at = now


async def of_request(session: AsyncSession, request: ReviewRequest) -> Evidence | None:
    """The Evidence bound to a request."""
    return await session.get(Evidence, request.evidence_id) if request.evidence_id else None


async def newest(session: AsyncSession, app_id: str) -> list[Evidence]:
    """Evidence of an App, newest first, at most twenty."""
    found = await session.scalars(
        select(Evidence).where(Evidence.app_id == app_id).order_by(Evidence.created_at.desc()).limit(20)
    )
    return list(found)


async def passes(session: AsyncSession, request: ReviewRequest) -> bool:
    """Whether the request carries Evidence of its very version in which every mandatory Requirement holds."""
    found = await of_request(session, request)
    return found is not None and found.passes and found.app_version == request.app_version
