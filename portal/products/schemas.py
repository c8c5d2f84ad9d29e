"""Wire shapes of the catalogue."""

from __future__ import annotations

import msgspec

from portal.products.models import Plan, Product, ProductScope


class ScopeInfo(msgspec.Struct):
    """A SMART scope and what it means."""

    scope: str
    meaning_fa: str
    meaning_en: str
    sensitive: bool

    @classmethod
    def of(cls, row: ProductScope) -> ScopeInfo:
        return cls(row.scope, row.meaning_fa, row.meaning_en, row.sensitive)


class PlanInfo(msgspec.Struct):
    """Terms in one Environment; limits in calls per second, per minute and per `quota_period`."""

    id: str
    environment: str
    name_fa: str
    name_en: str
    price_rials: int
    per_second: int
    per_minute: int
    quota: int
    quota_period: str

    @classmethod
    def of(cls, row: Plan) -> PlanInfo:
        return cls(
            row.id,
            row.environment,
            row.name_fa,
            row.name_en,
            row.price_rials,
            row.per_second,
            row.per_minute,
            row.quota,
            row.quota_period,
        )


class ProductSummary(msgspec.Struct):
    """A Product in the catalogue."""

    id: str
    name_fa: str
    name_en: str
    summary_fa: str
    summary_en: str
    suspended: bool

    @classmethod
    def of(cls, row: Product) -> ProductSummary:
        return cls(row.id, row.name_fa, row.name_en, row.summary_fa, row.summary_en, row.suspended)


class ProductInfo(msgspec.Struct):
    """A Product with its scopes and Plans."""

    product: ProductSummary
    scopes: list[ScopeInfo]
    plans: list[PlanInfo]
