"""Pages of Apps: a Company's list, registering, overview, Credentials, details."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries, service
from portal.apps.guards import app_for, place_for
from portal.apps.keysets import UnusableKeys
from portal.apps.models import AppEnvironment, Credential
from portal.companies.guards import member
from portal.companies.models import MemberRole
from portal.companies.pages import company_context
from portal.kernel.errors import DomainError
from portal.kernel.text import fold
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.users.queries import users_by_id
from portal.web.dependencies import Db, Now, Pepper, ShellValues
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

EXPIRES_SOON = timedelta(days=30)

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}", "نمای کلی", "Overview", position=10, icon="app-window"),
    NavItem("app", "/apps/{id}/credentials", "اعتبارنامه‌ها", "Credentials", position=30, icon="key-round"),
    NavItem("app", "/apps/{id}/settings", "مشخصات", "Details", position=90, icon="settings"),
]


async def app_context(
    session: AsyncSession, *, user_id: str, app_id: str, at_least: MemberRole = MemberRole.VIEWER
) -> dict[str, Any]:
    """What every page of an App needs: `app`, `company`, `membership`, its `places` by Environment."""
    app, company, membership = await app_for(session, user_id=user_id, app_id=app_id, at_least=at_least)
    places = {place.environment: place for place in await queries.environments_of(session, app.id)}
    return {"app": app, "places": places, **company_context(company, membership)}


def state_of(credential: Credential, now: datetime) -> str:
    """active, expiring (within 30 days), expired or revoked."""
    if credential.revoked_at is not None:
        return "revoked"
    if credential.expires_at is None:
        return "active"
    if credential.expires_at <= now:
        return "expired"
    return "expiring" if credential.expires_at - now < EXPIRES_SOON else "active"


def secret_notice(place: AppEnvironment, secret: str) -> Notice:
    """What shows a new secret, once."""
    return Notice(
        "secret",
        "رمز برنامه ساخته شد. تنها همین یک بار نشان داده می‌شود؛ اکنون آن را در جای امنی نگه دارید.",
        "The client secret is made. It is shown only this once: keep it somewhere safe now.",
        {"client_id": place.client_id, "client_secret": secret},
    )


@get("/companies/{company_id:str}")
async def list_page(company_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """Apps of a Company."""
    company, membership = await member(session, user_id=user.id, company_id=company_id)
    apps = await queries.apps_of(session, user.id, company_id)
    places = {app.id: await queries.environments_of(session, app.id) for app in apps}
    return page("apps/list.html", apps=apps, places=places, **company_context(company, membership))


@get("/companies/{company_id:str}/apps/new")
async def new_page(company_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """The form to register an App."""
    company, membership = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.DEVELOPER)
    return page("apps/new.html", form=Form(), **company_context(company, membership))


@post("/companies/{company_id:str}/apps/new")
async def create(
    company_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """Register an App; go on to choosing its Products."""
    company, membership = await member(session, user_id=user.id, company_id=company_id, at_least=MemberRole.DEVELOPER)
    form = await read_form(request)
    try:
        app = await service.create_app(
            session,
            company_id=company.id,
            name=form["name"],
            description=form["description"],
            homepage=form["homepage"],
            public=form["kind"] == "public",
            created_by=user.id,
            now=now,
        )
    except REFUSALS as error:
        return page("apps/new.html", status=422, form=form.refused(error), **company_context(company, membership))
    tell(
        Notice(
            "success",
            "برنامه ساخته شد. محصول‌هایی را که می‌خواهید برگزینید تا محیط آزمایشی آن باز شود.",
            "The app is created. Choose the products it needs, and its sandbox opens.",
        )
    )
    return see(f"/apps/{app.id}/products")


@get("/apps/{app_id:str}")
async def overview(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now, shell: ShellValues) -> Template:
    """Where the App is present, and the first call to make."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    active = {
        name: await queries.active_credentials(session, place.client_id, now)
        for name, place in context["places"].items()
    }
    return page("apps/overview.html", public_url=shell.public_url, active=active, **context)


async def _credentials(
    session: AsyncSession,
    *,
    user_id: str,
    app_id: str,
    now: datetime,
    form: Form,
    about: str = "",
    status: int = 200,
) -> Template:
    """The page; `form` belongs to the section `about` (such as `sandbox-keys`), the others are fresh."""
    context = await app_context(session, user_id=user_id, app_id=app_id)
    found = {name: await queries.credentials_of(session, place.client_id) for name, place in context["places"].items()}
    makers = {row.created_by for rows in found.values() for row in rows}
    return page(
        "apps/credentials.html",
        status=status,
        form=form,
        fresh=Form(),
        about=about,
        credentials=found,
        redirects={
            name: await queries.redirect_uris(session, place.client_id) for name, place in context["places"].items()
        },
        makers=await users_by_id(session, makers),
        state_of=lambda row: state_of(row, now),
        **context,
    )


