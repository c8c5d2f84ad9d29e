"""Verbs on Companies: registering, inviting, joining, roles, verification by the ministry."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.companies import mails, queries
from portal.companies.models import Company, CompanyStatus, Invitation, MemberRole, Membership
from portal.companies.national_id import clean_national_id
from portal.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.kernel.mail import Mailer
from portal.kernel.text import clean_text, fold, gather
from portal.users.models import User
from portal.users.queries import user_by_email
from portal.users.service import clean_email
from portal.users.tokens import digest, random_token

INVITATION_LASTS = timedelta(days=14)
CERTIFICATE = re.compile(r"[0-9A-Za-z/-]{3,32}")


class AlreadyRegistered(Conflict):
    code = "company-already-registered"
    title = "A Company with this national ID is registered already; ask its owner for an invitation"
    title_fa = "شرکتی با این شناسهٔ ملی پیش‌تر ثبت شده است؛ از مالک آن بخواهید شما را دعوت کند"


class OwnCompany(Forbidden):
    code = "own-company"
    title = "Nobody decides on a company they belong to"
    title_fa = "هیچ‌کس دربارهٔ شرکتی که عضو آن است رأی نمی‌دهد"


class Suspended(Conflict):
    code = "company-suspended"
    title = "A company is suspended, and reinstated by two reviewers, under Suspensions only"
    title_fa = "تعلیق شرکت، و رفع آن با دو کارشناس، تنها در بخش تعلیق‌هاست"


class AlreadyMember(Conflict):
    code = "already-member"
    title = "This person is a member already"
    title_fa = "این شخص هم‌اکنون عضو شرکت است"


class LastOwner(Conflict):
    code = "last-owner"
    title = "A Company needs at least one owner: make somebody else an owner first"
    title_fa = "شرکت دست‌کم یک مالک لازم دارد؛ نخست شخص دیگری را مالک کنید"


class InvitationGone(NotFound):
    code = "invitation-gone"
    title = "This invitation has expired, was withdrawn or is accepted already"
    title_fa = "این دعوت منقضی شده، پس گرفته شده یا پیش‌تر پذیرفته شده است"


class OtherAddress(Conflict):
    code = "other-address"
    title = "This invitation was sent to another e-mail address: sign in with that one"
    title_fa = "این دعوت برای نشانی ایمیل دیگری فرستاده شده است؛ با همان نشانی وارد شوید"


def clean_company_name(name: str) -> str:
    """A Company's registered name."""
    return clean_text(name, field="name", fa="نام شرکت", en="the name of the company", longest=160, shortest=2)


def clean_certificate(number: str) -> str:
    """Number of the knowledge-based company certificate; empty is allowed."""
    folded = fold(number)
    if folded and not CERTIFICATE.fullmatch(folded):
        raise Invalid(
            "A certificate number has 3 to 32 digits, Latin letters, hyphens or slashes",
            fa="شمارهٔ گواهی ۳ تا ۳۲ رقم یا حرف لاتین دارد",
            field="certificate_number",
        )
    return folded


def clean_website(address: str, *, field: str = "website") -> str:
    """An http(s) address; empty is allowed."""
    folded = fold(address)
    if not folded:
        return ""
    try:
        parts = urlsplit(folded)
        fits = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and " " not in folded
        )
    except ValueError:
        fits = False
    if not fits or len(folded) > 255:
        raise Invalid(
            "Write the address in full, like https://example.ir",
            fa="نشانی را کامل بنویسید؛ مانند https://example.ir",
            field=field,
        )
    return folded


def clean_role(role: str) -> MemberRole:
    """A role by its name."""
    try:
        return MemberRole(role)
    except ValueError:
        raise Invalid(
            "The role is owner, developer or viewer", fa="نقش باید مالک، توسعه‌دهنده یا بیننده باشد", field="role"
        ) from None


async def register_company(
    session: AsyncSession,
    *,
    user: User,
    name: str,
    national_id: str,
    now: datetime,
    certificate_number: str = "",
    website: str = "",
) -> Company:
    """A new Company with `user` as its owner; raises Invalid for every wrong field at once, AlreadyRegistered."""
    name_, national_id_, certificate, site = gather(
        lambda: clean_company_name(name),
        lambda: clean_national_id(national_id),
        lambda: clean_certificate(certificate_number),
        lambda: clean_website(website),
    )
    if await session.scalar(select(Company.id).where(Company.national_id == national_id_)) is not None:
        raise AlreadyRegistered(field="national_id")
    company = Company(
        id=new_id("com"),
        name=name_,
        national_id=national_id_,
        certificate_number=certificate,
        website=site,
        status=CompanyStatus.UNVERIFIED,
        status_reason="",
        created_at=now,
    )
    session.add(company)
    await session.flush()
    session.add(Membership(company_id=company.id, user_id=user.id, role=MemberRole.OWNER, created_at=now))
    await session.flush()
    await record(
        session,
        now=now,
        actor=user.id,
        action="company.registered",
        subject=company.id,
        company_id=company.id,
        details={"national_id": company.national_id},
    )
    return company


