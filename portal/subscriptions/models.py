"""Table of Subscriptions: which Plan governs an App's calls to a Product in an Environment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class Subscription(Base):
    """An App on a Plan. The three overrides, when set, replace the Plan's limits (an approval's Ramp, a demo's choice)."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), index=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    plan_id: Mapped[str] = mapped_column(ForeignKey("plans.id"))
    per_second: Mapped[int | None] = mapped_column(Integer)
    per_minute: Mapped[int | None] = mapped_column(Integer)
    quota: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
