"""A Company's request as its pages see it: found for its members only, with what every page of the App needs."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.pages import app_context
from portal.reviews import queries, service
from portal.reviews.models import EDITABLE, ReviewRequest
from portal.users.models import User


async def own(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """A request of one of the User's Companies, and what every page of its App needs."""
    request = await queries.visible(session, review_id, user)
    return request, await app_context(session, user_id=user.id, app_id=request.app_id)


async def again(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """Undo what a refused verb did, and read anew what the page shows."""
    await session.rollback()
    await session.refresh(user)
    return await own(session, review_id, user)


async def draft(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """As `_own`, for a page that edits; a request that is not a draft shows its status instead (NotFound)."""
    request, context = await own(session, review_id, user)
    if request.status not in EDITABLE:
        raise service.RequestClosed
    return request, context
