"""Secrets that somebody found where they do not belong: reported by anyone, revoked at once when they are real.

The checksum sorts out what cannot be a secret of ours without asking the database. Whether a report was right is not told: the
answer to a real secret and to a well-formed wrong one is the same.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import secrets
from portal.apps.models import App, AppEnvironment, Credential
from portal.audit.service import record

MAX_REPORTED = 20


async def report(session: AsyncSession, found: list[str], *, pepper: bytes, where: str, now: datetime) -> int:
    """Revoke those of `found` that are secrets of ours; returns how many were well-formed, which says nothing about being real."""
    wellformed = [secret for secret in dict.fromkeys(found) if secrets.is_well_formed(secret)]
    for secret in wellformed:
        row = (
            await session.execute(
                select(Credential, App.company_id)
                .join(AppEnvironment, AppEnvironment.client_id == Credential.client_id)
                .join(App, App.id == AppEnvironment.app_id)
                .where(
                    Credential.secret_hash == secrets.digest(secret, pepper),
                    Credential.revoked_at.is_(None),
                )
            )
        ).one_or_none()
        if row is None:
            continue
        credential, company_id = row
        credential.revoked_at = now
        await session.flush()
        await record(
            session,
            now=now,
            actor="gozar",
            action="credential.leaked",
            subject=credential.id,
            company_id=company_id,
            details={"where": where[:200], "hint": credential.secret_hint},
        )
    return len(wellformed)
