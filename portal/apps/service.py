"""Verbs of Apps: register, open an Environment, issue and withdraw Credentials, cut and restore access.

DomainError
├── Invalid     TooManyCredentials · UnusableKeys · UnusableRedirectUri · SecretsAreForTheSandbox
└── Conflict    AlreadyOpen · NotASecret
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import keysets, queries, redirects, secrets
from portal.apps.models import AccessStatus, App, AppEnvironment, Credential, CredentialKind, RedirectUri
from portal.apps.tenants import Tenants
from portal.audit import service as audit
from portal.companies.service import clean_website
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.kernel.text import fold, gather

MAX_ACTIVE_CREDENTIALS = 5
MAX_REDIRECT_URIS = 20
MAX_APPS = 50
MAX_DESCRIPTION = 2000


class TooManyCredentials(Invalid):
    code = "too-many-credentials"
    title = f"An app may have {MAX_ACTIVE_CREDENTIALS} active credentials; revoke one first"
    title_fa = f"هر برنامه حداکثر {MAX_ACTIVE_CREDENTIALS} اعتبارنامهٔ فعال دارد؛ نخست یکی را باطل کنید"


class TooManyApps(Invalid):
    code = "too-many-apps"
    title = f"A company may register {MAX_APPS} apps"
    title_fa = f"هر شرکت حداکثر {MAX_APPS} برنامه ثبت می‌کند"


class SecretsAreForTheSandbox(Invalid):
    code = "secret-not-allowed"
    title = "Production accepts registered public keys only; add a JWKS"
    title_fa = "محیط عملیاتی تنها کلید عمومی ثبت‌شده می‌پذیرد؛ یک JWKS بیفزایید"


class NotASecret(Conflict):
    code = "not-a-secret"
    title = "Only a secret that is not revoked can be rotated; register new keys instead"
    title_fa = "تنها رمزی را که باطل نشده است می‌توان تازه کرد؛ برای کلید، کلید تازه ثبت کنید"


class AlreadyOpen(Conflict):
    code = "environment-open"
    title = "The app is already present in this environment"
    title_fa = "برنامه از پیش در این محیط حضور دارد"


async def create_app(
    session: AsyncSession,
    *,
    company_id: str,
    name: str,
    created_by: str,
    now: datetime,
    description: str = "",
    homepage: str = "",
    public: bool = False,
) -> App:
    """Register an App of a Company; the caller has checked that `created_by` may."""
    count = await session.scalar(select(func.count()).select_from(App).where(App.company_id == company_id))
    if (count or 0) >= MAX_APPS:
        raise TooManyApps
    name_, description_, homepage_ = _described(name, description, homepage)
    app = App(
        id=new_id("app"),
        company_id=company_id,
        name=name_,
        description=description_,
        homepage=homepage_,
        public=public,
        created_by=created_by,
        created_at=now,
    )
    session.add(app)
    await session.flush()
    await _note(session, app, now, created_by, "app.created", {"name": app.name, "public": public})
    return app


def named(name: str) -> str:
    """A usable App name; raises Invalid on `name`."""
    clean = " ".join(name.split())
    if not 2 <= len(clean) <= 120:
        raise Invalid("A name has 2 to 120 characters", fa="نام باید ۲ تا ۱۲۰ نویسه داشته باشد", field="name")
    return clean


def _described(name: str, description: str, homepage: str) -> tuple[str, str, str]:
    """Name, description and homepage that can be used; raises Invalid for all wrong ones at once."""
    name_, description_, homepage_ = gather(
        lambda: named(fold(name)), lambda: _description(description), lambda: clean_website(homepage, field="homepage")
    )
    return name_, description_, homepage_


def _description(text: str) -> str:
    clean = fold(text)
    if len(clean) > MAX_DESCRIPTION:
        raise Invalid(
            f"A description has at most {MAX_DESCRIPTION} characters",
            fa="توضیح نباید بیش از ۲۰۰۰ نویسه داشته باشد",
            field="description",
        )
    return clean


async def edit_app(
    session: AsyncSession, app: App, *, name: str, description: str, homepage: str, by: str, now: datetime
) -> None:
    """Change what people read about an App."""
    before = {"name": app.name, "description": app.description, "homepage": app.homepage}
    app.name, app.description, app.homepage = _described(name, description, homepage)
    after = {"name": app.name, "description": app.description, "homepage": app.homepage}
    changed = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
    if changed:
        await _note(session, app, now, by, "app.edited", changed)


async def open_sandbox(
    session: AsyncSession, app: App, *, scopes: list[str], tenants: Tenants, by: str, now: datetime
) -> AppEnvironment:
    """Give an App its place in the sandbox: a client id and a Tenant of its own. Credentials are added apart.

    The Tenant is made first: should the transaction fail, an unused Tenant is left, never a presence without one.
    """
    if await queries.presence(session, app.id, "sandbox") is not None:
        raise AlreadyOpen
    tenant = new_id("ten").replace("_", "-")
    await tenants.create(tenant)
    made = AppEnvironment(
        client_id=new_id("gz"),
        app_id=app.id,
        environment="sandbox",
        tenant=tenant,
        scopes=sorted(set(scopes)),
        created_at=now,
    )
    session.add(made)
    await session.flush()
    await _note(session, app, now, by, "app.sandbox-opened", {"client_id": made.client_id, "scopes": made.scopes})
    return made


async def grant_production_access(
    session: AsyncSession, app: App, *, scopes: list[str], by: str, now: datetime
) -> AppEnvironment:
    """Give an approved App its place in production, or renew the scopes of the one it has."""
    made = await queries.presence(session, app.id, "production")
    if made is None:
        made = AppEnvironment(
            client_id=new_id("gz"), app_id=app.id, environment="production", scopes=sorted(set(scopes)), created_at=now
        )
        session.add(made)
    else:
        made.scopes, made.epoch = sorted(set(scopes)), made.epoch + 1
    await session.flush()
    await _note(session, app, now, by, "app.production-granted", {"client_id": made.client_id, "scopes": made.scopes})
    return made


async def set_scopes(
    session: AsyncSession, app: App, place: AppEnvironment, *, scopes: list[str], by: str, now: datetime
) -> None:
    """Replace the scopes a presence may ask tokens for."""
    wanted = sorted(set(scopes))
    if wanted == place.scopes:
        return
    before, place.scopes, place.epoch = place.scopes, wanted, place.epoch + 1
    details = {"client_id": place.client_id, "before": before, "after": wanted}
    await _note(session, app, now, by, "app.scopes-changed", details)


async def add_secret(
    session: AsyncSession,
    app: App,
    place: AppEnvironment,
    *,
    pepper: bytes,
    by: str,
    now: datetime,
    lifetime: timedelta | None = None,
    in_production: bool = False,
) -> tuple[Credential, str]:
    """A new secret; returns it in plain text this once. Raises SecretsAreForTheSandbox, TooManyCredentials.

    `in_production` is for demonstration Apps only, whose client profile allows it at the token endpoint too.
    """
    if place.environment != "sandbox" and not in_production:
        raise SecretsAreForTheSandbox
    await _room_for_one_more(session, place, now)
    plain = secrets.new_secret(place.environment)
    made = Credential(
        id=new_id("cred"),
        client_id=place.client_id,
        kind=CredentialKind.SECRET,
        secret_hash=secrets.digest(plain, pepper),
        secret_hint=secrets.hint(plain),
        created_by=by,
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
    )
    session.add(made)
    await session.flush()
    details = {"client_id": place.client_id, "credential": made.id, "hint": made.secret_hint}
    await _note(session, app, now, by, "credential.secret-added", details)
    return made, plain


async def add_keys(
    session: AsyncSession,
    app: App,
    place: AppEnvironment,
    *,
    by: str,
    now: datetime,
    jwks: Any = None,
    jwks_uri: str = "",
) -> Credential:
    """Register public keys, inline or by URL. Raises Invalid on `jwks` or `jwks_uri`, TooManyCredentials."""
    if (jwks is None) == (not jwks_uri):
        raise Invalid("Give either jwks or jwks_uri", fa="یکی از jwks یا jwks_uri را بدهید", field="jwks")
    await _room_for_one_more(session, place, now)
    made = Credential(
        id=new_id("cred"),
        client_id=place.client_id,
        kind=CredentialKind.JWKS if jwks is not None else CredentialKind.JWKS_URI,
        jwks=keysets.checked(jwks) if jwks is not None else None,
        jwks_uri=keysets.checked_uri(jwks_uri) if jwks_uri else "",
        created_by=by,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    kids = [key.get("kid", "") for key in made.jwks["keys"]] if made.jwks else []
    details = {"client_id": place.client_id, "credential": made.id, "kids": kids, "jwks_uri": made.jwks_uri}
    await _note(session, app, now, by, "credential.keys-added", details)
    return made


async def _room_for_one_more(session: AsyncSession, place: AppEnvironment, now: datetime) -> None:
    if len(await queries.active_credentials(session, place.client_id, now)) >= MAX_ACTIVE_CREDENTIALS:
        raise TooManyCredentials


async def get_credential(session: AsyncSession, place: AppEnvironment, credential_id: str) -> Credential:
    """A Credential of this presence; raises NotFound."""
    found = await session.get(Credential, credential_id)
    if found is None or found.client_id != place.client_id:
        raise NotFound("There is no such credential", fa="چنین اعتبارنامه‌ای نیست")
    return found


async def rotate_secret(
    session: AsyncSession,
    app: App,
    place: AppEnvironment,
    old: Credential,
    *,
    overlap: timedelta,
    pepper: bytes,
    by: str,
    now: datetime,
) -> tuple[Credential, str]:
    """A new secret beside an old one, which dies after `overlap` (0 to 7 days), or at its own expiry if that is sooner."""
    if not timedelta(0) <= overlap <= timedelta(days=7):
        raise Invalid("The overlap is 0 to 7 days", fa="هم‌پوشانی باید ۰ تا ۷ روز باشد", field="overlap")
    if old.kind != CredentialKind.SECRET or old.revoked_at is not None:
        raise NotASecret
    made = await add_secret(session, app, place, pepper=pepper, by=by, now=now)
    end = now + overlap
    old.expires_at = min(old.expires_at, end) if old.expires_at else end
    await _note(session, app, now, by, "credential.rotated", {"credential": old.id, "ends": old.expires_at.isoformat()})
    return made


def lifetime_of(days: int | None) -> timedelta | None:
    """How long a secret lasts; None: until it is revoked. Raises Invalid on `lifetime_days`."""
    if days is None:
        return None
    if not 1 <= days <= 730:
        raise Invalid("A secret lasts 1 to 730 days", fa="اعتبار رمز بین ۱ تا ۷۳۰ روز است", field="lifetime_days")
    return timedelta(days=days)


def overlap_of(hours: int) -> timedelta:
    """For how long an old secret stays valid. Raises Invalid on `overlap_hours`."""
    if not 0 <= hours <= 168:
        raise Invalid("The overlap is 0 to 168 hours", fa="هم‌پوشانی بین ۰ تا ۱۶۸ ساعت است", field="overlap_hours")
    return timedelta(hours=hours)


async def revoke_credential(
    session: AsyncSession,
    app: App,
    place: AppEnvironment,
    credential: Credential,
    *,
    by: str,
    now: datetime,
    reason: str = "",
) -> None:
    """Withdraw a Credential at once; tokens it obtained die with the rise of the epoch."""
    if credential.revoked_at is not None:
        return
    credential.revoked_at = now
    place.epoch += 1
    details = {"client_id": place.client_id, "credential": credential.id, "reason": reason}
    await _note(session, app, now, by, "credential.revoked", details)


async def set_redirect_uris(
    session: AsyncSession, app: App, place: AppEnvironment, *, uris: list[str], by: str, now: datetime
) -> None:
    """Replace the redirect URIs; each is checked and then compared character by character. Raises Invalid on `redirect_uris`."""
    wanted = sorted({redirects.checked(uri, place.environment) for uri in uris if uri.strip()})
    if len(wanted) > MAX_REDIRECT_URIS:
        raise Invalid(
            f"At most {MAX_REDIRECT_URIS} redirect URIs",
            fa=f"حداکثر {MAX_REDIRECT_URIS} نشانی بازگشت",
            field="redirect_uris",
        )
    before = list(await queries.redirect_uris(session, place.client_id))
    if wanted == before:
        return
    await session.execute(delete(RedirectUri).where(RedirectUri.client_id == place.client_id))
    session.add_all(RedirectUri(client_id=place.client_id, uri=uri) for uri in wanted)
    await session.flush()
    details = {"client_id": place.client_id, "before": before, "after": wanted}
    await _note(session, app, now, by, "app.redirects-changed", details)


async def set_status(
    session: AsyncSession, app: App, *, status: AccessStatus, reason: str, by: str, now: datetime
) -> None:
    """Limit, suspend or reinstate an App everywhere; the rise of every epoch makes the next call feel it."""
    before, app.status, app.status_reason = app.status, status, reason
    for place in await queries.environments_of(session, app.id):
        place.epoch += 1
    await session.flush()
    action = {AccessStatus.ACTIVE: "app.reinstated", AccessStatus.LIMITED: "app.limited"}.get(status, "app.suspended")
    await _note(session, app, now, by, action, {"before": before, "reason": reason})


async def _note(session: AsyncSession, app: App, now: datetime, by: str, action: str, details: dict[str, Any]) -> None:
    await audit.record(
        session, now=now, actor=by, action=action, subject=app.id, company_id=app.company_id, details=details
    )
