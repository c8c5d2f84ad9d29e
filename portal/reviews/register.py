"""The public register: what anybody may know about approved Apps and revocations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AccessStatus, App
from portal.companies.models import Company, CompanyStatus
from portal.reviews.production import Approval, IncidentNote, Suspension, Target

MOST = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """An App's line: `state` is approved, limited, suspended, expired or revoked; `notes` are public incident notes."""

    app_id: str
    app_name: str
    homepage: str
    company_name: str
    scopes: tuple[str, ...]
    approved_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    state: str
    notes: tuple[str, ...] = ()


async def rows(session: AsyncSession, *, text: str = "") -> list[Listed]:
    """The last approval of each App, newest first; `text` searches App and Company names."""
    query = (
        select(Approval, App, Company)
        .join(App, App.id == Approval.app_id)
        .join(Company, Company.id == Approval.company_id)
        .where(or_(Approval.revoked_at.is_(None), Approval.revoke_reason != "superseded"))
        .order_by(Approval.revoked_at.is_not(None), Approval.approved_at.desc())
        .limit(MOST)
    )
    if text.strip():
        like = f"%{text.strip().replace('%', '').replace('_', '')}%"
        query = query.where(or_(App.name.ilike(like), Company.name.ilike(like)))
    newest: dict[str, tuple[Approval, App, Company]] = {}
    for approval, app, company in await session.execute(query):
        newest.setdefault(app.id, (approval, app, company))
    found = sorted(newest.values(), key=lambda row: row[0].approved_at, reverse=True)
    notes = await _notes(session, {app.id for _, app, _ in found} | {company.id for _, _, company in found})
    return [
        Listed(
            app_id=app.id,
            app_name=app.name,
            homepage=app.homepage,
            company_name=company.name,
            scopes=tuple(approval.scopes),
            approved_at=approval.approved_at,
            expires_at=approval.expires_at,
            ended_at=approval.revoked_at,
            state=state(approval, app, company),
            notes=(*notes.get(company.id, ()), *notes.get(app.id, ())),
        )
        for approval, app, company in found
    ]


def state(approval: Approval, app: App, company: Company) -> str:
    """What the register says of an approval."""
    if approval.revoked_at is not None:
        return "expired" if approval.revoke_reason == "expired" else "revoked"
    if app.status == AccessStatus.SUSPENDED or company.status == CompanyStatus.SUSPENDED:
        return "suspended"
    return "limited" if app.status == AccessStatus.LIMITED else "approved"


async def _notes(session: AsyncSession, targets: set[str]) -> dict[str, list[str]]:
    """Public notes on what is suspended now, by id of App or Company."""
    made: dict[str, list[str]] = {}
    found = await session.execute(
        select(Suspension.target_id, IncidentNote.body)
        .join(IncidentNote, IncidentNote.suspension_id == Suspension.id)
        .where(
            Suspension.target.in_([Target.APP, Target.COMPANY]),
            Suspension.target_id.in_(targets),
            Suspension.lifted_at.is_(None),
            IncidentNote.audience == "public",
        )
        .order_by(IncidentNote.at)
    )
    for target_id, body in found:
        made.setdefault(target_id, []).append(body)
    return made
