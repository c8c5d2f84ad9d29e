"""Evidence carries a request only for the App, version, suite and scopes that it showed."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App
from portal.conformance.models import ConformanceRun, Evidence, RunStatus
from portal.conformance.requirements import suite_version
from portal.kernel.errors import Invalid
from portal.reviews import evidence, service
from portal.reviews.models import ReviewRequest
from tests.portal.reviews.world import NOW, PLAIN, SENSITIVE, WHY, World


async def signed(
    session: AsyncSession,
    name: str,
    *,
    app: str = "app_1",
    version: str = "1.0.0",
    suite: str = "",
    passes: bool = True,
    scopes: tuple[str, ...] = (PLAIN, SENSITIVE),
) -> str:
    run = ConformanceRun(
        id=f"run_{name}",
        app_id=app,
        company_id="com_1",
        client_id="cli_sandbox",
        tenant="t1",
        app_version=version,
        suite_version=suite or suite_version(),
        status=RunStatus.JUDGED,
        products=[],
        scopes=list(scopes),
        results={},
        passes=passes,
        calls=12,
        traffic_digest="00",
        started_by="usr_owner",
        started_at=NOW,
        expires_at=NOW,
        judged_at=NOW,
    )
    session.add(run)
    await session.flush()
    session.add(
        Evidence(
            id=f"ev_{name}",
            run_id=run.id,
            app_id=app,
            company_id="com_1",
            app_version=version,
            suite_version=run.suite_version,
            passes=passes,
            jws="x",
            created_at=NOW,
        )
    )
    await session.flush()
    return f"ev_{name}"


async def request_for(session: AsyncSession, world: World, *scopes: str) -> ReviewRequest:
    made = await service.start(session, app_id="app_1", by=world.owner, now=NOW)
    await service.set_scopes(session, made, scopes=dict.fromkeys(scopes, WHY), by=world.owner, now=NOW)
    return made


async def test_good_evidence_lacks_nothing(session: AsyncSession, world: World) -> None:
    request = await request_for(session, world, PLAIN, SENSITIVE)
    await evidence.attach(session, request, evidence_id=await signed(session, "a"), by=world.owner, now=NOW)
    assert await evidence.lacks(session, request) == []


async def test_each_shortcoming_is_named(session: AsyncSession, world: World) -> None:
    request = await request_for(session, world, PLAIN, SENSITIVE)
    assert "No evidence" in (await evidence.lacks(session, request))[0][1]
    for name, word, options in (
        ("failing", "mandatory", {"passes": False}),
        ("old", "earlier suite", {"suite": "2020+000"}),
        ("narrow", SENSITIVE, {"scopes": (PLAIN,)}),
    ):
        identity = await signed(session, name, **options)  # type: ignore[arg-type]
        await evidence.attach(session, request, evidence_id=identity, by=world.owner, now=NOW)
        found = await evidence.lacks(session, request)
        assert [word in en for _, en in found] == [True], found
    assert await evidence.passes(session, request, scopes=[PLAIN]), "it carries what it showed"


async def test_evidence_of_another_app_or_version_is_not_attached(session: AsyncSession, world: World) -> None:
    request = await request_for(session, world, PLAIN)
    session.add(App(id="app_2", company_id="com_1", name="دیگر", created_by=world.owner.id, created_at=NOW))
    await session.flush()
    for identity in (
        await signed(session, "other", app="app_2"),
        await signed(session, "later", version="1.0.1"),
        "ev_none",
    ):
        with pytest.raises(Invalid):
            await evidence.attach(session, request, evidence_id=identity, by=world.owner, now=NOW)
    assert request.evidence_id == ""


@pytest.mark.parametrize(
    ("scope", "used", "shown"),
    [
        ("system/Patient.rs", ["system/Patient.rs"], True),
        ("system/Patient.r", ["system/Patient.rs"], True),
        ("system/Patient.cruds", ["system/Patient.rs", "system/Patient.cud"], True),
        ("system/Patient.rs", ["system/Patient.r"], False),
        ("system/Patient.rs", ["patient/Patient.rs"], False),
        ("system/Patient.rs", ["system/Person.rs"], False),
        ("system/Patient.rs", ["system/*.cruds"], False),
        ("launch/patient", [], True),
        ("openid", [], True),
    ],
)
def test_a_scope_is_shown_by_its_own_use_only(scope: str, used: list[str], shown: bool) -> None:
    assert evidence.shown_by(scope, used) == shown
