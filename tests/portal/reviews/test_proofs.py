"""What a company proves: who judges what, what is looked up where, and what cannot be faked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from sqlalchemy.ext.asyncio import AsyncSession

from portal.companies.models import CompanyStatus, ProofKind
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.oauth.addresses import FetchRefused
from portal.reviews import guards, proofs, rounds
from portal.reviews.proofs import Lookups
from tests.portal.reviews.test_production import approved
from tests.portal.reviews.world import NOW, World


def lookups(txt: list[str] | None = None, file: bytes | None = None) -> Lookups:
    async def read_txt(name: str) -> list[str]:
        assert name == "_gozar.example.ir"
        return txt or []

    async def read_file(url: str) -> bytes:
        assert url == "https://example.ir/.well-known/gozar-proof.txt"
        if file is None:
            raise FetchRefused("no such host")
        return file

    return Lookups(read_txt, read_file)


async def declared(
    session: AsyncSession, world: World, kind: ProofKind, subject: str = "12345", expires: str = ""
) -> proofs.CompanyProof:
    return await proofs.declare(
        session, company_id=world.company.id, kind=kind, subject=subject, expires_at=expires, by=world.owner, now=NOW
    )


async def test_three_accepted_proofs_verify_the_company(session: AsyncSession, world: World) -> None:
    world.company.status = CompanyStatus.UNVERIFIED
    for kind in proofs.JUDGED:
        row = await declared(session, world, kind, "شمارهٔ ۱۲۳۴۵", "2027-05-30" if kind == ProofKind.CERTIFICATE else "")
        assert world.company.status == CompanyStatus.UNVERIFIED
        await proofs.decide(session, row, accepted=True, reason="", by=world.first, now=NOW)
    assert world.company.status == CompanyStatus.VERIFIED
    with pytest.raises(proofs.AlreadyProven):
        await declared(session, world, ProofKind.IDENTITY, "شمارهٔ ۱۲۳۴۵")


async def test_a_rejected_proof_says_why_and_may_be_sent_again(session: AsyncSession, world: World) -> None:
    row = await declared(session, world, ProofKind.OFFICER, "سارا احمدی")
    with pytest.raises(Invalid):
        await proofs.decide(session, row, accepted=False, reason=" ", by=world.first, now=NOW)
    await proofs.decide(session, row, accepted=False, reason="not in the gazette", by=world.first, now=NOW)
    with pytest.raises(Conflict):
        await proofs.decide(session, row, accepted=True, reason="", by=world.first, now=NOW)
    again = await declared(session, world, ProofKind.OFFICER, "سارا احمدی")
    assert (again.id, again.status, again.reason) == (row.id, "pending", "")


async def test_only_owners_declare_and_only_others_reviewers_judge(session: AsyncSession, world: World) -> None:
    row = await declared(session, world, ProofKind.IDENTITY)
    with pytest.raises(NotFound):
        await proofs.decide(session, row, accepted=True, reason="", by=world.owner, now=NOW)
    for who, error in ((world.viewer, guards.ReadOnlyMember), (world.stranger, NotFound)):
        with pytest.raises(error):
            await proofs.declare(
                session, company_id=world.company.id, kind=ProofKind.IDENTITY, subject="999", by=who, now=NOW
            )
        with pytest.raises(error):
            await proofs.own(session, world.company.id, row.id, who)


@pytest.mark.parametrize("how", ["dns", "file"])
async def test_a_domain_is_proven_by_record_or_file(session: AsyncSession, world: World, how: str) -> None:
    row = await declared(session, world, ProofKind.DOMAIN, "https://Example.IR/")
    assert row.subject == "example.ir"
    with pytest.raises(proofs.NotProven):
        await proofs.check_domain(
            session, row, lookups=lookups(["gozar-domain-proof=other"], b"nothing"), by=world.owner, now=NOW
        )
    text = proofs.expected(row)
    found = lookups(txt=[text]) if how == "dns" else lookups(file=f"{text}\n".encode())
    await proofs.check_domain(session, row, lookups=found, by=world.owner, now=NOW)
    assert (row.status, row.details["how"]) == ("accepted", how)
    assert proofs.stands(row, NOW + timedelta(days=364))
    assert not proofs.stands(row, NOW + timedelta(days=366))


@pytest.mark.parametrize(
    "subject", ["localhost", "127.0.0.1", "exa mple.ir", "http://[::1]", "a" * 300 + ".ir", "", "-x.ir"]
)
async def test_what_is_no_domain_is_refused(session: AsyncSession, world: World, subject: str) -> None:
    with pytest.raises(Invalid):
        await declared(session, world, ProofKind.DOMAIN, subject)


def signed(challenge: str, key: ECKey, shown: ECKey | None = None) -> str:
    header = {"alg": "ES256", "jwk": (shown or key).as_dict(private=False)}
    return jws.serialize_compact(header, challenge.encode(), key, algorithms=["ES256"])


async def test_a_key_is_proven_by_signing_the_challenge(session: AsyncSession, world: World) -> None:
    row = await declared(session, world, ProofKind.KEY)
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    for wrong in (
        signed("another challenge", key),
        signed(row.challenge, key, shown=other),
        "e30.e30.AAAA",
        "",
        jws.serialize_compact({"alg": "ES256"}, row.challenge.encode(), key, algorithms=["ES256"]),
    ):
        with pytest.raises(proofs.NotProven):
            await proofs.check_key(session, row, signed=wrong, by=world.owner, now=NOW)
    await proofs.check_key(session, row, signed=signed(row.challenge, key), by=world.owner, now=NOW)
    assert row.status == "accepted"
    assert len(row.subject) == 64
    assert "d" not in row.details["jwk"]


@pytest.mark.parametrize("expires", ["", "soon", "2020-01-01", "2099-01-01"])
async def test_a_certificate_needs_a_believable_end(session: AsyncSession, world: World, expires: str) -> None:
    with pytest.raises(Invalid) as refused:
        await declared(session, world, ProofKind.CERTIFICATE, "D-77", expires)
    assert refused.value.field == "expires_at"


async def test_re_verification_sees_a_certificate_that_ran_out(session: AsyncSession, world: World) -> None:
    approval = await approved(session, world)
    row = await declared(session, world, ProofKind.CERTIFICATE, "D-77", "2027-01-30")
    await proofs.decide(session, row, accepted=True, reason="", by=world.first, now=NOW)
    assert "proofs" not in await rounds.verify(session, approval, now=NOW + timedelta(days=30))
    assert "proofs" in await rounds.verify(session, approval, now=NOW + timedelta(days=90))
