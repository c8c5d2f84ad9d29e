"""Pages of Companies: registering, members and invitations, and the reviewers' list of those to verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from portal.companies import queries, service
from portal.companies.guards import may, member
from portal.companies.models import Company, CompanyStatus, MemberRole, Membership
from portal.kernel.errors import NotFound
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext, Visitor
from portal.users.guards import reviewer, signed_in
from portal.web.dependencies import Db, MailPort, Now, ShellValues
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.i18n import url
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem(
        "main",
        "/verification",
        "راستی‌آزمایی شرکت‌ها",
        "Verification",
        position=60,
        roles=frozenset({"reviewer", "admin"}),
    ),
    NavItem("company", "/companies/{id}", "برنامه‌ها", "Apps", position=10, icon="app-window"),
    NavItem("company", "/companies/{id}/members", "اعضا", "Members", position=20, icon="users"),
    NavItem("company", "/companies/{id}/settings", "مشخصات شرکت", "Company details", position=90, icon="settings"),
]


def company_context(company: Company, membership: Membership) -> dict[str, Any]:
    """What every page of a Company needs."""
    return {
        "company": company,
        "membership": membership,
        "is_owner": may(membership, MemberRole.OWNER),
        "is_developer": may(membership, MemberRole.DEVELOPER),
    }


@get("/companies/new", sync_to_thread=False)
def new_page() -> Template:
    """The form to register a Company."""
    return page("companies/new.html", form=Form())


@post("/companies/new")
async def register(
    request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """Register a Company."""
    form = await read_form(request)
    try:
        company = await service.register_company(
            session,
            user=user,
            name=form["name"],
            national_id=form["national_id"],
            certificate_number=form["certificate_number"],
            website=form["website"],
            now=now,
        )
    except REFUSALS as error:
        await session.rollback()
        return page("companies/new.html", status=422, form=form.refused(error))
    tell(
        Notice(
            "success",
            "شرکت ثبت شد. اکنون نخستین برنامه را بسازید.",
            "The company is registered. Now create its first app.",
        )
    )
    return see(f"/companies/{company.id}")


@get("/companies/{company_id:str}/settings")
async def settings_page(company_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """What the Company says of itself, and where its verification stands."""
    company, membership = await member(session, user_id=user.id, company_id=company_id)
    return page("companies/settings.html", form=Form(), **company_context(company, membership))


@post("/companies/{company_id:str}/settings")
async def change(
    company_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """Change it."""
    company, membership = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    form = await read_form(request)
    try:
        await service.update_company(
            session,
            company=company,
            actor=user.id,
            now=now,
            name=form["name"],
            certificate_number=form["certificate_number"],
            website=form["website"],
        )
    except REFUSALS as error:
        return page(
            "companies/settings.html", status=422, form=form.refused(error), **company_context(company, membership)
        )
    tell(Notice("success", "مشخصات شرکت ذخیره شد.", "The company's details are saved."))
    return see(f"/companies/{company_id}/settings")


async def _members(
    session: Db, company: Company, membership: Membership, *, now: Now, user_id: str, form: Form, status: int = 200
) -> Template:
    return page(
        "companies/members.html",
        status=status,
        form=form,
        members=await queries.members_of(session, company.id),
        invitations=await queries.open_invitations(session, company.id, now=now),
        me=user_id,
        **company_context(company, membership),
    )


@get("/companies/{company_id:str}/members")
async def members_page(company_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """Members and open invitations."""
    company, membership = await member(session, user_id=user.id, company_id=company_id)
    return await _members(session, company, membership, now=now, user_id=user.id, form=Form())


@post("/companies/{company_id:str}/invitations", opt={"throttle": "30/minute"})
async def invite(
    company_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    mailer: MailPort,
    shell: ShellValues,
    tell: TellNext,
) -> Template | Redirect:
    """Invite somebody by mail."""
    company, membership = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    form = await read_form(request)
    try:
        await service.invite(
            session,
            company=company,
            email=form["email"],
            role=form["role"],
            inviter=user,
            now=now,
            mailer=mailer,
            accept_url=shell.public_url + url("/invitations/"),
        )
    except REFUSALS as error:
        return await _members(
            session, company, membership, now=now, user_id=user.id, form=form.refused(error), status=422
        )
    tell(Notice("success", "دعوت‌نامه فرستاده شد.", "The invitation is sent."))
    return see(f"/companies/{company_id}/members")


@post("/companies/{company_id:str}/invitations/{invitation_id:str}/withdraw")
async def withdraw(
    company_id: FromPath[str], invitation_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """Take an invitation back."""
    await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    invitation = await queries.invitation_of(session, company_id, invitation_id)
    await service.withdraw(session, invitation=invitation, actor=user.id, now=now)
    tell(Notice("success", "دعوت پس گرفته شد.", "The invitation is withdrawn."))
    return see(f"/companies/{company_id}/members")


@post("/companies/{company_id:str}/members/{user_id:str}/role")
async def change_role(
    company_id: FromPath[str],
    user_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Redirect:
    """Change a member's role."""
    await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.OWNER)
    found = await queries.membership(session, company_id, user_id)
    form = await read_form(request)
    try:
        await service.change_role(session, membership=found, role=form["role"], actor=user.id, now=now)
        tell(Notice("success", "نقش عضو تغییر کرد.", "The member's role is changed."))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see(f"/companies/{company_id}/members")


