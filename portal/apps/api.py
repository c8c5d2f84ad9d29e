"""JSON routes of Apps: registering, Credentials, redirect URIs."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries, service
from portal.apps.guards import app_for, place_for
from portal.apps.models import App
from portal.apps.schemas import (
    AppChange,
    AppInfo,
    AppSummary,
    CredentialInfo,
    MadeCredential,
    NewApp,
    NewCredential,
    PresenceInfo,
    RedirectUris,
    Rotation,
)
from portal.companies.guards import member
from portal.companies.models import MemberRole
from portal.kernel.errors import Invalid
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now, Pepper, ShellValues

PLACE = "/apps/{app_id:str}/environments/{environment:str}"


async def info(session: AsyncSession, app: App, public_url: str) -> AppInfo:
    """An App with its presences."""
    places = await queries.environments_of(session, app.id)
    return AppInfo(
        AppSummary.of(app),
        [
            PresenceInfo.of(place, list(await queries.redirect_uris(session, place.client_id)), public_url)
            for place in places
        ],
    )


@post("/companies/{company_id:str}/apps", responses=problems(400, 401, 403, 404, 415, 422))
async def create(
    company_id: FromPath[str], data: JSONBody[NewApp], user: CurrentUser, session: Db, now: Now, shell: ShellValues
) -> AppInfo:
    """Register an App of a Company (developers and owners)."""
    await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.DEVELOPER)
    app = await service.create_app(
        session,
        company_id=company_id,
        name=data.name,
        description=data.description,
        homepage=data.homepage,
        public=data.public,
        created_by=user.id,
        now=now,
    )
    return await info(session, app, shell.public_url)


@get("/companies/{company_id:str}/apps", responses=problems(401, 404))
async def list_apps(company_id: FromPath[str], user: CurrentUser, session: Db) -> list[AppSummary]:
    """Apps of a Company, newest first."""
    await member(session, user_id=user.id, company_id=company_id)
    return [AppSummary.of(app) for app in await queries.apps_of(session, user.id, company_id)]


@get("/apps/{app_id:str}", responses=problems(401, 404))
async def read(app_id: FromPath[str], user: CurrentUser, session: Db, shell: ShellValues) -> AppInfo:
    """One of your Companies' Apps."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id)
    return await info(session, app, shell.public_url)


@patch("/apps/{app_id:str}", responses=problems(400, 401, 403, 404, 415, 422))
async def change(
    app_id: FromPath[str], data: JSONBody[AppChange], user: CurrentUser, session: Db, now: Now, shell: ShellValues
) -> AppInfo:
    """Change name, description or homepage."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    await service.edit_app(
        session,
        app,
        name=app.name if data.name is None else data.name,
        description=app.description if data.description is None else data.description,
        homepage=app.homepage if data.homepage is None else data.homepage,
        by=user.id,
        now=now,
    )
    return await info(session, app, shell.public_url)


@get(f"{PLACE}/credentials", responses=problems(401, 404))
async def list_credentials(
    app_id: FromPath[str], environment: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> list[CredentialInfo]:
    """Credentials of an App in an Environment, newest first, ended ones too."""
    _, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    return [CredentialInfo.of(row, now) for row in await queries.credentials_of(session, place.client_id)]


@post(f"{PLACE}/credentials", responses=problems(400, 401, 403, 404, 415, 422))
async def add_credential(
    app_id: FromPath[str],
    environment: FromPath[str],
    data: JSONBody[NewCredential],
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
) -> MadeCredential:
    """Make a secret (sandbox) or register public keys. A secret is in this answer and never again."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    if data.kind == "secret":
        made, plain = await service.add_secret(
            session, app, place, pepper=pepper, by=user.id, now=now, lifetime=service.lifetime_of(data.lifetime_days)
        )
        return MadeCredential(place.client_id, CredentialInfo.of(made, now), plain)
    if data.kind not in ("jwks", "jwks_uri"):
        raise Invalid("kind is secret, jwks or jwks_uri", fa="نوع اعتبارنامه پذیرفته نیست", field="kind")
    made = await service.add_keys(session, app, place, by=user.id, now=now, jwks=data.jwks, jwks_uri=data.jwks_uri)
    return MadeCredential(place.client_id, CredentialInfo.of(made, now))


@post(f"{PLACE}/credentials/{{credential_id:str}}/rotation", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def rotate(
    app_id: FromPath[str],
    environment: FromPath[str],
    credential_id: FromPath[str],
    data: JSONBody[Rotation],
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
) -> MadeCredential:
    """A new secret beside an old one, which ends after the overlap."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    old = await service.get_credential(session, place, credential_id)
    made, plain = await service.rotate_secret(
        session, app, place, old, overlap=service.overlap_of(data.overlap_hours), pepper=pepper, by=user.id, now=now
    )
    return MadeCredential(place.client_id, CredentialInfo.of(made, now), plain)


@delete(f"{PLACE}/credentials/{{credential_id:str}}", responses=problems(401, 403, 404))
async def revoke(
    app_id: FromPath[str],
    environment: FromPath[str],
    credential_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
) -> None:
    """End a Credential at once; tokens it obtained die with it."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    credential = await service.get_credential(session, place, credential_id)
    await service.revoke_credential(session, app, place, credential, by=user.id, now=now)


@put(f"{PLACE}/redirect-uris", responses=problems(400, 401, 403, 404, 415, 422))
async def set_redirects(
    app_id: FromPath[str],
    environment: FromPath[str],
    data: JSONBody[RedirectUris],
    user: CurrentUser,
    session: Db,
    now: Now,
) -> RedirectUris:
    """Replace the redirect URIs."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    await service.set_redirect_uris(session, app, place, uris=data.redirect_uris, by=user.id, now=now)
    return RedirectUris(list(await queries.redirect_uris(session, place.client_id)))


routes: Sequence[Router] = [
    api(
        create,
        list_apps,
        read,
        change,
        list_credentials,
        add_credential,
        rotate,
        revoke,
        set_redirects,
        tag="Apps",
    )
]
