"""Tables of the catalogue. Limits are whole numbers: calls per second, per minute, per calendar month."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class QuotaPeriod(StrEnum):
    """The calendar window (Asia/Tehran) after which a Quota starts anew."""

    DAY = "day"
    MONTH = "month"


class Product(Base):
    """An API offering. `id` is a slug such as `health-record`; `upstream` is empty for the exchange itself.

    While `suspended` (a kill switch of the ministry) no call of the Product is admitted anywhere.
    """

    __tablename__ = "products"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name_fa: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str] = mapped_column(String(120))
    summary_fa: Mapped[str] = mapped_column(Text)
    summary_en: Mapped[str] = mapped_column(Text)
    upstream: Mapped[str] = mapped_column(String(255), default="")
    position: Mapped[int] = mapped_column(Integer, default=0)
    suspended: Mapped[bool] = mapped_column(Boolean, default=False)


class ProductScope(Base):
    """A SMART scope that a Product brings; `sensitive` ones need two reviewers; while `suspended` it opens nothing."""

    __tablename__ = "product_scopes"

    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(200), primary_key=True)
    meaning_fa: Mapped[str] = mapped_column(String(255))
    meaning_en: Mapped[str] = mapped_column(String(255))
    sensitive: Mapped[bool] = mapped_column(Boolean, default=False)
    suspended: Mapped[bool] = mapped_column(Boolean, default=False)


class Plan(Base):
    """Terms for a Product in one Environment: price, RateLimit (burst per second, sustained per minute) and Quota."""

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), index=True)
    environment: Mapped[str] = mapped_column(String(16))
    name_fa: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str] = mapped_column(String(120))
    price_rials: Mapped[int] = mapped_column(Integer, default=0)
    per_second: Mapped[int] = mapped_column(Integer)
    per_minute: Mapped[int] = mapped_column(Integer)
    quota: Mapped[int] = mapped_column(Integer)
    quota_period: Mapped[QuotaPeriod] = mapped_column(String(8), default=QuotaPeriod.MONTH)
    position: Mapped[int] = mapped_column(Integer, default=0)
