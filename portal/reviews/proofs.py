"""What a Company proves about itself: identity, certificate and authorised officer before a reviewer; domain and key before Gozar.

DomainError
├── AlreadyProven (Conflict)   this very thing is proven already
└── NotProven (Invalid)        the proof was looked for and not found
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.asyncresolver
import dns.exception
import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.companies import service as companies
from portal.companies.models import (
    Company,
    CompanyProof,
    CompanyStatus,
    MemberRole,
    ProofKind,
    ProofStatus,
)
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.kernel.text import fold
from portal.oauth.addresses import FetchRefused, fetch
from portal.reviews import guards
from portal.reviews.snapshot import thumbprint
from portal.users.models import User

JUDGED = (ProofKind.IDENTITY, ProofKind.CERTIFICATE, ProofKind.OFFICER)
DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
DNS_PATIENCE = 3.0
DOMAIN_LASTS = timedelta(days=365)
ALGORITHMS = ["ES256", "ES384", "RS256", "RS384", "PS256", "Ed25519"]
KEY_TYPES: dict[str, Any] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}


class AlreadyProven(Conflict):
    code = "already-proven"
    title = "This is proven already"
    title_fa = "این مورد پیش‌تر اثبات شده است"


class NotProven(Invalid):
    code = "not-proven"
    title = "The proof was not found"
    title_fa = "نشانهٔ اثبات یافت نشد"


@dataclass(frozen=True, slots=True)
class Lookups:
    """Ports: TXT records of a name, and the body at an https address (never one inside our own network)."""

    txt: Callable[[str], Awaitable[list[str]]]
    file: Callable[[str], Awaitable[bytes]]


async def read_txt(name: str) -> list[str]:
    """TXT records of `name`; empty when there are none or the resolver does not answer."""
    try:
        answer = await dns.asyncresolver.resolve(name, "TXT", lifetime=DNS_PATIENCE)
    except dns.exception.DNSException:
        return []
    return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]


REAL = Lookups(txt=read_txt, file=fetch)


async def _owner(session: AsyncSession, company_id: str, by: User) -> Company:
    role = await guards.company_role(session, by, company_id)
    if role is None:
        raise NotFound
    if role != MemberRole.OWNER:
        raise guards.ReadOnlyMember("Only an owner proves the company", fa="اثبات هویت شرکت با مالک آن است")
    return await session.get_one(Company, company_id)


async def of_company(session: AsyncSession, company_id: str) -> list[CompanyProof]:
    """Proofs of a Company, newest first."""
    found = await session.scalars(
        select(CompanyProof).where(CompanyProof.company_id == company_id).order_by(CompanyProof.submitted_at.desc())
    )
    return list(found)


def clean_subject(kind: ProofKind, subject: str) -> str:
    """The subject in the form it is stored; raises `Invalid`."""
    text = " ".join(fold(subject).split())
    if kind == ProofKind.DOMAIN:
        text = text.lower().removeprefix("https://").rstrip("/")
        if not DOMAIN.fullmatch(text):
            raise Invalid(
                "Write a domain such as example.ir", fa="دامنهٔ اینترنتی را مانند example.ir بنویسید", field="subject"
            )
    elif not 3 <= len(text) <= 160:
        raise Invalid("Write 3 to 160 characters", fa="میان ۳ تا ۱۶۰ نویسه بنویسید", field="subject")
    return text


def _expiry(kind: ProofKind, expires: str, now: datetime) -> datetime | None:
    if kind != ProofKind.CERTIFICATE:
        return None
    try:
        end = datetime.fromisoformat(expires).replace(tzinfo=UTC)
    except ValueError:
        end = now
    if not now < end <= now + timedelta(days=3660):
        raise Invalid(
            "Give the date the certificate ends, such as 2027-05-30",
            fa="پایان اعتبار گواهی را مانند 2027-05-30 بنویسید",
            field="expires_at",
        )
    return end


async def declare(
    session: AsyncSession,
    *,
    company_id: str,
    kind: ProofKind,
    subject: str,
    details: str = "",
    expires_at: str = "",
    by: User,
    now: datetime,
) -> CompanyProof:
    """Begin a proof, or begin it anew. For a domain or a key the answer carries the challenge to publish or to sign."""
    company = await _owner(session, company_id, by)
    clean = "" if kind == ProofKind.KEY else clean_subject(kind, subject)
    if kind == ProofKind.KEY:
        clean = f"pending-{secrets.token_hex(8)}"
    end = _expiry(kind, expires_at, now)
    found = (
        await session.scalars(
            select(CompanyProof).where(
                CompanyProof.company_id == company.id, CompanyProof.kind == kind, CompanyProof.subject == clean
            )
        )
    ).first()
    if found is not None and found.status == ProofStatus.ACCEPTED:
        raise AlreadyProven
    if found is None:
        found = CompanyProof(id=new_id("prf"), company_id=company.id, kind=kind, subject=clean, details={})
        session.add(found)
    found.status, found.reason, found.decided_by, found.decided_at = ProofStatus.PENDING, "", "", None
    found.details = {"text": details.strip()[:1000]} if details.strip() else {}
    found.challenge = "" if kind in JUDGED else secrets.token_urlsafe(24)
    found.submitted_by, found.submitted_at, found.expires_at = by.id, now, end
    await session.flush()
    await _note(session, found, by.id, "company.proof-declared", now)
    return found


async def _note(session: AsyncSession, proof: CompanyProof, actor: str, action: str, now: datetime) -> None:
    details = {"proof": proof.id, "kind": str(proof.kind), "subject": proof.subject, "reason": proof.reason}
    await record(
        session,
        now=now,
        actor=actor,
        action=action,
        subject=proof.company_id,
        company_id=proof.company_id,
        details=details,
    )


async def own(session: AsyncSession, company_id: str, proof_id: str, by: User) -> CompanyProof:
    """A proof of a Company that `by` owns; raises NotFound."""
    await _owner(session, company_id, by)
    found = await session.get(CompanyProof, proof_id)
    if found is None or found.company_id != company_id:
        raise NotFound
    return found


def expected(proof: CompanyProof) -> str:
    """The text to publish for a domain."""
    return f"gozar-domain-proof={proof.challenge}"


async def check_domain(
    session: AsyncSession, proof: CompanyProof, *, lookups: Lookups, by: User, now: datetime
) -> None:
    """Look for the text at `_gozar.DOMAIN` (TXT) or `https://DOMAIN/.well-known/gozar-proof.txt`; raises `NotProven`."""
    if proof.kind != ProofKind.DOMAIN or proof.status == ProofStatus.ACCEPTED:
        raise AlreadyProven
    wanted = expected(proof)
    how = ""
    if wanted in await lookups.txt(f"_gozar.{proof.subject}"):
        how = "dns"
    else:
        try:
            body = await lookups.file(f"https://{proof.subject}/.well-known/gozar-proof.txt")
        except FetchRefused:
            body = b""
        if wanted in body.decode("utf-8", "replace").split():
            how = "file"
    if not how:
        raise NotProven(
            f"Neither a TXT record at _gozar.{proof.subject} nor the file holds the text; it may take a while to spread",
            fa="نه رکورد TXT و نه پرونده این متن را دارد؛ شاید انتشار آن زمان ببرد",
            field="subject",
        )
    proof.details = {**proof.details, "how": how}
    await _accept(session, proof, by.id, now, lasts=DOMAIN_LASTS)


async def check_key(session: AsyncSession, proof: CompanyProof, *, signed: str, by: User, now: datetime) -> None:
    """Proof of possession: a compact JWS over the challenge whose header carries the public `jwk`; raises `NotProven`."""
    if proof.kind != ProofKind.KEY or proof.status == ProofStatus.ACCEPTED:
        raise AlreadyProven
    wrong = NotProven(
        "Send the challenge signed as a compact JWS with the public key in its `jwk` header",
        fa="چالش را به شکل JWS با کلید عمومی در سرآیند jwk امضا کنید",
        field="signed",
    )
    try:
        header = jws.extract_compact(signed.strip().encode()).headers()
        jwk = header.get("jwk")
        if not isinstance(jwk, dict) or "d" in jwk or jwk.get("kty") not in KEY_TYPES:
            raise wrong
        key = KEY_TYPES[str(jwk["kty"])].import_key(jwk)
        found = jws.deserialize_compact(signed.strip(), key, algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise wrong from error
    if found.payload.decode("utf-8", "replace") != proof.challenge:
        raise wrong
    proof.subject = thumbprint(jwk)
    proof.details = {**proof.details, "jwk": orjson.loads(orjson.dumps(jwk))}
    await _accept(session, proof, by.id, now)


async def _accept(
    session: AsyncSession, proof: CompanyProof, actor: str, now: datetime, *, lasts: timedelta | None = None
) -> None:
    proof.status, proof.decided_by, proof.decided_at = ProofStatus.ACCEPTED, actor, now
    if lasts is not None:
        proof.expires_at = now + lasts
    await session.flush()
    await _note(session, proof, actor, "company.proof-accepted", now)


async def decide(
    session: AsyncSession, proof: CompanyProof, *, accepted: bool, reason: str, by: User, now: datetime
) -> None:
    """A reviewer's word on identity, certificate or officer. With all three accepted the Company is verified."""
    await guards.may_decide(session, by, proof.company_id)
    if proof.kind not in JUDGED or proof.status != ProofStatus.PENDING:
        raise Conflict("This proof does not wait for a reviewer", fa="این مورد در انتظار رأی کارشناس نیست")
    if accepted:
        await _accept(session, proof, by.id, now)
        await _verify(session, proof.company_id, by, now)
        return
    if len(reason.strip()) < 5:
        raise Invalid("Give a reason", fa="دلیل را بنویسید", field="reason")
    proof.status, proof.reason, proof.decided_by, proof.decided_at = ProofStatus.REJECTED, reason.strip(), by.id, now
    await session.flush()
    await _note(session, proof, by.id, "company.proof-rejected", now)


async def _verify(session: AsyncSession, company_id: str, by: User, now: datetime) -> None:
    held = {row.kind for row in await of_company(session, company_id) if stands(row, now)}
    company = await session.get_one(Company, company_id)
    if set(JUDGED) <= held and company.status in (CompanyStatus.UNVERIFIED, CompanyStatus.REJECTED):
        await companies.set_status(
            session, company=company, status=CompanyStatus.VERIFIED, reason="", actor=by.id, now=now
        )


def stands(proof: CompanyProof, now: datetime) -> bool:
    """Whether a proof is accepted and has not run out."""
    return proof.status == ProofStatus.ACCEPTED and (proof.expires_at is None or proof.expires_at > now)


async def pending(session: AsyncSession) -> list[tuple[CompanyProof, Company]]:
    """Proofs that wait for a reviewer, oldest first."""
    rows = await session.execute(
        select(CompanyProof, Company)
        .join(Company, Company.id == CompanyProof.company_id)
        .where(CompanyProof.status == ProofStatus.PENDING, CompanyProof.kind.in_(JUDGED))
        .order_by(CompanyProof.submitted_at)
        .limit(200)
    )
    return [(proof, company) for proof, company in rows]
