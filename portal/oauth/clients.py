"""Apps as the authorization server and the gateway see them: frozen records, cached, forgotten when the feed says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import import_key
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from portal.apps.models import AccessStatus, App, AppEnvironment, Credential, CredentialKind, RedirectUri
from portal.companies.models import Company, CompanyStatus
from portal.kernel.database import SessionMaker
from portal.oauth.feed import Event, Feed
from portal.oauth.models import ClientProfile
from portal.oauth.signatures import PublicKey


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A public key an App registered, imported once."""

    kid: str
    algorithm: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """An active secret, as its hex HMAC."""

    credential_id: str
    digest: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """Registered public keys, inline or at a URL."""

    credential_id: str
    keys: tuple[ClientKey, ...]
    url: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """An App in one Environment, with everything the token endpoint asks about it.

    `admitted` is False when the App, its presence in this Environment or its Company is suspended; `limited` allows reads only.
    """

    client_id: str
    environment: str
    app_id: str
    company_id: str
    name: str
    homepage: str
    company_name: str
    tenant: str
    public: bool
    admitted: bool
    limited: bool
    scopes: tuple[str, ...]
    epoch: int
    secrets: tuple[ClientSecret, ...]
    keys: tuple[KeyCredential, ...]
    redirect_uris: frozenset[str]
    profile: str
    require_par: bool
    require_dpop: bool
    secret_allowed: bool

    @property
    def origins(self) -> frozenset[str]:
        """Origins of its redirect URIs: those that may call the token endpoint from a browser."""
        parts = (urlsplit(uri) for uri in self.redirect_uris)
        return frozenset(f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "https"))


class Clients:
    """The cache. A bounded number of records; unknown client ids are not remembered, so they cannot fill it."""

    def __init__(self, maker: SessionMaker, *, feed: Feed, capacity: int = 20_000) -> None:
        self._maker, self._capacity = maker, capacity
        self._records: dict[str, ClientRecord] = {}
        self._loading: dict[str, asyncio.Task[ClientRecord | None]] = {}
        self._generation = 0
        feed.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if event.kind == "app" and event.key != "*":
            self._generation += 1
            self._records.pop(event.key, None)
        elif event.kind in ("app", "apps", "company"):
            self._generation += 1
            for record in list(self._records.values()):
                if event.key in ("*", record.app_id, record.company_id):
                    del self._records[record.client_id]

    def cached(self, client_id: str) -> ClientRecord | None:
        """The record if it is in memory."""
        return self._records.get(client_id)

    async def get(self, client_id: str) -> ClientRecord | None:
        """The record of `client_id` in whichever Environment, or None. Callers that come together share one read."""
        found = self._records.get(client_id)
        if found is not None or not 0 < len(client_id) <= 48:
            return found
        task = self._loading.get(client_id)
        if task is None:
            task = asyncio.ensure_future(self._load(client_id))
            self._loading[client_id] = task
            task.add_done_callback(lambda _: self._loading.pop(client_id, None))
        return await asyncio.shield(task)

    async def _load(self, client_id: str) -> ClientRecord | None:
        before = self._generation
        async with self._maker() as session:
            record = await session.run_sync(read_record, client_id)
        # What was read while an event arrived may predate it: use it once, do not keep it.
        if record is not None and before == self._generation:
            while len(self._records) >= self._capacity:
                self._records.pop(next(iter(self._records)), None)
            self._records[client_id] = record
        return record


def read_record(session: Session, client_id: str) -> ClientRecord | None:
    """Read one App's presence from the database, revoked credentials left out."""
    row = session.execute(
        select(AppEnvironment, App, Company, ClientProfile)
        .join(App, App.id == AppEnvironment.app_id)
        .join(Company, Company.id == App.company_id)
        .outerjoin(ClientProfile, ClientProfile.client_id == AppEnvironment.client_id)
        .where(AppEnvironment.client_id == client_id)
    ).one_or_none()
    if row is None:
        return None
    presence, app, company, profile = row
    credentials = session.scalars(
        select(Credential).where(
            Credential.client_id == client_id,
            Credential.revoked_at.is_(None),
            or_(Credential.secret_hash.is_not(None), Credential.kind != CredentialKind.SECRET),
        )
    ).all()
    uris = session.scalars(select(RedirectUri.uri).where(RedirectUri.client_id == client_id)).all()
    statuses = {presence.status, app.status}
    return ClientRecord(
        client_id=client_id,
        environment=presence.environment,
        app_id=app.id,
        company_id=app.company_id,
        name=app.name,
        homepage=app.homepage,
        company_name=company.name,
        tenant=presence.tenant,
        public=app.public,
        admitted=AccessStatus.SUSPENDED not in statuses and company.status != CompanyStatus.SUSPENDED,
        limited=AccessStatus.LIMITED in statuses,
        scopes=tuple(presence.scopes),
        epoch=presence.epoch,
        secrets=tuple(
            ClientSecret(each.id, each.secret_hash, each.expires_at)
            for each in credentials
            if each.kind == CredentialKind.SECRET and each.secret_hash
        ),
        keys=tuple(
            KeyCredential(each.id, import_keys(each.jwks or {}), each.jwks_uri, each.expires_at)
            for each in credentials
            if each.kind != CredentialKind.SECRET
        ),
        redirect_uris=frozenset(uris),
        profile=profile.profile if profile else "smart",
        require_par=bool(profile and profile.require_par),
        require_dpop=bool(profile and profile.require_dpop),
        secret_allowed=_secret_allowed(presence.environment, profile),
    )


def _secret_allowed(environment: str, profile: ClientProfile | None) -> bool:
    if profile is not None and profile.profile == "fapi2":
        return False
    return environment == "sandbox" or bool(profile and profile.secret_in_production)


def import_keys(jwks: Any) -> tuple[ClientKey, ...]:
    """The usable signature keys of a JWK set; keys of unknown types, for encryption, or malformed are left out."""
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(listed, list):
        return ()
    found = []
    for jwk in listed[:20]:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or jwk.get("kty") not in ("EC", "RSA", "OKP"):
            continue
        try:
            # Only the public part, even if somebody pasted a private key.
            key = import_key({name: value for name, value in jwk.items() if name in _PUBLIC_MEMBERS})
            public: Any = key.public_key
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        found.append(ClientKey(kid=str(jwk.get("kid", "")), algorithm=str(jwk.get("alg", "")), key=public))
    return tuple(found)


_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")
