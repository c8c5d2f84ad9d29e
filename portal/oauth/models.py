"""Tables of the authorization server. Codes, refresh tokens and the like are stored as SHA-256 only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, func
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
