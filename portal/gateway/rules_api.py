"""JSON routes of where an App may call from, and of limits on trial."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Annotated

import msgspec
from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.guards import place_for
from portal.audit.service import record
from portal.companies.models import MemberRole
from portal.gateway.models import CallerRule, ShadowLimit
from portal.kernel.errors import Forbidden, Invalid
from portal.products.queries import get_plan
from portal.users.dependencies import CurrentUser
from portal.users.models import Role, User
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now

PLACE = "/apps/{app_id:str}/environments/{environment:str}/callers"
MOST = 50


class Callers(msgspec.Struct, forbid_unknown_fields=True):
    """Where calls may come from. `networks`: CIDR blocks; `certificates`: SHA-256 thumbprints. Empty lists ask for nothing."""

    networks: list[str] = []
    certificates: list[str] = []


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A RateLimit on trial: judged on every call of the Plan and noted in the request log, refusing nothing."""

    per_second: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


def checked(asked: Callers) -> Callers:
    """Networks and thumbprints in one spelling, each once; raises Invalid."""
    for name in ("networks", "certificates"):
        if len(getattr(asked, name)) > MOST:
            raise Invalid(f"Give at most {MOST}", fa=f"حداکثر {MOST} مورد بدهید", field=name)
    networks = []
    for block in asked.networks:
        try:
            networks.append(str(ip_network(block.strip(), strict=False)))
        except ValueError:
            fa = f"«{block[:60]}» بازهٔ CIDR نیست؛ نمونه: 203.0.113.0/24"
            raise Invalid(f"{block[:60]!r} is no CIDR block such as 203.0.113.0/24", fa=fa, field="networks") from None
    thumbprints = []
    for text in asked.certificates:
        plain = text.strip().lower().replace(":", "")
        if len(plain) != 64 or any(letter not in "0123456789abcdef" for letter in plain):
            raise Invalid(
                "A thumbprint is SHA-256 in 64 hexadecimal digits",
                fa="اثر گواهی باید SHA-256 با ۶۴ رقم شانزده‌شانزدهی باشد",
                field="certificates",
            )
        thumbprints.append(plain)
    return Callers(list(dict.fromkeys(networks)), list(dict.fromkeys(thumbprints)))


@get(PLACE, responses=problems(401, 404))
async def read_callers(app_id: FromPath[str], environment: FromPath[str], user: CurrentUser, session: Db) -> Callers:
    """Where calls of the App may come from in an Environment."""
    _, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    rule = await session.get(CallerRule, place.client_id)
    return Callers(list(rule.networks), list(rule.certificates)) if rule else Callers()


@put(PLACE, responses=problems(401, 403, 404, 415, 422))
async def set_callers(
    app_id: FromPath[str],
    environment: FromPath[str],
    data: JSONBody[Callers],
    user: CurrentUser,
    session: Db,
    now: Now,
) -> Callers:
    """Set where calls may come from; the next call on every worker is judged by it."""
    app, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.OWNER
    )
    wanted = checked(data)
    rule = await session.get(CallerRule, place.client_id)
    if rule is None:
        rule = CallerRule(client_id=place.client_id, networks=[], certificates=[])
        session.add(rule)
    rule.networks, rule.certificates = wanted.networks, wanted.certificates
    await record(
        session,
        now=now,
        actor=user.id,
        action="callers.set",
        subject=app.id,
        company_id=app.company_id,
        details={"environment": environment, **msgspec.to_builtins(wanted)},
    )
    return wanted


def must_administer(user: User) -> None:
    """Only administrators try limits."""
    if user.role != Role.ADMIN:
        raise Forbidden


async def _shadow(session: AsyncSession, plan_id: str) -> ShadowLimit | None:
    await get_plan(session, plan_id)
    return await session.get(ShadowLimit, plan_id)


@put("/plans/{plan_id:str}/trial", responses=problems(401, 403, 404, 415, 422))
async def set_trial(plan_id: FromPath[str], data: JSONBody[Trial], user: CurrentUser, session: Db, now: Now) -> Trial:
    """Try a RateLimit on a Plan (administrators)."""
    must_administer(user)
    row = await _shadow(session, plan_id)
    if row is None:
        session.add(ShadowLimit(plan_id=plan_id, per_second=data.per_second, per_minute=data.per_minute))
    else:
        row.per_second, row.per_minute = data.per_second, data.per_minute
    details = {"per_second": data.per_second, "per_minute": data.per_minute}
    await record(session, now=now, actor=user.id, action="limit.trial", subject=plan_id, details=details)
    return data


@delete("/plans/{plan_id:str}/trial", responses=problems(401, 403, 404))
async def end_trial(plan_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> None:
    """End the trial (administrators); ending none is no error."""
    must_administer(user)
    row = await _shadow(session, plan_id)
    if row is not None:
        await session.delete(row)
        await record(session, now=now, actor=user.id, action="limit.trial-ended", subject=plan_id)


routes: Sequence[Router] = [api(read_callers, set_callers, set_trial, end_trial, tag="Gateway")]