async def update_company(
    session: AsyncSession,
    *,
    company: Company,
    actor: str,
    now: datetime,
    name: str | None = None,
    certificate_number: str | None = None,
    website: str | None = None,
) -> None:
    """Change what a Company says of itself; None leaves a field. A new name or certificate has to be verified again."""
    name_, certificate, site = gather(
        lambda: company.name if name is None else clean_company_name(name),
        lambda: company.certificate_number if certificate_number is None else clean_certificate(certificate_number),
        lambda: company.website if website is None else clean_website(website),
    )
    verified_part = (company.name, company.certificate_number)
    company.name, company.certificate_number, company.website = name_, certificate, site
    if (name_, certificate) != verified_part and company.status in (CompanyStatus.VERIFIED, CompanyStatus.REJECTED):
        company.status, company.status_reason = CompanyStatus.UNVERIFIED, ""
    await record(session, now=now, actor=actor, action="company.changed", subject=company.id, company_id=company.id)


async def set_status(
    session: AsyncSession, *, company: Company, status: CompanyStatus, reason: str, actor: str, now: datetime
) -> None:
    """The ministry's word on a Company; anything but `verified` needs a reason.

    Raises `OwnCompany` for a reviewer who belongs to it, and `Suspended` while a kill switch holds it: lifting that takes two persons.
    """
    if await session.get(Membership, (company.id, actor)) is not None:
        raise OwnCompany
    if CompanyStatus.SUSPENDED in (status, company.status):
        raise Suspended
    reason_ = " ".join(fold(reason).split())
    if status is not CompanyStatus.VERIFIED and len(reason_) < 5:
        raise Invalid(
            "Give a reason the company can act on",
            fa="دلیلی بنویسید که شرکت بتواند بر پایهٔ آن کاری بکند",
            field="reason",
        )
    company.status, company.status_reason = status, reason_
    await record(
        session,
        now=now,
        actor=actor,
        action=f"company.{status.value}",
        subject=company.id,
        company_id=company.id,
        details={"reason": reason_},
    )


async def invite(
    session: AsyncSession,
    *,
    company: Company,
    email: str,
    role: str,
    inviter: User,
    now: datetime,
    mailer: Mailer,
    accept_url: str,
) -> Invitation:
    """Mail an invitation; one to the same address is replaced. `accept_url` ends before the token."""
    email_, role_ = gather(lambda: clean_email(email), lambda: clean_role(role))
    person = await user_by_email(session, email_)
    if person is not None and await session.get(Membership, (company.id, person.id)) is not None:
        raise AlreadyMember(field="email")
    await session.execute(delete(Invitation).where(Invitation.company_id == company.id, Invitation.email == email_))
    token = random_token()
    made = Invitation(
        id=new_id("inv"),
        company_id=company.id,
        email=email_,
        role=role_,
        token_hash=digest(token),
        invited_by=inviter.id,
        created_at=now,
        expires_at=now + INVITATION_LASTS,
    )
    session.add(made)
    await session.flush()
    await record(
        session,
        now=now,
        actor=inviter.id,
        action="company.member_invited",
        subject=made.id,
        company_id=company.id,
        details={"role": str(role_)},
    )
    language = person.language if person is not None else inviter.language
    await mailer.send(
        mails.invitation(
            email_, language=language, company=company.name, inviter=inviter.name, link=f"{accept_url}{token}"
        )
    )
    return made


async def withdraw(session: AsyncSession, *, invitation: Invitation, actor: str, now: datetime) -> None:
    """Take an invitation back."""
    await session.delete(invitation)
    await record(
        session,
        now=now,
        actor=actor,
        action="company.invitation_withdrawn",
        subject=invitation.id,
        company_id=invitation.company_id,
    )


async def accept(session: AsyncSession, *, token: str, user: User, now: datetime) -> Company:
    """Join the Company of a mailed link; raises InvitationGone, OtherAddress."""
    found = await queries.invitation_by_token(session, token, now=now)
    if found is None:
        raise InvitationGone
    invitation, company = found
    if invitation.email != user.email:
        raise OtherAddress
    invitation.accepted_at = now
    if await session.get(Membership, (company.id, user.id)) is None:
        session.add(Membership(company_id=company.id, user_id=user.id, role=invitation.role, created_at=now))
    await session.flush()
    await record(
        session, now=now, actor=user.id, action="company.member_joined", subject=user.id, company_id=company.id
    )
    return company


async def change_role(session: AsyncSession, *, membership: Membership, role: str, actor: str, now: datetime) -> None:
    """Give a member another role; raises LastOwner."""
    role_ = clean_role(role)
    await _keep_an_owner(session, membership, stays=role_ is MemberRole.OWNER)
    membership.role = role_
    await record(
        session,
        now=now,
        actor=actor,
        action="company.role_changed",
        subject=membership.user_id,
        company_id=membership.company_id,
        details={"role": str(role_)},
    )


async def remove_member(session: AsyncSession, *, membership: Membership, actor: str, now: datetime) -> None:
    """End a Membership; raises LastOwner."""
    await _keep_an_owner(session, membership, stays=False)
    await session.delete(membership)
    await record(
        session,
        now=now,
        actor=actor,
        action="company.member_removed",
        subject=membership.user_id,
        company_id=membership.company_id,
    )


async def _keep_an_owner(session: AsyncSession, membership: Membership, *, stays: bool) -> None:
    is_owner = membership.role == MemberRole.OWNER
    if is_owner and not stays and await queries.owners(session, membership.company_id) < 2:
        raise LastOwner
