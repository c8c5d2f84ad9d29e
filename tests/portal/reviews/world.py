"""A small world of the review desk: a verified company with an app, two reviewers, a catalogue with one sensitive scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment, RedirectUri
from portal.companies.models import Company, CompanyStatus, MemberRole, Membership
from portal.products.models import Plan, Product, ProductScope
from portal.reviews.questionnaire import questions
from portal.users.models import Role, User

# A Sunday morning in Tehran.
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
PLAIN, SENSITIVE = "system/Patient.rs", "system/MedicationRequest.cruds"
WHY = "Shows the citizen's own record to the clinician who treats them, nothing more."


@dataclass
class World:
    """Who and what there is."""

    owner: User
    viewer: User
    stranger: User
    first: User
    second: User
    admin: User
    company: Company
    app: App


def user(name: str, role: Role = Role.DEVELOPER) -> User:
    return User(
        id=f"usr_{name}",
        email=f"{name}@example.org",
        name=name,
        password_hash="-",
        role=role,
        language="fa",
        created_at=NOW,
    )


def good_answers() -> dict[str, str]:
    """An answer to every question that is accepted."""
    made: dict[str, str] = {}
    for question in questions().values():
        match question.kind:
            case "yes_no":
                made[question.id] = question.must or "no"
            case "choice":
                made[question.id] = question.choices[0].id
            case "number":
                made[question.id] = str(max(question.min or 0, 1))
            case "email":
                made[question.id] = "safety@example.org"
            case "phone":
                made[question.id] = "021 1234 5678"
            case "url":
                made[question.id] = "https://example.org/privacy"
            case "date":
                made[question.id] = "2026-05-30"
            case "file":
                continue
            case _:
                made[question.id] = "x" * max(question.min or 0, 10)
    return made


async def build(session: AsyncSession, *, status: CompanyStatus = CompanyStatus.VERIFIED) -> World:
    """Write the world into an empty, migrated database."""
    owner, viewer, stranger = user("owner"), user("viewer"), user("stranger")
    first, second, admin = user("first", Role.REVIEWER), user("second", Role.REVIEWER), user("admin", Role.ADMIN)
    company = Company(
        id="com_1", name="سلامت‌یار", national_id="10380284790", certificate_number="D-1", status=status, created_at=NOW
    )
    session.add_all([owner, viewer, stranger, first, second, admin, company])
    await session.flush()
    for who, role in ((owner, MemberRole.OWNER), (viewer, MemberRole.VIEWER)):
        session.add(Membership(company_id=company.id, user_id=who.id, role=role, created_at=NOW))
    texts: dict[str, Any] = {"summary_fa": "-", "summary_en": "-"}
    session.add(Product(id="health-record", name_fa="پروندهٔ سلامت", name_en="Health record", **texts))
    session.add(Product(id="prescriptions", name_fa="نسخه", name_en="Prescriptions", position=1, **texts))
    await session.flush()
    for product, scope, sensitive in (("health-record", PLAIN, False), ("prescriptions", SENSITIVE, True)):
        session.add(ProductScope(product_id=product, scope=scope, meaning_fa="-", meaning_en="-", sensitive=sensitive))
        for environment in ("sandbox", "production"):
            session.add(
                Plan(
                    id=f"{product}-{environment}",
                    product_id=product,
                    environment=environment,
                    name_fa="پایه",
                    name_en="Basic",
                    per_second=20,
                    per_minute=600,
                    quota=100_000,
                )
            )
    app = App(id="app_1", company_id=company.id, name="همراه دارو", created_by=owner.id, created_at=NOW)
    session.add(app)
    await session.flush()
    session.add(
        AppEnvironment(
            client_id="cli_sandbox",
            app_id=app.id,
            environment="sandbox",
            tenant="t1",
            scopes=[PLAIN, SENSITIVE],
            created_at=NOW,
        )
    )
    await session.flush()
    session.add(RedirectUri(client_id="cli_sandbox", uri="https://example.org/callback"))
    session.add(RedirectUri(client_id="cli_sandbox", uri="http://127.0.0.1:3000/callback"))
    await session.flush()
    return World(owner, viewer, stranger, first, second, admin, company, app)
