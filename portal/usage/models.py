"""Tables of consumption. No foreign keys: the ledger outlives what it counts and is written off the hot path."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class QuotaState(Base):
    """Units handed out from a Subscription's Quota in one calendar window, leased ones included."""

    __tablename__ = "quota_states"

    subscription_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    window: Mapped[str] = mapped_column(String(10), primary_key=True)
    spent: Mapped[int] = mapped_column(BigInteger, default=0)


class UsageRecord(Base):
    """Calls of one Subscription that one worker counted between two flushes; append-only.

    `id` is derived from the flushed batch, so that writing a batch twice counts it once. Invoices are sums over these rows and
    over nothing else.
    """

    __tablename__ = "usage_records"
    __table_args__ = (Index("ix_usage_records_subscription_id_hour", "subscription_id", "hour"),)

    id: Mapped[str] = mapped_column(String(96), primary_key=True)
    subscription_id: Mapped[str] = mapped_column(String(32))
    client_id: Mapped[str] = mapped_column(String(48))
    product_id: Mapped[str] = mapped_column(String(64))
    environment: Mapped[str] = mapped_column(String(16))
    hour: Mapped[datetime]
    calls: Mapped[int] = mapped_column(Integer)
    recorded_at: Mapped[datetime]


class UsageBatch(Base):
    """A batch that has been recorded; its primary key is what makes recording it again change nothing."""

    __tablename__ = "usage_batches"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(index=True)


class UsageHour(Base):
    """Sums of one App's calls to one Product in one hour (UTC), a convenience, never an invoice's source.

    `admitted` reached the Upstream, `refused` did not; `limited` (429) and `failed` (5xx) are parts of these.
    """

    __tablename__ = "usage_hours"

    client_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    product_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(String(16))
    company_id: Mapped[str] = mapped_column(String(32), index=True)
    app_id: Mapped[str] = mapped_column(String(32), index=True)
    admitted: Mapped[int] = mapped_column(Integer, default=0)
    refused: Mapped[int] = mapped_column(Integer, default=0)
    limited: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    bytes_in: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_out: Mapped[int] = mapped_column(BigInteger, default=0)
    duration_us: Mapped[int] = mapped_column(BigInteger, default=0)


class QuotaNotice(Base):
    """That a Company was told: `level` per cent of a Quota were used in a window. The key keeps it from being told twice."""

    __tablename__ = "quota_notices"

    subscription_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    window: Mapped[str] = mapped_column(String(10), primary_key=True)
    level: Mapped[int] = mapped_column(Integer, primary_key=True)
    told_at: Mapped[datetime]