@post("/companies/{company_id:str}/members/{user_id:str}/remove")
async def remove_member(
    company_id: FromPath[str], user_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """End a membership."""
    needed = MemberRole.VIEWER if user_id == user.id else MemberRole.OWNER
    await member(session, user_id=user.id, company_id=company_id, at_least=needed)
    found = await queries.membership(session, company_id, user_id)
    try:
        await service.remove_member(session, membership=found, actor=user.id, now=now)
        tell(Notice("success", "عضویت پایان یافت.", "The membership has ended."))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
        return see(f"/companies/{company_id}/members")
    return see("/dashboard" if user_id == user.id else f"/companies/{company_id}/members")


@get("/invitations/{token:str}")
async def invitation_page(token: FromPath[str], session: Db, now: Now, current_user: Visitor) -> Template:
    """What the mailed link shows: who invites to what, and how to accept."""
    found = await queries.invitation_by_token(session, token, now=now)
    if found is None:
        raise service.InvitationGone
    invitation, company = found
    return page("companies/invitation.html", invitation=invitation, company=company, token=token, user=current_user)


@post("/invitations/{token:str}", guards=[signed_in])
async def accept(token: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext) -> Redirect:
    """Accept it."""
    company = await service.accept(session, token=token, user=user, now=now)
    tell(Notice("success", f"به «{company.name}» پیوستید.", f"You have joined {company.name}."))
    return see(f"/companies/{company.id}")


@get("/verification", guards=[reviewer])
async def verification_page(session: Db) -> Template:
    """For reviewers: Companies that wait for verification."""
    return page("companies/verification.html", companies=await queries.unverified(session))


@post("/verification/{company_id:str}", guards=[reviewer])
async def verify(
    company_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """The ministry's word on a Company."""
    company = await queries.any_company(session, company_id)
    form = await read_form(request)
    if form["status"] not in ("verified", "rejected"):
        raise NotFound
    try:
        await service.set_status(
            session,
            company=company,
            status=CompanyStatus(form["status"]),
            reason=form["reason"],
            actor=user.id,
            now=now,
        )
        tell(Notice("success", f"رأی دربارهٔ «{company.name}» ثبت شد.", f"Your word on {company.name} is recorded."))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see("/verification")


routes: Sequence[Router] = [
    *pages(
        new_page,
        register,
        settings_page,
        change,
        members_page,
        invite,
        withdraw,
        change_role,
        remove_member,
        verification_page,
        verify,
        guards=[signed_in],
    ),
    *pages(invitation_page, accept),
]
