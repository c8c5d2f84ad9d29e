"""Tables of the request log. No foreign keys: it is written off the hot path and outlives nothing it names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class CallRecord(Base):
    """One call and its verdict. `template` is the route without identifiers; `target` (path and query) is kept in the sandbox only.

    Times are microseconds: `gateway_us` is what the gateway itself took, `upstream_us` until the Upstream began to answer.
    """

    __tablename__ = "call_records"
    __table_args__ = (
        Index("ix_call_records_app_id_at", "app_id", "at"),
        Index("ix_call_records_at", "at"),
    )

    id: Mapped[str] = mapped_column(String(48), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime]
    environment: Mapped[str] = mapped_column(String(16))
    company_id: Mapped[str] = mapped_column(String(32))
    app_id: Mapped[str] = mapped_column(String(32))
    client_id: Mapped[str] = mapped_column(String(48))
    product_id: Mapped[str] = mapped_column(String(64))
    subscription_id: Mapped[str] = mapped_column(String(32))
    method: Mapped[str] = mapped_column(String(16))
    template: Mapped[str] = mapped_column(String(200))
    interaction: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(Text)
    status: Mapped[int] = mapped_column(Integer)
    code: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(String(400))
    violated: Mapped[str] = mapped_column(String(80))
    shadowed: Mapped[str] = mapped_column(String(80))
    limits: Mapped[str] = mapped_column(String(400))
    gateway_us: Mapped[int] = mapped_column(Integer)
    upstream_us: Mapped[int] = mapped_column(Integer)
    duration_us: Mapped[int] = mapped_column(BigInteger)
    bytes_in: Mapped[int] = mapped_column(BigInteger)
    bytes_out: Mapped[int] = mapped_column(BigInteger)


class CallBody(Base):
    """What was sent and answered, redacted and cut to a bound; in the sandbox only, and for a shorter time than the record."""

    __tablename__ = "call_bodies"

    call_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    request_type: Mapped[str] = mapped_column(String(100))
    request: Mapped[str] = mapped_column(Text)
    response: Mapped[str] = mapped_column(Text)


class WitnessedCall(Base):
    """A sandbox call noted whole while a conformance run recorded its App: token id and scopes, header fields, bodies."""

    __tablename__ = "witnessed_calls"

    call_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    token: Mapped[str] = mapped_column(String(64), default="")
    scopes: Mapped[str] = mapped_column(Text, default="")
    sent: Mapped[dict[str, Any]]
    answered: Mapped[dict[str, Any]]
    request: Mapped[str] = mapped_column(Text, default="")
    response: Mapped[str] = mapped_column(Text, default="")
