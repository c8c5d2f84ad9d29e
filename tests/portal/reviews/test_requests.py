"""From a draft to the queue, and what the Company may do on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.models import AuditEntry
from portal.kernel.errors import Invalid, NotFound
from portal.reviews import guards, service
from portal.reviews.models import RequestStatus, ReviewRequest
from tests.portal.reviews.world import NOW, PLAIN, SENSITIVE, WHY, World, good_answers


async def draft(session: AsyncSession, world: World, *scopes: str) -> ReviewRequest:
    request = await service.start(session, app_id=world.app.id, by=world.owner, now=NOW)
    await service.save_answers(session, request, answers=good_answers(), by=world.owner, now=NOW)
    await service.set_scopes(session, request, scopes=dict.fromkeys(scopes or (PLAIN,), WHY), by=world.owner, now=NOW)
    return request


async def test_a_complete_draft_enters_the_queue_with_a_due_date(session: AsyncSession, world: World) -> None:
    request = await draft(session, world, PLAIN, SENSITIVE)
    await service.submit(session, request, by=world.owner, now=NOW)
    assert request.status == RequestStatus.SUBMITTED
    assert request.due_at is not None
    assert request.due_at - NOW > timedelta(days=12), "ten working days span two weekends"
    assert set(request.snapshot["scopes"]) == {PLAIN, SENSITIVE}
    actions = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.number)))
    assert actions == ["review.started", "review.submitted"]


async def test_an_incomplete_draft_is_kept_but_not_submitted(session: AsyncSession, world: World) -> None:
    request = await service.start(session, app_id=world.app.id, by=world.owner, now=NOW)
    await service.save_answers(session, request, answers={"purpose": "short"}, by=world.owner, now=NOW)
    with pytest.raises(service.Incomplete) as refused:
        await service.submit(session, request, by=world.owner, now=NOW)
    fields = [error.field for error in refused.value.all]
    assert fields[0] == "answers.purpose"
    assert "scopes" in fields
    assert request.answers["purpose"] == "short"
    assert request.status == RequestStatus.DRAFT


async def test_an_answer_that_rules_production_out_is_refused(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    await service.save_answers(session, request, answers={"data_sold": "yes"}, by=world.owner, now=NOW)
    with pytest.raises(service.Incomplete) as refused:
        await service.submit(session, request, by=world.owner, now=NOW)
    assert [error.field for error in refused.value.all] == ["answers.data_sold"]


async def test_a_conditional_question_counts_only_when_it_is_asked(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    await service.save_answers(
        session, request, answers={"clinical_use": "yes", "hazards": ""}, by=world.owner, now=NOW
    )
    assert [error.field for error in await service.missing(session, request)] == ["answers.hazards"]
    await service.save_answers(session, request, answers={"clinical_use": "no"}, by=world.owner, now=NOW)
    assert await service.missing(session, request) == []


@pytest.mark.parametrize("answers", [{"nothing": "x"}, {"purpose": ["x"]}, {"purpose": "x" * 9000}, {"purpose": None}])
async def test_an_answer_that_fits_no_question_is_refused(
    session: AsyncSession, world: World, answers: dict[str, object]
) -> None:
    request = await draft(session, world)
    with pytest.raises(Invalid):
        await service.save_answers(session, request, answers=answers, by=world.owner, now=NOW)


async def test_a_scope_without_a_real_justification_is_named(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    await service.set_scopes(session, request, scopes={PLAIN: "because"}, by=world.owner, now=NOW)
    assert [error.field for error in await service.missing(session, request)] == [f"scopes.{PLAIN}"]
    with pytest.raises(Invalid, match="No product offers"):
        await service.set_scopes(session, request, scopes={"system/*.cruds": WHY}, by=world.owner, now=NOW)


async def test_an_app_has_one_open_request(session: AsyncSession, world: World) -> None:
    first = await draft(session, world)
    with pytest.raises(service.AlreadyOpen):
        await service.start(session, app_id=world.app.id, by=world.owner, now=NOW)
    await service.withdraw(session, first, by=world.owner, now=NOW)
    second = await service.start(session, app_id=world.app.id, by=world.owner, now=NOW + timedelta(hours=1))
    assert second.answers == first.answers, "a new draft starts from the last answers"
    second.status, first.status = RequestStatus.SUBMITTED, RequestStatus.SUBMITTED
    with pytest.raises(DBAPIError, match="review_requests"):
        await session.flush()


async def test_strangers_see_nothing_and_viewers_change_nothing(session: AsyncSession, world: World) -> None:
    with pytest.raises(NotFound):
        await service.start(session, app_id=world.app.id, by=world.stranger, now=NOW)
    with pytest.raises(NotFound):
        await service.start(session, app_id="app_none", by=world.owner, now=NOW)
    with pytest.raises(guards.ReadOnlyMember):
        await service.start(session, app_id=world.app.id, by=world.viewer, now=NOW)


async def test_a_submitted_request_is_frozen_until_it_is_withdrawn(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    await service.submit(session, request, by=world.owner, now=NOW)
    with pytest.raises(service.RequestClosed):
        await service.save_answers(session, request, answers={"purpose": "y" * 90}, by=world.owner, now=NOW)
    await service.withdraw(session, request, by=world.owner, now=NOW)
    assert request.due_at is None
    with pytest.raises(service.RequestClosed):
        await service.withdraw(session, request, by=world.owner, now=NOW)


async def test_only_reviewers_comment_internally(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    with pytest.raises(NotFound):
        await service.comment(session, request, body="hm", internal=True, pin="", by=world.owner, now=NOW)
    made = await service.comment(session, request, body="hm", internal=True, pin=PLAIN, by=world.first, now=NOW)
    assert made.internal
    with pytest.raises(Invalid):
        await service.comment(session, request, body=" ", internal=False, pin="", by=world.owner, now=NOW)


async def test_assignment_opens_the_review_and_can_be_given_back(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    with pytest.raises(service.RequestClosed):
        await service.assign(session, request, to=world.first, by=world.first, now=NOW)
    await service.submit(session, request, by=world.owner, now=NOW)
    await service.assign(session, request, to=world.first, by=world.second, now=NOW)
    assert (request.status, request.assigned_to) == (RequestStatus.IN_REVIEW, world.first.id)
    await service.assign(session, request, to=None, by=world.second, now=NOW)
    assert (request.status, request.assigned_to) == (RequestStatus.SUBMITTED, None)
    with pytest.raises(NotFound):
        await service.assign(session, request, to=world.owner, by=world.second, now=NOW)


async def test_the_checklist_knows_its_items(session: AsyncSession, world: World) -> None:
    request = await draft(session, world)
    await service.submit(session, request, by=world.owner, now=NOW)
    await service.tick(session, request, item="company", done=True, by=world.first, now=NOW)
    assert request.checklist["company"]["by"] == world.first.id
    await service.tick(session, request, item="company", done=False, by=world.first, now=NOW)
    assert request.checklist == {}
    with pytest.raises(Invalid):
        await service.tick(session, request, item="nonsense", done=True, by=world.first, now=NOW)


def test_references_are_readable_and_differ() -> None:
    made = {service.new_reference() for _ in range(200)}
    assert len(made) == 200
    assert all(len(reference) == 12 and reference.startswith("GZ-") for reference in made)
