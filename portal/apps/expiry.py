"""Notices before a Credential ends: 30, 14, 7 days and a day before, once each, to the people who can make a new one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment, Credential
from portal.companies.models import MemberRole, Membership
from portal.kernel.mail import Mailer, Message
from portal.users.models import User

STAGES = (30, 14, 7, 1)


async def notify(session: AsyncSession, *, mailer: Mailer, now: datetime) -> int:
    """Mail what is due; returns how many Credentials were spoken of."""
    rows = await session.execute(
        select(Credential, AppEnvironment, App)
        .join(AppEnvironment, AppEnvironment.client_id == Credential.client_id)
        .join(App, App.id == AppEnvironment.app_id)
        .where(
            Credential.revoked_at.is_(None),
            Credential.expires_at > now,
            Credential.expires_at <= now + timedelta(days=STAGES[0]),
        )
    )
    told = 0
    for credential, place, app in list(rows):
        left = (credential.expires_at - now).days if credential.expires_at else STAGES[0]
        stage = min(days for days in STAGES if left <= days)
        if credential.notice_days and credential.notice_days <= stage:
            continue
        credential.notice_days = stage
        for user in await _makers(session, app.company_id):
            await mailer.send(_message(user, app, place, credential, max(left, 1)))
        told += 1
    return told


async def _makers(session: AsyncSession, company_id: str) -> list[User]:
    """Owners and developers of the Company."""
    found = await session.scalars(
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.company_id == company_id,
            Membership.role.in_([MemberRole.OWNER, MemberRole.DEVELOPER]),
            User.disabled_at.is_(None),
        )
    )
    return list(found)


def _message(user: User, app: App, place: AppEnvironment, credential: Credential, days: int) -> Message:
    name = credential.secret_hint or credential.id
    if user.language == "en":
        text = (
            f"A {place.environment} credential of {app.name} ({name}) ends in {days} days.\n"
            "Make a new one on the app's credentials page and put it to use before then; both work until the end.\n"
        )
        return Message(user.email, f"A credential of {app.name} is about to end", text)
    environment = "محیط عملیاتی" if place.environment == "production" else "محیط آزمایشی"
    text = (
        f"یک اعتبارنامهٔ {environment} از «{app.name}» ({name}) تا {days} روز دیگر پایان می‌یابد.\n"
        "پیش از آن در صفحهٔ اعتبارنامه‌های برنامه اعتبارنامهٔ تازه‌ای بسازید و به کار بگیرید؛ تا پایان هر دو کار می‌کنند.\n"
    )
    return Message(user.email, f"اعتبارنامهٔ «{app.name}» رو به پایان است", text)
