"""Kill switches: what is cut, what comes back, and who may lift."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AppEnvironment
from portal.audit.models import AuditEntry
from portal.companies import service as companies
from portal.companies.models import CompanyStatus, MemberRole, Membership
from portal.kernel.errors import Invalid, NotFound
from portal.oauth.models import FeedEvent
from portal.products.models import Product, ProductScope
from portal.reviews import guards, suspensions
from portal.reviews.production import Grade, Suspension, Target
from portal.users.models import User
from tests.portal.reviews.world import NOW, PLAIN, World


async def cut(
    session: AsyncSession, target: Target, target_id: str, by: User | None, grade: Grade = Grade.INVOLUNTARY
) -> Suspension:
    return await suspensions.impose(
        session, target=target, target_id=target_id, grade=grade, reason_code="abuse", by=by, now=NOW, actor="cli"
    )


async def lift(session: AsyncSession, world: World, row: Suspension) -> None:
    await suspensions.propose_lift(session, row, reason="the cause is mended", by=world.first, now=NOW)
    await suspensions.confirm_lift(session, row, by=world.second, now=NOW)


async def test_an_app_is_cut_at_once_on_every_worker(session: AsyncSession, world: World) -> None:
    await cut(session, Target.APP, world.app.id, world.first)
    client = await session.get_one(AppEnvironment, "cli_sandbox")
    assert (world.app.status, client.epoch) == ("suspended", 2)
    events = await session.scalars(
        select(FeedEvent.epoch).where(FeedEvent.key == "cli_sandbox", FeedEvent.kind == "app")
    )
    assert max(events) == 2
    assert world.app.status_reason.startswith("Abusive use")


async def test_the_strictest_of_several_suspensions_holds(session: AsyncSession, world: World) -> None:
    limited = await cut(session, Target.APP, world.app.id, world.first, Grade.LIMITED)
    assert world.app.status == "limited"
    full = await cut(session, Target.APP, world.app.id, world.first)
    assert world.app.status == "suspended"
    await lift(session, world, full)
    assert world.app.status == "limited"
    await lift(session, world, limited)
    assert (world.app.status, world.app.status_reason) == ("active", "")


async def test_a_company_gets_back_the_status_it_had(session: AsyncSession, world: World) -> None:
    first = await cut(session, Target.COMPANY, world.company.id, world.first)
    second = await cut(session, Target.COMPANY, world.company.id, world.second)
    assert world.company.status == CompanyStatus.SUSPENDED
    await lift(session, world, first)
    assert world.company.status == CompanyStatus.SUSPENDED
    await lift(session, world, second)
    assert world.company.status == CompanyStatus.VERIFIED


async def test_a_limited_company_limits_its_apps(session: AsyncSession, world: World) -> None:
    row = await cut(session, Target.COMPANY, world.company.id, world.first, Grade.LIMITED)
    assert (world.company.status, world.app.status) == (CompanyStatus.VERIFIED, "limited")
    await lift(session, world, row)
    assert world.app.status == "active"


async def test_a_scope_and_a_product_are_cut_for_everybody(session: AsyncSession, world: World) -> None:
    scope = await cut(session, Target.SCOPE, PLAIN, world.first)
    product = await cut(session, Target.PRODUCT, "prescriptions", world.first)
    assert (await session.get_one(ProductScope, ("health-record", PLAIN))).suspended
    assert (await session.get_one(Product, "prescriptions")).suspended
    assert list(await session.scalars(select(FeedEvent.key).where(FeedEvent.kind == "plan"))).count("*") == 2
    await lift(session, world, scope)
    await lift(session, world, product)
    assert not (await session.get_one(ProductScope, ("health-record", PLAIN))).suspended
    assert not (await session.get_one(Product, "prescriptions")).suspended


async def test_lifting_takes_two_reviewers(session: AsyncSession, world: World) -> None:
    row = await cut(session, Target.APP, world.app.id, world.first)
    with pytest.raises(suspensions.NothingToLift):
        await suspensions.confirm_lift(session, row, by=world.second, now=NOW)
    await suspensions.propose_lift(session, row, reason="the cause is mended", by=world.first, now=NOW)
    with pytest.raises(suspensions.SecondPerson):
        await suspensions.confirm_lift(session, row, by=world.first, now=NOW)
    assert world.app.status == "suspended"
    with pytest.raises(DBAPIError, match="lift_two_persons"):
        await session.execute(update(Suspension).values(lifted_by=world.first.id, lifted_at=NOW))


async def test_an_owner_suspends_and_resumes_its_own_app(session: AsyncSession, world: World) -> None:
    with pytest.raises(guards.ReadOnlyMember):
        await cut(session, Target.APP, world.app.id, world.viewer, Grade.VOLUNTARY)
    with pytest.raises(NotFound):
        await cut(session, Target.APP, world.app.id, world.stranger, Grade.VOLUNTARY)
    row = await cut(session, Target.APP, world.app.id, world.owner, Grade.VOLUNTARY)
    assert world.app.status == "suspended"
    with pytest.raises(NotFound):
        await suspensions.propose_lift(session, row, reason="", by=world.first, now=NOW)
    await suspensions.propose_lift(session, row, reason="", by=world.owner, now=NOW)
    assert world.app.status == "active"


async def test_an_owner_cannot_lift_what_the_ministry_imposed(session: AsyncSession, world: World) -> None:
    row = await cut(session, Target.APP, world.app.id, world.first)
    with pytest.raises(NotFound):
        await suspensions.propose_lift(session, row, reason="please please", by=world.owner, now=NOW)
    with pytest.raises(NotFound):
        await cut(session, Target.APP, world.app.id, world.owner)


async def test_a_reviewer_of_the_company_may_not_touch_it(session: AsyncSession, world: World) -> None:
    session.add(Membership(company_id=world.company.id, user_id=world.first.id, role=MemberRole.VIEWER, created_at=NOW))
    await session.flush()
    with pytest.raises(guards.OwnCompany):
        await cut(session, Target.APP, world.app.id, world.first)


@pytest.mark.parametrize(
    ("target", "target_id"),
    [(Target.APP, "x"), (Target.COMPANY, "x"), (Target.SCOPE, "system/*.cruds"), (Target.PRODUCT, "x")],
)
async def test_what_does_not_exist_cannot_be_cut(
    session: AsyncSession, world: World, target: Target, target_id: str
) -> None:
    with pytest.raises(NotFound):
        await cut(session, target, target_id, world.first)


async def test_reasons_and_grades_are_checked_and_recorded(session: AsyncSession, world: World) -> None:
    with pytest.raises(Invalid):
        await suspensions.impose(
            session,
            target=Target.APP,
            target_id=world.app.id,
            grade=Grade.INVOLUNTARY,
            reason_code="whim",
            by=world.first,
            now=NOW,
        )
    with pytest.raises(Invalid):
        await cut(session, Target.PRODUCT, "prescriptions", world.first, Grade.LIMITED)
    await cut(session, Target.APP, world.app.id, None)
    entry = (await session.scalars(select(AuditEntry))).one()
    assert (entry.actor, entry.action, entry.company_id) == ("cli", "suspension.imposed", world.company.id)
    assert entry.details["policy"]


async def test_verification_is_no_way_round_the_second_person(session: AsyncSession, world: World) -> None:
    await cut(session, Target.COMPANY, world.company.id, world.first)
    with pytest.raises(companies.Suspended):
        await companies.set_status(
            session, company=world.company, status=CompanyStatus.VERIFIED, reason="", actor=world.first.id, now=NOW
        )
    session.add(
        Membership(company_id=world.company.id, user_id=world.second.id, role=MemberRole.VIEWER, created_at=NOW)
    )
    await session.flush()
    with pytest.raises(guards.OwnCompany):
        await companies.set_status(
            session, company=world.company, status=CompanyStatus.VERIFIED, reason="", actor=world.second.id, now=NOW
        )
