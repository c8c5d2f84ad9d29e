"""Decisions: per scope, on evidence, by two where it matters, and never by somebody of that company."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AppEnvironment, RedirectUri
from portal.companies.models import CompanyStatus, MemberRole, Membership
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.oauth.models import FeedEvent
from portal.reviews import decisions, guards, service, snapshot
from portal.reviews.decisions import ScopeVerdict, Terms
from portal.reviews.models import Decision, RequestStatus, ReviewRequest, ReviewScope
from portal.reviews.production import Approval
from portal.subscriptions.models import Subscription
from portal.users.models import User
from tests.portal.reviews.test_requests import draft
from tests.portal.reviews.world import NOW, PLAIN, SENSITIVE, WHY, World, build

YES = ScopeVerdict(approved=True)
NO = ScopeVerdict(approved=False, reason_code="scope-not-needed")


async def submitted(session: AsyncSession, world: World, *scopes: str) -> ReviewRequest:
    request = await draft(session, world, *scopes)
    await service.submit(session, request, by=world.owner, now=NOW)
    return request


async def approve(session: AsyncSession, world: World, request: ReviewRequest, **verdicts: ScopeVerdict) -> Decision:
    scopes = await service.scopes_of(session, request)
    chosen = {row.scope: YES for row in scopes} | verdicts
    return await decisions.approve(
        session, request, verdicts=chosen, terms=Terms(), evidence_passes=True, by=world.first, now=NOW
    )


async def production(session: AsyncSession) -> AppEnvironment | None:
    return await session.scalar(select(AppEnvironment).where(AppEnvironment.environment == "production"))


async def test_an_approval_opens_production_with_the_first_ramp_step(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    await approve(session, world, request)
    client = await production(session)
    assert client is not None
    assert client.scopes == [PLAIN]
    subscription = (await session.scalars(select(Subscription).where(Subscription.client_id == client.client_id))).one()
    assert (subscription.plan_id, subscription.per_second, subscription.per_minute) == (
        "health-record-production",
        2,
        60,
    )
    uris = await session.scalars(select(RedirectUri.uri).where(RedirectUri.client_id == client.client_id))
    assert list(uris) == ["https://example.org/callback"]
    approval = (await session.scalars(select(Approval))).one()
    assert approval.expires_at - NOW == timedelta(days=365)
    assert request.status == RequestStatus.APPROVED
    assert client.client_id in set(await session.scalars(select(FeedEvent.key).where(FeedEvent.kind == "app")))


async def test_a_refused_scope_is_not_granted_and_keeps_its_reason(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world, PLAIN, SENSITIVE)
    await approve(session, world, request, **{SENSITIVE: NO})
    client = await production(session)
    assert client is not None
    assert client.scopes == [PLAIN]
    refused = await session.get_one(ReviewScope, (request.id, SENSITIVE))
    assert (refused.decision, refused.reason_code) == ("refused", "scope-not-needed")


async def test_a_sensitive_scope_waits_for_a_second_person(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world, PLAIN, SENSITIVE)
    await approve(session, world, request)
    assert request.status == RequestStatus.AWAITING_SECOND
    assert await production(session) is None, "nothing is granted before the second yes"
    with pytest.raises(decisions.SamePerson):
        await decisions.confirm(session, request, by=world.first, now=NOW)
    await decisions.confirm(session, request, by=world.second, now=NOW)
    client = await production(session)
    assert client is not None
    assert client.scopes == [SENSITIVE, PLAIN]


async def test_a_declined_proposal_grants_nothing_and_returns_to_review(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world, SENSITIVE)
    await approve(session, world, request)
    await decisions.decline(session, request, reason="", by=world.second, now=NOW)
    assert request.status == RequestStatus.SUBMITTED
    with pytest.raises(decisions.NotDecidable):
        await decisions.confirm(session, request, by=world.second, now=NOW)
    assert await production(session) is None


async def test_what_changed_after_the_proposal_must_be_reviewed_again(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world, SENSITIVE)
    await approve(session, world, request)
    session.add(RedirectUri(client_id="cli_sandbox", uri="https://attacker.example/callback"))
    await session.flush()
    with pytest.raises(decisions.ChangedSince):
        await decisions.confirm(session, request, by=world.second, now=NOW)


async def test_members_of_the_company_never_decide(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    session.add(Membership(company_id=world.company.id, user_id=world.first.id, role=MemberRole.VIEWER, created_at=NOW))
    await session.flush()
    with pytest.raises(guards.OwnCompany):
        await approve(session, world, request)
    with pytest.raises(NotFound):
        await decisions.reject(session, request, reason_code="privacy", reason="", by=world.owner, now=NOW)


async def test_an_unverified_company_gets_no_approval(session: AsyncSession, world: World) -> None:
    world.company.status = CompanyStatus.UNVERIFIED
    request = await submitted(session, world)
    with pytest.raises(decisions.CompanyNotVerified):
        await approve(session, world, request)


async def test_without_evidence_a_reason_must_be_given(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    with pytest.raises(decisions.EvidenceMissing):
        await decisions.approve(session, request, verdicts={PLAIN: YES}, terms=Terms(), by=world.first, now=NOW)
    terms = Terms(evidence_exception="Pilot in one hospital, observed by us")
    made = await decisions.approve(session, request, verdicts={PLAIN: YES}, terms=terms, by=world.first, now=NOW)
    assert made.evidence_exception.startswith("Pilot")


@pytest.mark.parametrize(
    ("verdicts", "terms", "field"),
    [
        ({}, Terms(), f"scopes.{PLAIN}"),
        ({PLAIN: NO}, Terms(), "scopes"),
        ({PLAIN: ScopeVerdict(False, "nonsense")}, Terms(), f"scopes.{PLAIN}.reason_code"),
        ({PLAIN: ScopeVerdict(False, "other")}, Terms(), f"scopes.{PLAIN}.reason"),
        ({PLAIN: YES, SENSITIVE: YES}, Terms(), f"scopes.{SENSITIVE}"),
        ({PLAIN: YES}, Terms(plans={"health-record": "gold"}), "plans.health-record"),
        ({PLAIN: YES}, Terms(plans={"prescriptions": "prescriptions-production"}), "plans.prescriptions"),
        ({PLAIN: YES}, Terms(expires_at=NOW), "expires_at"),
        ({PLAIN: YES}, Terms(ramp="fast"), "ramp"),
    ],
)
async def test_terms_that_make_no_sense_name_their_field(
    session: AsyncSession, world: World, verdicts: dict[str, ScopeVerdict], terms: Terms, field: str
) -> None:
    request = await submitted(session, world)
    with pytest.raises(Invalid) as refused:
        await decisions.approve(
            session, request, verdicts=verdicts, terms=terms, evidence_passes=True, by=world.first, now=NOW
        )
    assert refused.value.field == field


async def test_the_clock_stops_while_the_company_mends(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    later = NOW + timedelta(days=2)
    await decisions.request_changes(
        session, request, reason_code="scope-too-wide", reason="Ask for one patient only", by=world.first, now=later
    )
    assert (request.status, request.due_at, request.days_left) == (RequestStatus.CHANGES_REQUESTED, None, 8)
    back = NOW + timedelta(days=40)
    await service.submit(session, request, by=world.owner, now=back)
    assert request.due_at is not None
    assert request.due_at > back + timedelta(days=8)


async def test_a_rejection_can_be_appealed_once_and_others_decide(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    await decisions.reject(session, request, reason_code="privacy", reason="", by=world.first, now=NOW)
    with pytest.raises(service.TooLate):
        await service.appeal(session, request, grounds=WHY, by=world.owner, now=NOW + timedelta(days=60))
    appeal = await service.appeal(session, request, grounds=WHY, by=world.owner, now=NOW + timedelta(days=1))
    assert (appeal.appeal_of, appeal.status) == (request.id, RequestStatus.SUBMITTED)
    with pytest.raises(decisions.JudgeAgain):
        await approve(session, world, appeal)
    await decisions.approve(
        session, appeal, verdicts={PLAIN: YES}, terms=Terms(), evidence_passes=True, by=world.second, now=NOW
    )
    assert await production(session) is not None


async def test_a_decided_request_cannot_be_decided_again(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world)
    await decisions.reject(session, request, reason_code="privacy", reason="", by=world.first, now=NOW)
    with pytest.raises(decisions.NotDecidable):
        await approve(session, world, request)


async def test_a_change_of_a_running_app_shows_what_differs(session: AsyncSession, world: World) -> None:
    first = await submitted(session, world)
    await approve(session, world, first)
    second = await service.start(session, app_id=world.app.id, by=world.owner, now=NOW + timedelta(days=1))
    assert second.kind == "change"
    await service.set_scopes(session, second, scopes={PLAIN: WHY, SENSITIVE: WHY}, by=world.owner, now=NOW)
    await service.save_answers(session, second, answers={"support_hours": "8-16"}, by=world.owner, now=NOW)
    session.add(RedirectUri(client_id="cli_sandbox", uri="https://example.org/new"))
    await session.flush()
    await service.submit(session, second, by=world.owner, now=NOW)
    approval = (await session.scalars(select(Approval))).one()
    found = snapshot.difference(approval.snapshot, second.snapshot)
    assert [(item.area, item.key, item.change) for item in found] == [
        ("scopes", SENSITIVE, "added"),
        ("redirects", "sandbox https://example.org/new", "added"),
        ("answers", "support_hours", "changed"),
    ]


async def test_the_database_refuses_what_the_service_would(session: AsyncSession, world: World) -> None:
    request = await submitted(session, world, SENSITIVE)
    decision = await approve(session, world, request)
    await session.commit()
    request_id, decision_id = request.id, decision.id
    first, second, owner = world.first.id, world.second.id, world.owner.id
    alone = update(Decision).where(Decision.id == decision_id).values(effective_at=NOW, needs_second=False)
    with pytest.raises(DBAPIError, match="second reviewer"):
        await session.execute(alone)
    await session.rollback()
    same = update(Decision).where(Decision.id == decision_id).values(confirmed_by=first)
    with pytest.raises(DBAPIError, match="two_persons"):
        await session.execute(same)
    await session.rollback()
    member = update(Decision).where(Decision.id == decision_id).values(confirmed_by=owner)
    with pytest.raises(DBAPIError, match="belong to"):
        await session.execute(member)
    await session.rollback()
    request = await session.get_one(ReviewRequest, request_id)
    await decisions.confirm(session, request, by=await session.get_one(User, second), now=NOW)
    await session.commit()
    for statement in ("UPDATE decisions SET reason = 'x'", "DELETE FROM decisions"):
        with pytest.raises(DBAPIError, match="never changes"):
            await session.execute(text(statement))
        await session.rollback()


async def test_of_reviewers_who_decide_at_once_one_wins_and_the_others_are_told(maker: SessionMaker) -> None:
    async with transaction(maker) as session:
        world = await build(session)
        request = await submitted(session, world)
        names = [world.first.id, world.second.id, world.admin.id]

    async def decide(name: str, verb: str) -> str:
        try:
            async with transaction(maker) as session:
                user, found = await session.get_one(User, name), await session.get_one(ReviewRequest, request.id)
                if verb == "approve":
                    await decisions.approve(
                        session, found, verdicts={PLAIN: YES}, terms=Terms(), evidence_passes=True, by=user, now=NOW
                    )
                else:
                    await decisions.reject(session, found, reason_code="privacy", reason="", by=user, now=NOW)
        except Conflict as error:
            return error.code
        return "done"

    verbs = ["approve", "reject", "approve"]
    results = await asyncio.gather(*(decide(name, verb) for name, verb in zip(names, verbs, strict=True)))
    assert sorted(results) == ["done", "not-decidable", "not-decidable"]
    async with maker() as session:
        effective = list(await session.scalars(select(Decision).where(Decision.effective_at.is_not(None))))
        opened = await production(session)
    assert len(effective) == 1
    assert (opened is not None) == (effective[0].outcome == "approved")
