"""Apps on Plans, over a migrated database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries as apps
from portal.apps import secrets
from portal.apps import service as app_service
from portal.apps.models import AccessStatus, App
from portal.apps.tenants import NoTenants
from portal.audit.verification import findings
from portal.companies.models import Company
from portal.kernel.database import create_engine, session_maker
from portal.kernel.errors import Invalid
from portal.products import catalogue
from portal.products.queries import all_products, get_plan, plans_of, scopes_of
from portal.subscriptions import queries, service
from portal.users.models import User

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
async def session(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[AsyncSession]:
    shutil.copy(migrated_portal, tmp_path / "p.sqlite3")
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'p.sqlite3'}")
    async with session_maker(engine)() as made:
        made.add(User(id="usr_1", email="a@x.ir", name="A", password_hash="-", created_at=NOW))
        made.add(Company(id="cmp_1", name="شرکت", national_id="14003456781", created_at=NOW))
        await catalogue.sync(made)
        yield made
    await engine.dispose()


async def new_app(session: AsyncSession) -> App:
    return await app_service.create_app(session, company_id="cmp_1", name="  نبض   من ", created_by="usr_1", now=NOW)


async def test_the_catalogue_is_the_same_after_a_second_sync(session: AsyncSession) -> None:
    await session.commit()
    await catalogue.sync(session)
    assert not session.dirty
    assert not session.new
    products = await all_products(session)
    assert len(products) == 10
    for product in products:
        assert await scopes_of(session, product.id)
        assert {plan.environment for plan in await plans_of(session, product.id)} == {"sandbox", "production"}


async def test_the_first_sandbox_plan_opens_the_sandbox_with_a_tenant_of_its_own(session: AsyncSession) -> None:
    app, tenants = await new_app(session), NoTenants()
    assert app.name == "نبض من"
    plan = await get_plan(session, "appointments-sandbox")
    place, row = await service.subscribe_sandbox(session, app, plan, tenants=tenants, by="usr_1", now=NOW)
    assert list(tenants.made) == [place.tenant]
    assert "system/Appointment.cud" in place.scopes
    again, same = await service.subscribe_sandbox(session, app, plan, tenants=tenants, by="usr_1", now=NOW)
    assert (again.client_id, same.id) == (place.client_id, row.id)
    assert await findings(session) == []


async def test_ending_a_subscription_takes_only_the_scopes_no_other_product_brings(session: AsyncSession) -> None:
    app, tenants = await new_app(session), NoTenants()
    for name in ("laboratory-sandbox", "referral-sandbox"):
        place, _ = await service.subscribe_sandbox(
            session, app, await get_plan(session, name), tenants=tenants, by="usr_1", now=NOW
        )
    row = await queries.on_product(session, place.client_id, "laboratory")
    assert row is not None
    epoch = place.epoch
    await service.end(session, app, place, row, by="usr_1", now=NOW)
    assert "system/ServiceRequest.cruds" in place.scopes
    assert "system/Specimen.cruds" not in place.scopes
    assert place.epoch > epoch


async def test_a_production_plan_is_not_for_the_sandbox(session: AsyncSession) -> None:
    app = await new_app(session)
    with pytest.raises(service.ReviewFirst):
        await service.subscribe_sandbox(
            session, app, await get_plan(session, "referral-production-basic"), tenants=NoTenants(), by="usr_1", now=NOW
        )


async def test_a_secret_is_returned_once_and_kept_only_as_a_digest(session: AsyncSession) -> None:
    app = await new_app(session)
    place = await app_service.open_sandbox(
        session, app, scopes=["system/Patient.rs"], tenants=NoTenants(), by="usr_1", now=NOW
    )
    made, plain = await app_service.add_secret(session, app, place, pepper=b"p" * 32, by="usr_1", now=NOW)
    assert secrets.is_well_formed(plain)
    assert made.secret_hash == secrets.digest(plain, b"p" * 32)
    assert plain not in repr(vars(made))
    production = await app_service.grant_production_access(
        session, app, scopes=["system/Patient.rs"], by="usr_1", now=NOW
    )
    with pytest.raises(app_service.SecretsAreForTheSandbox):
        await app_service.add_secret(session, app, production, pepper=b"p" * 32, by="usr_1", now=NOW)


async def test_rotation_overlaps_and_never_outlives_the_old_secret(session: AsyncSession) -> None:
    app = await new_app(session)
    place = await app_service.open_sandbox(session, app, scopes=[], tenants=NoTenants(), by="usr_1", now=NOW)
    old, _ = await app_service.add_secret(
        session, app, place, pepper=b"p" * 32, by="usr_1", now=NOW, lifetime=timedelta(hours=1)
    )
    new, _ = await app_service.rotate_secret(
        session, app, place, old, overlap=timedelta(days=2), pepper=b"p" * 32, by="usr_1", now=NOW
    )
    assert old.expires_at == NOW + timedelta(hours=1)
    active = await apps.active_credentials(session, place.client_id, NOW + timedelta(minutes=30))
    assert {row.id for row in active} == {old.id, new.id}
    late = await apps.active_credentials(session, place.client_id, NOW + timedelta(hours=2))
    assert [row.id for row in late] == [new.id]
    with pytest.raises(Invalid):
        await app_service.rotate_secret(
            session, app, place, new, overlap=timedelta(days=8), pepper=b"p" * 32, by="usr_1", now=NOW
        )


async def test_a_sixth_active_credential_is_refused_until_one_is_revoked(session: AsyncSession) -> None:
    app = await new_app(session)
    place = await app_service.open_sandbox(session, app, scopes=[], tenants=NoTenants(), by="usr_1", now=NOW)
    for _ in range(app_service.MAX_ACTIVE_CREDENTIALS):
        last, _plain = await app_service.add_secret(session, app, place, pepper=b"p" * 32, by="usr_1", now=NOW)
    with pytest.raises(app_service.TooManyCredentials):
        await app_service.add_secret(session, app, place, pepper=b"p" * 32, by="usr_1", now=NOW)
    epoch = place.epoch
    await app_service.revoke_credential(session, app, place, last, by="usr_1", now=NOW)
    assert place.epoch == epoch + 1
    await app_service.add_secret(session, app, place, pepper=b"p" * 32, by="usr_1", now=NOW)


async def test_suspending_an_app_raises_the_epoch_of_every_environment(session: AsyncSession) -> None:
    app = await new_app(session)
    sandbox = await app_service.open_sandbox(session, app, scopes=[], tenants=NoTenants(), by="usr_1", now=NOW)
    production = await app_service.grant_production_access(session, app, scopes=[], by="usr_1", now=NOW)
    before = (sandbox.epoch, production.epoch)
    await app_service.set_status(session, app, status=AccessStatus.SUSPENDED, reason="نشت", by="usr_2", now=NOW)
    assert (sandbox.epoch, production.epoch) == (before[0] + 1, before[1] + 1)
