"""Tables of conformance: runs, what happened in them, and the signed Evidence that comes of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class RunStatus(StrEnum):
    """A run records until it is judged, or until nobody used it for its lifetime."""

    RUNNING = "running"
    JUDGED = "judged"
    ABANDONED = "abandoned"


class ConformanceRun(Base):
    """One run of the suite over an App's sandbox traffic. `results` holds one verdict per Requirement once it is judged."""

    __tablename__ = "conformance_runs"
    __table_args__ = (Index("ix_conformance_runs_app", "app_id", "started_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"))
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"))
    tenant: Mapped[str] = mapped_column(String(48))
    app_version: Mapped[str] = mapped_column(String(40))
    suite_version: Mapped[str] = mapped_column(String(64))
    products: Mapped[list[str]]
    scopes: Mapped[list[str]]
    status: Mapped[RunStatus] = mapped_column(String(16), default=RunStatus.RUNNING)
    rerun_of: Mapped[str | None] = mapped_column(ForeignKey("conformance_runs.id"))
    results: Mapped[dict[str, Any]]
    passes: Mapped[bool] = mapped_column(Boolean, default=False)
    calls: Mapped[int] = mapped_column(Integer, default=0)
    traffic_digest: Mapped[str] = mapped_column(String(64), default="")
    started_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    judged_at: Mapped[datetime | None]


class RunScenario(Base):
    """A scenario of a run: `waiting`, `armed` (the App is to act now), `done`, or `unavailable` (the Tenant could not be armed)."""

    __tablename__ = "conformance_scenarios"

    run_id: Mapped[str] = mapped_column(ForeignKey("conformance_runs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    scenario: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    inputs: Mapped[dict[str, Any]]
    note: Mapped[str] = mapped_column(Text, default="")
    armed_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class RunEvent(Base):
    """Something Gozar did to the Tenant during a run, which checks judge by."""

    __tablename__ = "conformance_events"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("conformance_runs.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]]


class Evidence(Base):
    """A run's result as a signed document (compact JWS); the database refuses to change or delete it."""

    __tablename__ = "evidence"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("conformance_runs.id"), unique=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    app_version: Mapped[str] = mapped_column(String(40))
    suite_version: Mapped[str] = mapped_column(String(64))
    passes: Mapped[bool] = mapped_column(Boolean)
    jws: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Rehearsal(Base):
    """A refusal that the gateway gives on purpose while a run records the App: `left` times more, to calls that fit.

    `kind`: limit (429), outage (503), expired-token (401), conflict (412), lost-answer (done, then 504), consent (403 for `patient`,
    without end). Empty `method` and `type` fit any.
    """

    __tablename__ = "conformance_rehearsals"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("conformance_runs.id"), index=True)
    client_id: Mapped[str] = mapped_column(String(48), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(8), default="")
    type: Mapped[str] = mapped_column(String(64), default="")
    patient: Mapped[str] = mapped_column(String(64), default="")
    retry_after: Mapped[int] = mapped_column(Integer, default=0)
    left: Mapped[int] = mapped_column(Integer)
