"""Wire shapes of Apps and their Credentials. Unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from portal.apps.models import App, AppEnvironment, Credential


class NewApp(msgspec.Struct, forbid_unknown_fields=True):
    """Software to register. `public` Apps run where a secret cannot be kept (browser, phone) and use PKCE."""

    name: str
    description: str = ""
    homepage: str = ""
    public: bool = False


class AppChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; absent fields stay."""

    name: str | None = None
    description: str | None = None
    homepage: str | None = None


class PresenceInfo(msgspec.Struct):
    """The App in one Environment, and where its calls go."""

    environment: str
    client_id: str
    tenant: str
    status: str
    scopes: list[str]
    redirect_uris: list[str]
    token_url: str
    fhir_base_url: str
    created_at: datetime

    @classmethod
    def of(cls, place: AppEnvironment, redirect_uris: list[str], public_url: str) -> PresenceInfo:
        root = f"{public_url}/{place.environment}"
        return cls(
            place.environment,
            place.client_id,
            place.tenant,
            place.status,
            place.scopes,
            redirect_uris,
            f"{root}/oauth/token",
            f"{root}/fhir/R4",
            place.created_at,
        )


class AppSummary(msgspec.Struct):
    """An App in a list."""

    id: str
    company_id: str
    name: str
    description: str
    homepage: str
    public: bool
    status: str
    status_reason: str
    created_at: datetime

    @classmethod
    def of(cls, app: App) -> AppSummary:
        return cls(
            app.id,
            app.company_id,
            app.name,
            app.description,
            app.homepage,
            app.public,
            app.status,
            app.status_reason,
            app.created_at,
        )


class AppInfo(msgspec.Struct):
    """An App and its presences."""

    app: AppSummary
    environments: list[PresenceInfo]


class CredentialInfo(msgspec.Struct):
    """A Credential, without any secret. `hint` is a secret's prefix and last four characters, `kids` name public keys."""

    id: str
    kind: str
    hint: str
    kids: list[str]
    jwks_uri: str
    active: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: Credential, now: datetime) -> CredentialInfo:
        return cls(
            row.id,
            row.kind,
            row.secret_hint,
            [str(key.get("kid", "")) for key in (row.jwks or {}).get("keys", [])],
            row.jwks_uri,
            row.revoked_at is None and (row.expires_at is None or row.expires_at > now),
            row.created_at,
            row.expires_at,
            row.revoked_at,
            row.last_used_at,
        )


class NewCredential(msgspec.Struct, forbid_unknown_fields=True):
    """`kind` secret (sandbox only; optional `lifetime_days`), jwks (with `jwks`) or jwks_uri (with `jwks_uri`)."""

    kind: str = "secret"
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""
    lifetime_days: int | None = None


class MadeCredential(msgspec.Struct, omit_defaults=True):
    """A new Credential; `client_secret` is shown this once."""

    client_id: str
    credential: CredentialInfo
    client_secret: str = ""


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """For how many hours the old secret stays valid beside the new one (0 to 168)."""

    overlap_hours: int = 24


class RedirectUris(msgspec.Struct, forbid_unknown_fields=True):
    """The whole list; each is compared character by character."""

    redirect_uris: list[str]
