"""JSON routes of Companies, their members and invitations."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from portal.companies import queries, service
from portal.companies.guards import member
from portal.companies.models import CompanyStatus, MemberRole
from portal.companies.schemas import (
    AcceptInvitation,
    CompanyChange,
    CompanyInfo,
    InvitationInfo,
    MemberInfo,
    NewCompany,
    NewInvitation,
    RoleChange,
    Verification,
)
from portal.kernel.errors import Invalid
from portal.users.dependencies import CurrentUser
from portal.users.guards import reviewer
from portal.web.api import api, problems
from portal.web.dependencies import Db, MailPort, Now, ShellValues


@post("/companies", responses=problems(400, 401, 409, 415, 422))
async def register(data: JSONBody[NewCompany], user: CurrentUser, session: Db, now: Now) -> CompanyInfo:
    """Register a Company; you become its owner."""
    company = await service.register_company(
        session,
        user=user,
        name=data.name,
        national_id=data.national_id,
        certificate_number=data.certificate_number,
        website=data.website,
        now=now,
    )
    return CompanyInfo.of(*await member(session, user_id=user.id, company_id=company.id))


@get("/companies", responses=problems(401))
async def list_companies(user: CurrentUser, session: Db) -> list[CompanyInfo]:
    """Companies you belong to."""
    return [CompanyInfo.of(company, membership) for company, membership in await queries.companies_of(session, user.id)]


@get("/companies/{company_id:str}", responses=problems(401, 404))
async def read(company_id: FromPath[str], user: CurrentUser, session: Db) -> CompanyInfo:
    """One of your Companies."""
    return CompanyInfo.of(*await member(session, user_id=user.id, company_id=company_id))


@patch("/companies/{company_id:str}", responses=problems(400, 401, 403, 404, 415, 422))
async def change(
    company_id: FromPath[str], data: JSONBody[CompanyChange], user: CurrentUser, session: Db, now: Now
) -> CompanyInfo:
    """Change name, certificate or website (owners). A new name or certificate is verified again."""
    company, membership = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    await service.update_company(
        session,
        company=company,
        actor=user.id,
        now=now,
        name=data.name,
        certificate_number=data.certificate_number,
        website=data.website,
    )
    return CompanyInfo.of(company, membership)


@get("/companies/{company_id:str}/members", responses=problems(401, 404))
async def list_members(company_id: FromPath[str], user: CurrentUser, session: Db) -> list[MemberInfo]:
    """Who belongs to the Company."""
    await member(session, user_id=user.id, company_id=company_id)
    return [MemberInfo.of(item) for item in await queries.members_of(session, company_id)]


@patch(
    "/companies/{company_id:str}/members/{user_id:str}",
    status_code=204,
    responses=problems(400, 401, 403, 404, 409, 415, 422),
)
async def change_member(
    company_id: FromPath[str],
    user_id: FromPath[str],
    data: JSONBody[RoleChange],
    user: CurrentUser,
    session: Db,
    now: Now,
) -> None:
    """Change a member's role (owners)."""
    await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    found = await queries.membership(session, company_id, user_id)
    await service.change_role(session, membership=found, role=data.role, actor=user.id, now=now)


@delete("/companies/{company_id:str}/members/{user_id:str}", responses=problems(401, 403, 404, 409))
async def remove_member(
    company_id: FromPath[str], user_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> None:
    """End a membership: owners anybody's, everybody their own."""
    needed = MemberRole.VIEWER if user_id == user.id else MemberRole.OWNER
    await member(session, user_id=user.id, company_id=company_id, at_least=needed)
    found = await queries.membership(session, company_id, user_id)
    await service.remove_member(session, membership=found, actor=user.id, now=now)


@get("/companies/{company_id:str}/invitations", responses=problems(401, 404))
async def list_invitations(company_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> list[InvitationInfo]:
    """Invitations that wait for an answer."""
    await member(session, user_id=user.id, company_id=company_id)
    return [InvitationInfo.of(item) for item in await queries.open_invitations(session, company_id, now=now)]


@post(
    "/companies/{company_id:str}/invitations",
    responses=problems(400, 401, 403, 404, 409, 415, 422, 429),
    opt={"throttle": "30/minute"},
)
async def invite(
    company_id: FromPath[str],
    data: JSONBody[NewInvitation],
    user: CurrentUser,
    session: Db,
    now: Now,
    mailer: MailPort,
    shell: ShellValues,
) -> InvitationInfo:
    """Invite somebody by mail (owners); the link is in the mail only."""
    company, _ = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    made = await service.invite(
        session,
        company=company,
        email=data.email,
        role=data.role,
        inviter=user,
        now=now,
        mailer=mailer,
        accept_url=f"{shell.public_url}/invitations/",
    )
    return InvitationInfo.of(made)


@delete("/companies/{company_id:str}/invitations/{invitation_id:str}", responses=problems(401, 403, 404))
async def withdraw(
    company_id: FromPath[str], invitation_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> None:
    """Take an invitation back (owners)."""
    await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    invitation = await queries.invitation_of(session, company_id, invitation_id)
    await service.withdraw(session, invitation=invitation, actor=user.id, now=now)


@post("/invitations/acceptance", status_code=200, responses=problems(400, 401, 404, 409, 415))
async def accept(data: JSONBody[AcceptInvitation], user: CurrentUser, session: Db, now: Now) -> CompanyInfo:
    """Accept an invitation with the token of its link."""
    company = await service.accept(session, token=data.token, user=user, now=now)
    return CompanyInfo.of(*await member(session, user_id=user.id, company_id=company.id))


@put(
    "/companies/{company_id:str}/verification", guards=[reviewer], responses=problems(400, 401, 403, 404, 409, 415, 422)
)
async def verify(
    company_id: FromPath[str], data: JSONBody[Verification], user: CurrentUser, session: Db, now: Now
) -> CompanyInfo:
    """The ministry's word on a Company (reviewers)."""
    company = await queries.any_company(session, company_id)
    if data.status not in ("verified", "rejected"):
        raise Invalid("status is verified or rejected", fa="وضعیت پذیرفته نیست", field="status")
    await service.set_status(
        session, company=company, status=CompanyStatus(data.status), reason=data.reason, actor=user.id, now=now
    )
    return CompanyInfo.of(company, None)


routes: Sequence[Router] = [
    api(
        register,
        list_companies,
        read,
        change,
        list_members,
        change_member,
        remove_member,
        list_invitations,
        invite,
        withdraw,
        accept,
        verify,
        tag="Companies",
    )
]
