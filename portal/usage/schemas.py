"""Wire shapes of consumption."""

from __future__ import annotations

from datetime import date, datetime

import msgspec


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
