"""The person's part of an authorization: who signed in, whose data, which scopes; it ends in a code or a refusal."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.oauth import codes, opaque, scopes
from portal.oauth.authorize import location
from portal.oauth.models import CitizenSignIn, DataAccessGrant, Interaction, Launch

SIGN_IN_LIFETIME = timedelta(hours=8)


class Ended(NotFound):
    """The authorization was decided already, has expired, or never began here."""

    code = "authorization-ended"
    title = "This authorization has ended; go back to the App and begin again"
    title_fa = "این درخواست اجازه به پایان رسیده است؛ به برنامه بازگردید و از نو آغاز کنید"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in, or whose data can be chosen. `reference` is relative, such as `Patient/123`."""

    reference: str
    name: str
    birth_date: str = ""
    gender: str = ""
    note: str = ""

    @property
    def is_patient(self) -> bool:
        return self.reference.startswith("Patient/")

    @property
    def id(self) -> str:
        """The id part of the reference."""
        return self.reference.partition("/")[2]


def subject_of(environment: str, tenant: str, reference: str) -> str:
    """The stable `sub` of a person: says nothing, and differs from Tenant to Tenant."""
    digest = hashlib.sha256(f"{environment}|{tenant}|{reference}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


async def current(session: AsyncSession, *, handle: str, environment: str, now: datetime) -> Interaction:
    """The open interaction behind a handle; raises `Ended`."""
    interaction = await session.get(Interaction, opaque.digest(handle))
    if (
        interaction is None
        or interaction.environment != environment
        or interaction.decided_at is not None
        or interaction.expires_at <= now
    ):
        raise Ended
    return interaction


async def open_sign_in(
    session: AsyncSession, person: Person, *, environment: str, tenant: str, now: datetime
) -> tuple[CitizenSignIn, str]:
    """Sign a person in; the second value goes into the browser's cookie."""
    token = opaque.new_token(opaque.SIGN_IN)
    sign_in = CitizenSignIn(
        id=new_id("sgn"),
        token_hash=opaque.digest(token),
        environment=environment,
        tenant=tenant,
        subject=subject_of(environment, tenant, person.reference),
        reference=person.reference,
        name=person.name[:160],
        created_at=now,
        expires_at=now + SIGN_IN_LIFETIME,
    )
    session.add(sign_in)
    await session.flush()
    return sign_in, token


async def signed_in(
    session: AsyncSession, *, token: str, environment: str, tenant: str | None, now: datetime
) -> CitizenSignIn | None:
    """Who the cookie belongs to, if that sign-in is open in this Environment (and Tenant)."""
    query = select(CitizenSignIn).where(
        CitizenSignIn.token_hash == opaque.digest(token),
        CitizenSignIn.environment == environment,
        CitizenSignIn.ended_at.is_(None),
        CitizenSignIn.expires_at > now,
    )
    found = (await session.scalars(query)).one_or_none()
    return found if found is not None and (tenant is None or found.tenant == tenant) else None


async def sign_out(session: AsyncSession, sign_in: CitizenSignIn, now: datetime) -> None:
    """End a sign-in; refresh tokens of `online_access` end with it."""
    sign_in.ended_at = now
    await session.flush()


def needs_patient(interaction: Interaction) -> bool:
    """Whether the App asked for one patient's context."""
    return any(scope == "launch/patient" or scope.startswith("patient/") for scope in interaction.scopes)


async def approve(
    session: AsyncSession,
    interaction: Interaction,
    sign_in: CitizenSignIn,
    *,
    chosen: list[str],
    tenant: str,
    issuer: str,
    now: datetime,
) -> str:
    """Grant `chosen` scopes; returns where the browser goes next. Raises `Invalid` when nothing, or more than asked, is chosen."""
    kept = [scope for scope in interaction.scopes if scope in chosen]
    if set(chosen) - set(interaction.scopes):
        raise Invalid("only what the App asked for can be granted", field="scope")
    if not any(scopes.parse(scope) or scope in scopes.OPENID for scope in kept):
        raise Invalid(
            "choose at least one permission, or refuse",
            fa="دست‌کم یک دسترسی را برگزینید، یا درخواست را رد کنید",
            field="scope",
        )
    launch = await session.get(Launch, interaction.launch_id) if interaction.launch_id else None
    if needs_patient(interaction) and not interaction.patient:
        raise Invalid("choose whose record this is about", fa="مشخص کنید پروندهٔ چه کسی", field="patient")
    if launch is None and interaction.patient and sign_in.reference.startswith("Patient/"):
        _only_own(interaction, sign_in)
    await _decide(session, interaction, now)
    if launch is not None:
        await _use(session, launch, now)
    fault = launch.fault if launch else ""
    grant = DataAccessGrant(
        id=new_id("grt"),
        environment=interaction.environment,
        client_id=interaction.client_id,
        tenant=tenant,
        subject=sign_in.subject,
        reference=sign_in.reference,
        patient=interaction.patient,
        encounter=launch.encounter if launch else "",
        scopes=kept,
        sign_in_id=sign_in.id,
        fault=fault,
        signed_in_at=sign_in.created_at,
        created_at=now,
    )
    session.add(grant)
    await session.flush()
    code = await codes.issue(session, interaction, grant, now=now, stale=fault == "expired_code")
    state = "altered-by-the-simulator" if fault == "wrong_state" else interaction.state
    return location(
        interaction.redirect_uri, "https://attacker.invalid" if fault == "wrong_issuer" else issuer, state, code=code
    )


def _only_own(interaction: Interaction, sign_in: CitizenSignIn) -> None:
    """A citizen can open no record but their own, whoever chose a patient in this authorization before."""
    if sign_in.reference != f"Patient/{interaction.patient}":
        raise Invalid(
            "you can only allow access to your own record",
            fa="تنها دربارهٔ پروندهٔ خودتان می‌توانید اجازه دهید",
            field="patient",
        )


async def refuse(session: AsyncSession, interaction: Interaction, *, issuer: str, now: datetime) -> str:
    """The person said no; returns where the browser goes next."""
    await _decide(session, interaction, now)
    return location(
        interaction.redirect_uri,
        issuer,
        interaction.state,
        error="access_denied",
        error_description="the person refused access",
    )


async def _decide(session: AsyncSession, interaction: Interaction, now: datetime) -> None:
    decided = await session.execute(
        update(Interaction)
        .where(Interaction.id_hash == interaction.id_hash, Interaction.decided_at.is_(None))
        .values(decided_at=now)
        .returning(Interaction.id_hash)
        .execution_options(synchronize_session=False)
    )
    if decided.scalar_one_or_none() is None:
        raise Ended


async def _use(session: AsyncSession, launch: Launch, now: datetime) -> None:
    """A launch leads to one grant; who comes second finds it ended."""
    used = await session.execute(
        update(Launch)
        .where(Launch.id == launch.id, Launch.used_at.is_(None))
        .values(used_at=now)
        .returning(Launch.id)
        .execution_options(synchronize_session=False)
    )
    if used.scalar_one_or_none() is None:
        raise Ended


async def choose_patient(session: AsyncSession, interaction: Interaction, patient: str) -> None:
    """Set whose record the App will see; a launch that brought its own patient keeps it."""
    if interaction.launch_id is not None and interaction.patient:
        raise Conflict("the launch has set the patient")
    interaction.patient = patient
    await session.flush()
