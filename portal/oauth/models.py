"""Tables of the authorization server. Codes, refresh tokens and the like are stored as SHA-256 only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base

BigNumber = BigInteger().with_variant(Integer, "sqlite")


class FeedEvent(Base):
    """One announcement of the revocation feed (`portal.oauth.feed`). `at` is the database's own clock and serves pruning only."""

    __tablename__ = "feed_events"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 -- SQLAlchemy reads it, nobody writes it

    sequence: Mapped[int] = mapped_column(BigNumber, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigNumber)
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class SigningKey(Base):
    """A signing key of one Environment. `private` is the PKCS#8 key under AES-256-GCM (`portal.oauth.vault`).

    Published from `created_at`, signs from `signs_from`, until a newer one does; leaves the key set at `retires_at`,
    or at once when `removed_at` is set.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (Index("ix_signing_keys_environment_use", "environment", "algorithm"),)

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    environment: Mapped[str] = mapped_column(String(16))
    algorithm: Mapped[str] = mapped_column(String(16))
    private: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    retires_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class UsedAssertion(Base):
    """A client assertion's `jti` that was used; its primary key is what makes replay impossible."""

    __tablename__ = "used_assertions"

    client_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    jti_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ClientProfile(Base):
    """Per-App choices about how it speaks OAuth; absent means the SMART profile with nothing further required.

    `profile` is `smart` or `fapi2`. `secret_in_production` admits a secret where otherwise only keys are accepted.
    """

    __tablename__ = "client_profiles"

    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), primary_key=True)
    profile: Mapped[str] = mapped_column(String(8), default="smart")
    require_par: Mapped[bool] = mapped_column(Boolean, default=False)
    require_dpop: Mapped[bool] = mapped_column(Boolean, default=False)
    secret_in_production: Mapped[bool] = mapped_column(Boolean, default=False)


class PushedRequest(Base):
    """Parameters of an authorization request that an App pushed (RFC 9126); used once."""

    __tablename__ = "pushed_requests"

    uri_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    parameters: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class Interaction(Base):
    """An accepted authorization request on its way through sign-in, patient choice and consent. Who signed in is not kept here."""

    __tablename__ = "interactions"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    environment: Mapped[str] = mapped_column(String(16))
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    redirect_uri: Mapped[str] = mapped_column(String(500))
    scopes: Mapped[list[str]]
    state: Mapped[str | None] = mapped_column(Text)
    nonce: Mapped[str | None] = mapped_column(Text)
    challenge: Mapped[str] = mapped_column(String(43))
    thumbprint: Mapped[str] = mapped_column(String(43), default="")
    launch_id: Mapped[str | None] = mapped_column(ForeignKey("launches.id"))
    patient: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    decided_at: Mapped[datetime | None]
    # OpenID Connect `prompt=login` and `max_age`: an older sign-in does not count here.
    fresh_from: Mapped[datetime | None]


class Launch(Base):
    """A launch that the EHR simulator prepared: who, which patient, which encounter, and the fault to play, if any."""

    __tablename__ = "launches"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    environment: Mapped[str] = mapped_column(String(16))
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    user: Mapped[str] = mapped_column(String(100))
    user_name: Mapped[str] = mapped_column(String(160))
    patient: Mapped[str] = mapped_column(String(64), default="")
    encounter: Mapped[str] = mapped_column(String(64), default="")
    fault: Mapped[str] = mapped_column(String(32), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    # When an authorization was granted in it; a launch leads to one.
    used_at: Mapped[datetime | None]


class CitizenSignIn(Base):
    """A person signed in at the authorization server of one Environment (and, in the sandbox, of one Tenant)."""

    __tablename__ = "citizen_sign_ins"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    environment: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str] = mapped_column(String(48))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    reference: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class DataAccessGrant(Base):
    """A citizen's standing permission for an App, made by one authorization. `patient` is whose data; `reference` who agreed."""

    __tablename__ = "data_access_grants"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    environment: Mapped[str] = mapped_column(String(16))
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), index=True)
    tenant: Mapped[str] = mapped_column(String(48))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    reference: Mapped[str] = mapped_column(String(100))
    patient: Mapped[str] = mapped_column(String(64), default="")
    encounter: Mapped[str] = mapped_column(String(64), default="")
    scopes: Mapped[list[str]]
    sign_in_id: Mapped[str | None] = mapped_column(ForeignKey("citizen_sign_ins.id"))
    fault: Mapped[str] = mapped_column(String(32), default="")
    signed_in_at: Mapped[datetime]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_why: Mapped[str] = mapped_column(String(32), default="")


class AuthorizationCode(Base):
    """A code, valid for 60 seconds and one use."""

    __tablename__ = "authorization_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    grant_id: Mapped[str] = mapped_column(ForeignKey("data_access_grants.id"), index=True)
    redirect_uri: Mapped[str] = mapped_column(String(500))
    challenge: Mapped[str] = mapped_column(String(43))
    nonce: Mapped[str | None] = mapped_column(Text)
    thumbprint: Mapped[str] = mapped_column(String(43), default="")
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token. `used_at` is set when it was exchanged for its successor; `thumbprint` binds it to a DPoP key."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    grant_id: Mapped[str] = mapped_column(ForeignKey("data_access_grants.id"), index=True)
    thumbprint: Mapped[str] = mapped_column(String(43), default="")
    created_at: Mapped[datetime]
    idle_until: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    successor_hash: Mapped[str | None] = mapped_column(String(64))
