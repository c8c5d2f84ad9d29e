"""Wire shapes of Subscriptions. Unknown fields are refused."""

from __future__ import annotations

from datetime import datetime

import msgspec

from portal.apps.schemas import PresenceInfo
from portal.subscriptions.queries import Standing


class NewSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """The Plan to put the App on; an App on another Plan of the same Product moves to this one."""

    plan: str


class OpenSandbox(msgspec.Struct, forbid_unknown_fields=True):
    """Products to subscribe to, each on its first sandbox Plan."""

    products: list[str]


class Limits(msgspec.Struct):
    """Limits in force: calls per second, per minute, and per `quota_period`."""

    per_second: int
    per_minute: int
    quota: int
    quota_period: str


class SubscriptionInfo(msgspec.Struct):
    """An App on a Plan, with the limits in force (the Plan's, or those an approval has set)."""

    id: str
    client_id: str
    environment: str
    product: str
    plan: str
    limits: Limits
    created_at: datetime

    @classmethod
    def of(cls, standing: Standing) -> SubscriptionInfo:
        row, plan = standing.subscription, standing.plan
        return cls(
            row.id,
            row.client_id,
            plan.environment,
            row.product_id,
            row.plan_id,
            limits_of(standing),
            row.created_at,
        )


def limits_of(standing: Standing) -> Limits:
    """Limits in force of a running Subscription."""
    row, plan = standing.subscription, standing.plan
    return Limits(
        plan.per_second if row.per_second is None else row.per_second,
        plan.per_minute if row.per_minute is None else row.per_minute,
        plan.quota if row.quota is None else row.quota,
        plan.quota_period,
    )


class SandboxOpened(msgspec.Struct):
    """Everything for the first call. `client_secret` is in this answer only, and empty when the App had a Credential already."""

    environment: PresenceInfo
    client_secret: str
    subscriptions: list[SubscriptionInfo]
