"""Tables of Apps. Secrets are stored as HMAC-SHA-256; what is shown again is only prefix and last four."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class AccessStatus(StrEnum):
    """Whether calls of an App are admitted; `limited` admits reads only, at a lower rate."""

    ACTIVE = "active"
    LIMITED = "limited"
    SUSPENDED = "suspended"


class CredentialKind(StrEnum):
    """How an App proves itself at the token endpoint."""

    SECRET = "secret"  # noqa: S105 -- the name of a kind, not a secret
    JWKS = "jwks"
    JWKS_URI = "jwks_uri"


class App(Base):
    """Software a Company registers. `public` Apps (browser, phone) hold no secret and must use PKCE."""

    __tablename__ = "apps"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    homepage: Mapped[str] = mapped_column(String(255), default="")
    public: Mapped[bool] = mapped_column(Boolean, default=False)
    status: Mapped[AccessStatus] = mapped_column(String(16), default=AccessStatus.ACTIVE)
    status_reason: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class AppEnvironment(Base):
    """An App's presence in one Environment: its client id, Tenant, granted scopes.

    `epoch` rises at every status, scope or plan change; a token of an older epoch is judged by the database again, not by the cache.
    Until `recording_until` the gateway notes whole sandbox calls, for a conformance run.
    """

    __tablename__ = "app_environments"

    client_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    environment: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str] = mapped_column(String(48), default="")
    status: Mapped[AccessStatus] = mapped_column(String(16), default=AccessStatus.ACTIVE)
    scopes: Mapped[list[str]]
    epoch: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime]
    recording_until: Mapped[datetime | None]


class Credential(Base):
    """A secret or registered public keys of an AppEnvironment; several may be active at once, so that rotation overlaps."""

    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), index=True)
    kind: Mapped[CredentialKind] = mapped_column(String(16))
    secret_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    secret_hint: Mapped[str] = mapped_column(String(24), default="")
    jwks: Mapped[dict[str, Any] | None]
    jwks_uri: Mapped[str] = mapped_column(String(255), default="")
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # The nearest notice before the end that was given, in days; 0: none.
    notice_days: Mapped[int] = mapped_column(Integer, default=0)


class RedirectUri(Base):
    """An exact redirect URI of an AppEnvironment (RFC 9700: compared character by character)."""

    __tablename__ = "redirect_uris"

    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), primary_key=True)
    uri: Mapped[str] = mapped_column(String(500), primary_key=True)
