"""Evidence of a ReviewRequest: attaching it, and whether it lets a reviewer approve without giving a reason of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.conformance.models import ConformanceRun, Evidence
from portal.conformance.requirements import suite_version
from portal.kernel.errors import Invalid
from portal.reviews import guards
from portal.reviews.models import EDITABLE, ReviewRequest
from portal.reviews.service import RequestClosed, scopes_of
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


Words = tuple[str, str]


async def lacks(session: AsyncSession, request: ReviewRequest, *, scopes: Iterable[str] | None = None) -> list[Words]:
    """Why the request's Evidence does not speak for `scopes` (all that are asked for), in Persian and English; empty when it does."""
    found = await of_request(session, request)
    if found is None:
        return [("شواهدی پیوست نیست.", "No evidence is attached.")]
    wanted = list(scopes) if scopes is not None else [row.scope for row in await scopes_of(session, request)]
    run = await session.get_one(ConformanceRun, found.run_id)
    unseen = sorted(scope for scope in wanted if not shown_by(scope, run.scopes))
    made: list[Words] = []
    if not found.passes:
        made.append(("همهٔ الزام‌های اجباری نشان داده نشده است.", "Not every mandatory requirement was shown."))
    if found.app_version != request.app_version:
        made.append((f"شواهد برای نسخهٔ {found.app_version} است.", f"The evidence is of version {found.app_version}."))
    if found.suite_version != suite_version():
        made.append(
            (
                "شواهد از نسخهٔ پیشین مجموعهٔ آزمون است؛ آزمون را دوباره اجرا کنید.",
                "The evidence is of an earlier suite version; run the suite again.",
            )
        )
    if unseen:
        names = ", ".join(unseen)
        made.append(
            (f"این دامنه‌ها در آزمون به کار نرفته‌اند: {names}", f"These scopes were not used in the run: {names}")
        )
    return made


def shown_by(scope: str, used: Iterable[str]) -> bool:
    """Whether a run that used these scopes showed what `scope` asks for: the same context and type, and all its letters.

    Scopes that open no data (`openid`, `launch/patient`) need no showing.
    """
    context, _, rest = scope.partition("/")
    kind, dot, letters = rest.partition(".")
    if not dot or context not in ("patient", "user", "system"):
        return True
    seen = {
        letter
        for other in used
        if other.partition(".")[0] == f"{context}/{kind}"
        for letter in other.partition(".")[2].partition("?")[0]
    }
    return set(letters.partition("?")[0]) <= seen


async def passes(session: AsyncSession, request: ReviewRequest, *, scopes: Iterable[str] | None = None) -> bool:
    """Whether nothing is lacking: see `lacks`."""
    return not await lacks(session, request, scopes=scopes)
