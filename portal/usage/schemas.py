"""Wire shapes of consumption."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from portal.usage.meters import QuotaUse, Sums


class QuotaInfo(msgspec.Struct):
    """A Subscription's Quota in the running window; `resets_at` is when it starts anew."""

    environment: str
    subscription: str
    product: str
    spent: int
    limit: int
    window: str
    resets_at: datetime


class DayInfo(msgspec.Struct):
    """Calls of one day in Asia/Tehran."""

    day: date
    admitted: int
    refused: int


class ProductInfo(msgspec.Struct):
    """Calls of one Product over the days looked at; `limited` (429) and `failed` (5xx) are parts of the others."""

    environment: str
    product: str
    admitted: int
    refused: int
    limited: int
    failed: int


class UsageInfo(msgspec.Struct):
    """An App's Quotas now and its calls of the last fourteen days. `days` is empty when there was no call."""

    quotas: list[QuotaInfo]
    days: list[DayInfo]
    products: list[ProductInfo]


class QuotaMeter(msgspec.Struct):
    """A Subscription's Quota in its running window. `state` is fine, near (from 80 %) or exhausted."""

    subscription: str
    product: str
    plan: str
    period: str
    window: str
    limit: int
    used: int
    remaining: int
    state: str
    resets_at: datetime
    per_second: int
    per_minute: int

    @classmethod
    def of(cls, use: QuotaUse) -> QuotaMeter:
        limits, standing = use.limits, use.standing
        return cls(
            standing.subscription.id,
            standing.product.id,
            standing.plan.id,
            limits.quota_period,
            use.window.name,
            limits.quota,
            use.used,
            use.remaining,
            use.state,
            use.window.end,
            limits.per_second,
            limits.per_minute,
        )


class SumsInfo(msgspec.Struct):
    """Calls of a time span: admitted and refused; `limited` (429) and `failed` (5xx) are parts of these."""

    admitted: int
    refused: int
    limited: int
    failed: int
    bytes_in: int
    bytes_out: int
    mean_ms: float

    @classmethod
    def of(cls, sums: Sums) -> SumsInfo:
        return cls(sums.admitted, sums.refused, sums.limited, sums.failed, sums.bytes_in, sums.bytes_out, sums.mean_ms)


class DaySums(msgspec.Struct):
    """One day of Tehran."""

    day: date
    sums: SumsInfo


class HourSums(msgspec.Struct):
    """One hour, named by its beginning in UTC."""

    hour: datetime
    sums: SumsInfo


class EnvironmentUsage(msgspec.Struct):
    """What an App used in one Environment. Counts are at most about a second behind."""

    client_id: str
    environment: str
    quotas: list[QuotaMeter]
    days: list[DaySums]
    hours: list[HourSums]
