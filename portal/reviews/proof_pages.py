"""Pages and JSON routes of company proofs: the owner's side and the reviewers'."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.companies import queries as companies
from portal.companies.models import CompanyProof, MemberRole, ProofKind
from portal.companies.pages import company_context
from portal.kernel.errors import Invalid, NotFound
from portal.reviews import proofs
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import reviewer, signed_in
from portal.users.models import User
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("company", "/companies/{id}/proofs", "احراز شرکت", "Proofs", position=60, icon="badge-check"),
    NavItem(
        "main", "/proofs", "مدارک شرکت‌ها", "Company proofs", position=65, icon="badge-check",
        roles=frozenset({"reviewer", "admin"}),
    ),
]  # fmt: skip


class NewProof(msgspec.Struct, forbid_unknown_fields=True):
    """`kind`: identity, certificate, officer, domain or key. `subject`: who or what it is about (not for a key)."""

    kind: str
    subject: str = ""
    details: str = ""
    expires_at: str = ""


class Signed(msgspec.Struct, forbid_unknown_fields=True):
    """For a key: the challenge as compact JWS. For a domain: empty, Gozar looks for the text."""

    signed: str = ""


class ProofVerdict(msgspec.Struct, forbid_unknown_fields=True):
    accepted: bool
    reason: str = ""


class ProofInfo(msgspec.Struct):
    """A proof. `challenge` is what to publish or to sign."""

    id: str
    company: str
    kind: str
    subject: str
    status: str
    challenge: str
    reason: str
    submitted_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: CompanyProof) -> ProofInfo:
        challenge = proofs.expected(row) if row.kind == ProofKind.DOMAIN else row.challenge
        return cls(
            row.id,
            row.company_id,
            row.kind,
            row.subject,
            row.status,
            challenge,
            row.reason,
            row.submitted_at,
            row.expires_at,
        )


def kind_of(text: str) -> ProofKind:
    """A kind by its name; raises Invalid."""
    try:
        return ProofKind(text)
    except ValueError:
        raise Invalid(
            "kind is identity, certificate, officer, domain or key", fa="گونهٔ اثبات را برگزینید", field="kind"
        ) from None


async def _check(session: AsyncSession, row: CompanyProof, signed: str, user: User, now: datetime) -> None:
    if row.kind == ProofKind.KEY:
        await proofs.check_key(session, row, signed=signed, by=user, now=now)
    else:
        await proofs.check_domain(session, row, lookups=proofs.REAL, by=user, now=now)


@get("/companies/{company_id:str}/proofs", responses=problems(401, 404))
async def listed(company_id: FromPath[str], user: CurrentUser, session: Db) -> list[ProofInfo]:
    """Proofs of one of your Companies."""
    await companies.company_of(session, user.id, company_id)
    return [ProofInfo.of(row) for row in await proofs.of_company(session, company_id)]


@post("/companies/{company_id:str}/proofs", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def declare(
    company_id: FromPath[str], data: JSONBody[NewProof], user: CurrentUser, session: Db, now: Now
) -> ProofInfo:
    """Begin a proof; the answer carries the challenge of a domain or key."""
    row = await proofs.declare(
        session,
        company_id=company_id,
        kind=kind_of(data.kind),
        subject=data.subject,
        details=data.details,
        expires_at=data.expires_at,
        by=user,
        now=now,
    )
    return ProofInfo.of(row)


@post(
    "/companies/{company_id:str}/proofs/{proof_id:str}/check",
    status_code=200,
    responses=problems(400, 401, 403, 404, 409, 415, 422),
    opt={"throttle": "30/hour"},
)
async def check(
    company_id: FromPath[str], proof_id: FromPath[str], data: JSONBody[Signed], user: CurrentUser, session: Db, now: Now
) -> ProofInfo:
    """Let Gozar look for a domain's text, or check a key's signature."""
    row = await proofs.own(session, company_id, proof_id, user)
    await _check(session, row, data.signed, user, now)
    return ProofInfo.of(row)


@post(
    "/proofs/{proof_id:str}/decision",
    status_code=200,
    guards=[reviewer],
    responses=problems(400, 401, 403, 404, 409, 415, 422),
)
async def decide(
    proof_id: FromPath[str], data: JSONBody[ProofVerdict], user: CurrentUser, session: Db, now: Now
) -> ProofInfo:
    """A reviewer's word; with identity, certificate and officer accepted the Company is verified."""
    row = await session.get(CompanyProof, proof_id)
    if row is None:
        raise NotFound
    await proofs.decide(session, row, accepted=data.accepted, reason=data.reason, by=user, now=now)
    return ProofInfo.of(row)


async def _page(
    session: AsyncSession, company_id: str, user: User, form: Form, now: datetime, status: int = 200
) -> Template:
    company, membership = await companies.company_of(session, user.id, company_id)
    rows = await proofs.of_company(session, company_id)
    context: dict[str, Any] = company_context(company, membership)
    return page(
        "reviews/proofs.html",
        status=status,
        form=form,
        rows=[(row, proofs.stands(row, now), proofs.expected(row)) for row in rows],
        owner=membership.role == MemberRole.OWNER,
        **context,
    )


@get("/companies/{company_id:str}/proofs")
async def proofs_page(company_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """What the Company has proven, what waits, and how to prove more."""
    return await _page(session, company_id, user, Form(), now)


@post("/companies/{company_id:str}/proofs")
async def declare_form(
    request: AnyRequest, company_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Begin a proof."""
    form = await read_form(request)
    try:
        await proofs.declare(
            session,
            company_id=company_id,
            kind=kind_of(form["kind"]),
            subject=form["subject"],
            details=form["details"],
            expires_at=form["expires_at"],
            by=user,
            now=now,
        )
    except REFUSALS as error:
        await session.rollback()
        await session.refresh(user)
        return await _page(session, company_id, user, form.refused(error), now, status=422)
    return see(f"/companies/{company_id}/proofs")


@post("/companies/{company_id:str}/proofs/{proof_id:str}/check", opt={"throttle": "30/hour"})
async def check_form(
    request: AnyRequest,
    company_id: FromPath[str],
    proof_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Redirect:
    """Look for a domain's text, or check a key's signature."""
    form = await read_form(request)
    row = await proofs.own(session, company_id, proof_id, user)
    try:
        await _check(session, row, form["signed"], user, now)
        tell(Notice("success", "اثبات پذیرفته شد.", "The proof is accepted."))
    except REFUSALS as error:
        tell(Notice("warning", error.message_fa, error.message))
    return see(f"/companies/{company_id}/proofs")


@get("/proofs", guards=[reviewer])
async def desk_page(session: Db) -> Template:
    """For reviewers: what waits for their word."""
    return page("reviews/proofs_desk.html", rows=await proofs.pending(session))


@post("/proofs/{proof_id:str}", guards=[reviewer])
async def decide_form(
    request: AnyRequest, proof_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """Accept or reject."""
    form = await read_form(request)
    row = await session.get(CompanyProof, proof_id)
    if row is None:
        raise NotFound
    try:
        await proofs.decide(session, row, accepted=form["verdict"] == "accept", reason=form["reason"], by=user, now=now)
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see("/proofs")


routes: Sequence[Router] = [
    api(listed, declare, check, decide, tag="company proofs"),
    *pages(proofs_page, declare_form, check_form, guards=[signed_in]),
    *pages(desk_page, decide_form),
]
