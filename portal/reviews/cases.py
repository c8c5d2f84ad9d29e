"""A request as the JSON routes of desk and Company handle it: found for its reader, acted on, shown again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, SkipValidation
from sqlalchemy.ext.asyncio import AsyncSession

from portal.reviews import presentation, queries
from portal.reviews.models import ReviewRequest
from portal.reviews.schemas import ReviewInfo
from portal.users.dependencies import CurrentUser
from portal.users.models import User
from portal.web.dependencies import Db, Now


@dataclass(frozen=True, slots=True)
class Case:
    """The request of the path, visible to `by`, in this request's session and at its time."""

    session: AsyncSession
    request: ReviewRequest
    by: User
    now: datetime

    async def shown(self) -> ReviewInfo:
        """The request as it stands now, for `by`."""
        return await presentation.whole(self.session, self.request, self.by, now=self.now)


async def provide_case(review_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Case:
    """The case of `review_id`; raises NotFound for whom it does not concern."""
    return Case(session, await queries.visible(session, review_id, user), user, now)


TheCase = NamedDependency[SkipValidation[Case]]
CASES = {"case": Provide(provide_case)}
