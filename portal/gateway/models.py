"""Tables of what the gateway alone minds: where an App may call from, limits on trial, patience with an Upstream."""

from __future__ import annotations

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class CallerRule(Base):
    """Where calls of one client may come from, beside its token. An empty list asks for nothing.

    `networks` are CIDR blocks of the caller's address, `certificates` SHA-256 thumbprints (hexadecimal) of its TLS certificate, as a
    trusted proxy reports both.
    """

    __tablename__ = "caller_rules"

    client_id: Mapped[str] = mapped_column(String(48), primary_key=True)
    networks: Mapped[list[str]]
    certificates: Mapped[list[str]]


class ShadowLimit(Base):
    """A new RateLimit of a Plan on trial: judged on every call, written in the request log, refusing nothing."""

    __tablename__ = "shadow_limits"

    plan_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    per_second: Mapped[int] = mapped_column(Integer)
    per_minute: Mapped[int] = mapped_column(Integer)


class UpstreamRule(Base):
    """How long the service of a partner Product may take, in whole seconds: to begin to answer, and between two pieces."""

    __tablename__ = "upstream_rules"

    product_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    answer_seconds: Mapped[int] = mapped_column(Integer, default=30)
    pause_seconds: Mapped[int] = mapped_column(Integer, default=30)