@get("/apps/{app_id:str}/credentials")
async def credentials_page(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """Secrets, keys and redirect URIs in each Environment."""
    return await _credentials(session, user_id=user.id, app_id=app_id, now=now, form=Form())


ENVIRONMENT = "/apps/{app_id:str}/environments/{environment:str}"


@post(f"{ENVIRONMENT}/secrets")
async def add_secret(
    app_id: FromPath[str],
    environment: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
    tell: TellNext,
) -> Redirect:
    """Make a secret; the next page shows it once."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    try:
        _, plain = await service.add_secret(session, app, place, pepper=pepper, by=user.id, now=now)
        tell(secret_notice(place, plain))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see(f"/apps/{app_id}/credentials")


def _keys(text: str) -> Any:
    """The JSON a person pasted; raises UnusableKeys."""
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise UnusableKeys("This is not JSON", fa="این متن JSON نیست", field="jwks") from error


@post(f"{ENVIRONMENT}/keys")
async def add_keys(
    app_id: FromPath[str],
    environment: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Template | Redirect:
    """Register public keys, pasted or by URL."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    form = await read_form(request)
    pasted, address = form["jwks"].strip(), fold(form["jwks_uri"])
    try:
        await service.add_keys(
            session, app, place, by=user.id, now=now, jwks=_keys(pasted) if pasted else None, jwks_uri=address
        )
    except REFUSALS as error:
        return await _refused(
            session, error, user_id=user.id, app_id=app_id, now=now, form=form, about=f"{environment}-keys"
        )
    tell(Notice("success", "کلید عمومی ثبت شد.", "The public keys are registered."))
    return see(f"/apps/{app_id}/credentials")


async def _refused(
    session: AsyncSession, error: DomainError, *, user_id: str, app_id: str, now: datetime, form: Form, about: str
) -> Template:
    return await _credentials(
        session, user_id=user_id, app_id=app_id, now=now, form=form.refused(error), about=about, status=422
    )


@post(f"{ENVIRONMENT}/redirects")
async def set_redirects(
    app_id: FromPath[str],
    environment: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Template | Redirect:
    """Replace the redirect URIs: one a line."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    form = await read_form(request)
    try:
        uris = form["redirect_uris"].splitlines()
        await service.set_redirect_uris(session, app, place, uris=uris, by=user.id, now=now)
    except REFUSALS as error:
        about = f"{environment}-redirects"
        return await _refused(session, error, user_id=user.id, app_id=app_id, now=now, form=form, about=about)
    tell(Notice("success", "نشانی‌های بازگشت ذخیره شد.", "The redirect URIs are saved."))
    return see(f"/apps/{app_id}/credentials")


@post(f"{ENVIRONMENT}/credentials/{{credential_id:str}}/rotate")
async def rotate(
    app_id: FromPath[str],
    environment: FromPath[str],
    credential_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
    tell: TellNext,
) -> Redirect:
    """A new secret beside the old one, which ends after the overlap."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    old = await service.get_credential(session, place, credential_id)
    hours = fold((await read_form(request))["overlap_hours"] or "24")
    try:
        overlap = service.overlap_of(int(hours) if hours.isdecimal() and len(hours) < 5 else -1)
        _, plain = await service.rotate_secret(
            session, app, place, old, overlap=overlap, pepper=pepper, by=user.id, now=now
        )
        tell(secret_notice(place, plain))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see(f"/apps/{app_id}/credentials")


@post(f"{ENVIRONMENT}/credentials/{{credential_id:str}}/revoke")
async def revoke(
    app_id: FromPath[str],
    environment: FromPath[str],
    credential_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Redirect:
    """End a Credential at once."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    credential = await service.get_credential(session, place, credential_id)
    await service.revoke_credential(session, app, place, credential, by=user.id, now=now)
    tell(
        Notice(
            "success",
            "اعتبارنامه باطل شد و توکن‌هایی که گرفته بود از کار افتادند.",
            "The credential is revoked, and the tokens it obtained no longer work.",
        )
    )
    return see(f"/apps/{app_id}/credentials")


@get("/apps/{app_id:str}/settings")
async def settings_page(app_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """What people read about the App."""
    return page("apps/settings.html", form=Form(), **await app_context(session, user_id=user.id, app_id=app_id))


@post("/apps/{app_id:str}/settings")
async def change(
    app_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """Change it."""
    context = await app_context(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    form = await read_form(request)
    try:
        await service.edit_app(
            session,
            context["app"],
            name=form["name"],
            description=form["description"],
            homepage=form["homepage"],
            by=user.id,
            now=now,
        )
    except REFUSALS as error:
        return page("apps/settings.html", status=422, form=form.refused(error), **context)
    tell(Notice("success", "مشخصات برنامه ذخیره شد.", "The app's details are saved."))
    return see(f"/apps/{app_id}/settings")


routes: Sequence[Router] = pages(
    list_page,
    new_page,
    create,
    overview,
    credentials_page,
    add_secret,
    add_keys,
    set_redirects,
    rotate,
    revoke,
    settings_page,
    change,
    guards=[signed_in],
)
