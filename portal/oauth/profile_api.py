"""JSON routes of an App's OAuth profile."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar import Router, get, put
from litestar.params import FromPath, JSONBody

from portal.apps.guards import place_for
from portal.companies.models import MemberRole
from portal.oauth import profiles
from portal.oauth.models import ClientProfile
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now

PATH = "/apps/{app_id:str}/environments/{environment:str}/oauth-profile"


class OAuthProfile(msgspec.Struct, forbid_unknown_fields=True):
    """`profile` is `smart` or `fapi2`; `fapi2` implies both requirements."""

    profile: str = "smart"
    require_par: bool = False
    require_dpop: bool = False

    @classmethod
    def of(cls, row: ClientProfile) -> OAuthProfile:
        return cls(row.profile, row.require_par, row.require_dpop)


@get(PATH, responses=problems(401, 404))
async def read(app_id: FromPath[str], environment: FromPath[str], user: CurrentUser, session: Db) -> OAuthProfile:
    """How strictly an App of yours speaks OAuth in one Environment."""
    _, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    return OAuthProfile.of(await profiles.of(session, place.client_id))


@put(PATH, responses=problems(400, 401, 403, 404, 415, 422))
async def choose(
    app_id: FromPath[str],
    environment: FromPath[str],
    data: JSONBody[OAuthProfile],
    user: CurrentUser,
    session: Db,
    now: Now,
) -> OAuthProfile:
    """Choose it (developers and owners); acts on the next request."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    chosen = await profiles.choose(
        session,
        app=app,
        place=place,
        profile=data.profile,
        require_par=data.require_par,
        require_dpop=data.require_dpop,
        by=user.id,
        now=now,
    )
    return OAuthProfile.of(chosen)


routes: Sequence[Router] = [api(read, choose, tag="OAuth profile")]
