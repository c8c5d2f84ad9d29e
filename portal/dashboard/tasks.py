"""The steps from registration to the first sandbox call and on to production keys, as far as the rooms below know them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries as apps
from portal.apps.models import CredentialKind
from portal.companies.models import Company, CompanyStatus
from portal.subscriptions.queries import running
from portal.web.tasks import Task, TaskState


def company_task(company: Company) -> Task:
    """The ministry's verification of the Company."""
    state: TaskState = "done" if company.status == CompanyStatus.VERIFIED else "blocked"
    hint = (
        "وزارت بهداشت مشخصات شرکت را بررسی می‌کند؛ کاری از سوی شما لازم نیست",
        "The ministry is checking the company; nothing for you to do",
    )
    if company.status == CompanyStatus.REJECTED:
        state, hint = "changes", (company.status_reason, company.status_reason)
    if company.status == CompanyStatus.VERIFIED:
        hint = ("", "")
    return Task(
        40,
        state,
        "راستی‌آزمایی شرکت",
        "Verification of the company",
        f"/companies/{company.id}/settings",
        hint[0],
        hint[1],
    )


async def app_tasks(session: AsyncSession, *, app_id: str, company_id: str, now: datetime) -> Sequence[Task]:
    """Products, a Credential, the first call, keys for production."""
    place = await apps.presence(session, app_id, "sandbox")
    standings = await running(session, place.client_id) if place else []
    credentials = await apps.active_credentials(session, place.client_id, now) if place else []
    called = any(row.last_used_at for row in credentials)
    keyed = any(row.kind != CredentialKind.SECRET for row in credentials)
    production = await apps.presence(session, app_id, "production")
    if production is not None:
        keyed = bool(await apps.active_credentials(session, production.client_id, now))
    base = f"/apps/{app_id}"
    return [
        Task(
            10,
            "done" if standings else "todo",
            "گزینش محصول‌ها و باز کردن محیط آزمایشی",
            "Choose products and open the sandbox",
            f"{base}/products",
        ),
        Task(
            20,
            "done" if credentials else ("todo" if place else "blocked"),
            "گرفتن اعتبارنامهٔ آزمایشی",
            "Get a sandbox credential",
            f"{base}/credentials",
        ),
        Task(
            30,
            "done" if called else ("todo" if credentials else "blocked"),
            "گرفتن نخستین توکن و نخستین فراخوانی",
            "Obtain the first token and make the first call",
            base,
            "" if called else "فرمان‌های آماده در نمای کلی برنامه است",
            "" if called else "The commands are on the app's overview",
        ),
        Task(
            50,
            "done" if keyed else ("todo" if called else "blocked"),
            "ثبت کلید عمومی برای محیط عملیاتی",
            "Register public keys for production",
            f"{base}/credentials",
            "" if keyed else "محیط عملیاتی رمز نمی‌پذیرد، تنها کلید",
            "" if keyed else "Production takes keys only, no secrets",
        ),
    ]
