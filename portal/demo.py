"""The demo Company, its people, and ready Apps for scripts: what `make run` prints and `gozar demo-app` makes.

Passwords are derived from this installation's master key, so that they are the same after a restart and differ between installations.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import service as apps
from portal.apps.models import App, AppEnvironment
from portal.apps.tenants import Tenants
from portal.companies.models import Company, CompanyStatus, MemberRole, Membership
from portal.kernel.errors import DomainError
from portal.kernel.ids import new_id
from portal.kernel.keys import Keyring
from portal.oauth.models import ClientProfile
from portal.products.models import Plan, Product
from portal.subscriptions import service as subscriptions
from portal.users.models import Role, User
from portal.users.passwords import hash_password

COMPANY_NAME = "سلامت‌یار نمونه"
# Its check digit is wrong on purpose: it can belong to no company.
COMPANY_NATIONAL_ID = "14009990010"
DEFAULT_SCOPES = (
    "system/*.cruds",
    "patient/*.rs",
    "user/*.cruds",
    "launch",
    "launch/patient",
    "openid",
    "fhirUser",
    "offline_access",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A demo User and how to sign in."""

    email: str
    name: str
    role: Role

    def password(self, keyring: Keyring) -> str:
        """20 characters that depend on the installation and the address."""
        digest = hashlib.sha256(keyring.derive("demo-accounts") + self.email.encode()).digest()
        return base64.b32encode(digest).decode().lower()[:20]


ACCOUNTS = (
    Account("developer@demo.gozar.example", "سارا احمدی", Role.DEVELOPER),
    Account("colleague@demo.gozar.example", "امید رضایی", Role.DEVELOPER),
    Account("reviewer@demo.gozar.example", "نرگس کریمی", Role.REVIEWER),
    Account("second-reviewer@demo.gozar.example", "کاوه مرادی", Role.REVIEWER),
    Account("admin@demo.gozar.example", "مدیر سامانه", Role.ADMIN),
)


LIFETIME = timedelta(days=90)
SMART_SCOPE = re.compile(
    r"(system|patient|user)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|(?=[cruds])c?r?u?d?s?)(\?[^\s]+)?"
    r"|launch(/(patient|encounter))?|openid|fhirUser|profile|offline_access|online_access"
)


class UnusableScope(DomainError):
    code = "scope"
    title = "This is not a scope"


class UnusableLimit(DomainError):
    code = "rate-limit"
    title = "This is not a rate limit"


@dataclass(frozen=True, slots=True)
class ReadyApp:
    """What a script needs to call the exchange."""

    app_id: str
    client_id: str
    client_secret: str
    tenant: str
    scopes: list[str]


async def seed(session: AsyncSession, keyring: Keyring, now: datetime) -> None:
    """Make the demo accounts and the demo Company where they are missing; running it twice changes nothing."""
    users = []
    for account in ACCOUNTS:
        user = (await session.scalars(select(User).where(User.email == account.email))).first()
        if user is None:
            user = User(
                id=new_id("usr"),
                email=account.email,
                name=account.name,
                password_hash=await hash_password(account.password(keyring)),
                role=account.role,
                created_at=now,
                email_confirmed_at=now,
            )
            session.add(user)
        users.append(user)
    await session.flush()
    company = await demo_company(session)
    if company is None:
        company = Company(
            id=new_id("cmp"),
            name=COMPANY_NAME,
            national_id=COMPANY_NATIONAL_ID,
            certificate_number="DB-1405-0001",
            status=CompanyStatus.VERIFIED,
            created_at=now,
        )
        session.add(company)
        await session.flush()
        for user, role in ((users[0], MemberRole.OWNER), (users[1], MemberRole.DEVELOPER)):
            session.add(Membership(company_id=company.id, user_id=user.id, role=role, created_at=now))
    await session.flush()


async def demo_company(session: AsyncSession) -> Company | None:
    """The demo Company, or None before `seed`."""
    return (await session.scalars(select(Company).where(Company.national_id == COMPANY_NATIONAL_ID))).first()


async def ready_app(
    session: AsyncSession,
    *,
    environment: str,
    scopes: list[str],
    per_second: int | None,
    per_minute: int | None,
    quota: int | None,
    tenants: Tenants,
    pepper: bytes,
    now: datetime,
) -> ReadyApp:
    """A new App of the demo Company, with a Credential, on the first Plan of every Product, under the given limits."""
    company = await demo_company(session)
    owner = (await session.scalars(select(User).where(User.email == ACCOUNTS[0].email))).one()
    if company is None:
        raise DomainError("the demo company is missing: run `gozar init` first")
    app = await apps.create_app(
        session, company_id=company.id, name=f"demo {new_id('app')[4:10]}", created_by=owner.id, now=now
    )
    if environment == "sandbox":
        place = await apps.open_sandbox(session, app, scopes=scopes, tenants=tenants, by=owner.id, now=now)
    else:
        place = await apps.grant_production_access(session, app, scopes=scopes, by=owner.id, now=now)
    for plan in await _first_plans(session, environment):
        row = await subscriptions.put_on(session, app, place, plan, by=owner.id, now=now)
        await subscriptions.override_limits(
            session, app, place, row, per_second=per_second, per_minute=per_minute, quota=quota, by=owner.id, now=now
        )
    return await _with_credential(session, app, place, pepper=pepper, by=owner.id, now=now)


async def _first_plans(session: AsyncSession, environment: str) -> list[Plan]:
    query = (
        select(Plan)
        .join(Product, Product.id == Plan.product_id)
        .where(Plan.environment == environment)
        .order_by(Product.position, Plan.position.desc())
    )
    found: dict[str, Plan] = {}
    for plan in await session.scalars(query):
        found.setdefault(plan.product_id, plan)
    return list(found.values())


async def _with_credential(
    session: AsyncSession, app: App, place: AppEnvironment, *, pepper: bytes, by: str, now: datetime
) -> ReadyApp:
    production = place.environment == "production"
    if production:
        session.add(ClientProfile(client_id=place.client_id, secret_in_production=True))
    _, secret = await apps.add_secret(
        session, app, place, pepper=pepper, by=by, now=now, lifetime=LIFETIME, in_production=production
    )
    return ReadyApp(app.id, place.client_id, secret, place.tenant, place.scopes)


def parse_limit(text: str) -> tuple[int, int]:
    """`N/second` or `N/minute` as (per second, per minute); raises UnusableLimit.

    The window that is not named is opened as wide as the named one allows, so that only the named limit is ever met.
    """
    found = re.fullmatch(r"(\d{1,9})/(second|minute)", text.strip())
    if found is None:
        raise UnusableLimit(f"{text!r} is not a rate limit: write N/second or N/minute, such as 20/second")
    number = int(found[1])
    return (number, number * 60) if found[2] == "second" else (number, number)


def parse_scopes(text: str) -> list[str]:
    """Scopes of a space-separated text, in order and once each; raises UnusableScope."""
    wanted = list(dict.fromkeys(text.split()))
    for scope in wanted:
        if not SMART_SCOPE.fullmatch(scope):
            raise UnusableScope(
                f"{scope!r} is not a scope: write such as system/Patient.rs, patient/*.read or launch/patient"
            )
    return wanted
