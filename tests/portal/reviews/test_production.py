"""After the approval: ramps by evidence, re-verification, drift, notices, the end; and the register that tells of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AppEnvironment, Credential, CredentialKind, RedirectUri
from portal.audit.models import AuditCheckpoint
from portal.audit.verification import findings
from portal.companies.models import CompanyStatus
from portal.kernel.blobs import FolderBlobs
from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.mail import MemoryMailer
from portal.kernel.signing import PortalSigner
from portal.reviews import policy, ramp, register, rounds, suspensions
from portal.reviews.caretaker import Caretaker
from portal.reviews.production import Approval, Grade, RampChange, Target
from portal.reviews.ramp import Measures, judge
from portal.subscriptions.models import Subscription
from portal.usage.models import UsageHour
from tests.portal.reviews.test_decisions import approve, submitted
from tests.portal.reviews.world import NOW, PLAIN, World, build

RULES = policy.current().ramp
LAST = len(RULES.steps) - 1


def day(number: float) -> datetime:
    return NOW + timedelta(days=number)


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1), st.integers(0, LAST), st.integers(0, 60))
def test_a_ramp_moves_one_step_at_most_and_always_says_why(
    calls: int, refused: float, limited: float, step: int, days: int
) -> None:
    measures = Measures(calls, int(calls * refused), int(calls * limited))
    verdict = judge(measures, step=step, days_at_step=days, rules=RULES)
    assert verdict.fa
    assert verdict.en
    if verdict.move == "up":
        assert step < LAST
        assert days >= RULES.steps[step].days
        assert measures.calls >= RULES.calls
        assert measures.error_rate <= RULES.error_rate
    if verdict.move == "down":
        assert step > 0
        assert measures.error_rate > RULES.error_rate


async def approved(session: AsyncSession, world: World) -> Approval:
    await approve(session, world, await submitted(session, world))
    return (await session.scalars(select(Approval))).one()


def used(approval: Approval, when: datetime, *, admitted: int, refused: int = 0, limited: int = 0) -> UsageHour:
    return UsageHour(
        client_id=approval.client_id,
        product_id="health-record",
        hour=when,
        environment="production",
        company_id=approval.company_id,
        app_id=approval.app_id,
        admitted=admitted,
        refused=refused,
        limited=limited,
    )


async def per_minute(session: AsyncSession, approval: Approval) -> int | None:
    return await session.scalar(select(Subscription.per_minute).where(Subscription.client_id == approval.client_id))


async def test_limits_rise_on_evidence_and_fall_on_errors(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    assert await per_minute(session, approval) == 60
    session.add(used(approval, day(3), admitted=500, refused=5))
    assert (await ramp.step(session, approval, now=day(5))).reason == "days"
    assert (await ramp.step(session, approval, now=day(7))).move == "up"
    assert await per_minute(session, approval) == 180
    session.add(used(approval, day(9), admitted=150, refused=80))
    fall = await ramp.step(session, approval, now=day(10))
    assert (fall.move, fall.reason) == ("down", "error-rate")
    assert await per_minute(session, approval) == 60
    changes = (await session.scalars(select(RampChange).order_by(RampChange.at))).all()
    assert [(row.from_step, row.to_step) for row in changes] == [(0, 1), (1, 0)]
    assert changes[1].measures == {"calls": 230, "refused": 80, "limited": 0}


async def test_the_last_step_is_the_plan_itself(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    approval.ramp_step = LAST - 1
    session.add(used(approval, day(13), admitted=1000))
    assert (await ramp.step(session, approval, now=day(15))).move == "up"
    assert await per_minute(session, approval) is None
    assert (await ramp.step(session, approval, now=day(40))).reason == "complete"


async def test_too_few_calls_move_nothing(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    session.add(used(approval, day(5), admitted=3, refused=3))
    assert (await ramp.step(session, approval, now=day(30))).reason == "calls"


async def test_re_verification_finds_what_no_longer_holds(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    assert set(await rounds.verify(session, approval, now=day(30))) == {"evidence"}
    world.company.status = CompanyStatus.REJECTED
    session.add(RedirectUri(client_id=approval.client_id, uri="https://attacker.example/cb"))
    await session.flush()
    found = await rounds.verify(session, approval, now=day(61))
    assert set(found) == {"company", "drift-redirects", "evidence", "unused"}
    assert PLAIN in found["unused"]["en"]
    assert approval.next_check_at == day(91)


async def test_the_first_production_key_is_no_drift_but_a_second_is(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)

    def key(name: str) -> Credential:
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": name}
        return Credential(
            id=f"cred_{name}",
            client_id=approval.client_id,
            kind=CredentialKind.JWKS,
            jwks={"keys": [jwk]},
            created_by=world.owner.id,
            created_at=NOW,
        )

    session.add(key("one"))
    await session.flush()
    assert await rounds.drift(session, approval, world.app) == {}
    approval.snapshot = {**approval.snapshot, "keys": ["production old"]}
    assert set(await rounds.drift(session, approval, world.app)) == {"drift-keys"}


async def test_notices_come_once_each_and_then_the_end(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    mailer = MemoryMailer()
    for number, mails in ((300, 0), (336, 1), (337, 1), (352, 2), (359, 3), (360, 3)):
        await rounds.run(session, mailer=mailer, now=day(number))
        assert len(mailer.sent) == mails, number
    assert "تمدید" in mailer.sent[-1].text
    done = await rounds.run(session, mailer=mailer, now=day(365.1))
    assert done.expired == [world.app.id]
    place = await session.get_one(AppEnvironment, approval.client_id)
    assert place.status == "suspended"
    assert [row.state for row in await register.rows(session)] == ["expired"]
    assert (await rounds.run(session, mailer=mailer, now=day(366))).expired == []


async def test_a_renewal_opens_an_expired_app_again(session: AsyncSession, world: World) -> None:
    await approved(session, world)
    await rounds.run(session, mailer=MemoryMailer(), now=day(366))
    request = await submitted(session, world)
    await approve(session, world, request)
    place = (await session.scalars(select(AppEnvironment).where(AppEnvironment.environment == "production"))).one()
    assert place.status == "active"
    assert [row.state for row in await register.rows(session)] == ["approved"]


async def test_the_register_tells_of_suspensions_and_public_notes(session: AsyncSession, world: World) -> None:
    await approved(session, world)
    row = await suspensions.impose(
        session,
        target=Target.APP,
        target_id=world.app.id,
        grade=Grade.INVOLUNTARY,
        reason_code="data-leak",
        by=world.first,
        now=NOW,
    )
    for audience in ("internal", "company", "public"):
        await suspensions.note(session, row, body=f"note for {audience}", audience=audience, by=world.first, now=NOW)
    listed = (await register.rows(session, text="دارو"))[0]
    assert (listed.state, listed.notes) == ("suspended", ("note for public",))
    assert await register.rows(session, text="no such app") == []


async def test_a_round_signs_the_log_and_two_rounds_do_the_work_once(maker: SessionMaker) -> None:
    async with transaction(maker) as session:
        world = await build(session)
        await approved(session, world)
    mailer = MemoryMailer()
    signer = PortalSigner(b"s" * 32)
    keeper = Caretaker(maker, mailer, signer, FixedClock(day(340)))
    await keeper.once()
    await keeper.once()
    assert len(mailer.sent) == 1
    async with maker() as session:
        assert len((await session.scalars(select(AuditCheckpoint))).all()) == 1
        assert await findings(session, jwks=signer.jwks()) == []


async def test_documents_lie_under_their_digest_for_their_owner_only(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "attachments")
    digest = await blobs.put(b"content")
    assert await blobs.put(b"content") == digest
    assert await blobs.get(digest) == b"content"
    assert await blobs.get("0" * 64) is None
    files = [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]


@pytest.mark.parametrize("name", ["../../etc/passwd", 'a"b.pdf', "سیاست\x00.PDF", "C:\\x\\y.pdf", ""])
def test_file_names_lose_what_is_dangerous(name: str) -> None:
    from portal.reviews.attachments import safe_name

    made = safe_name(name)
    assert made.endswith(".pdf")
    assert not set(made) & set('/\\"\x00')
