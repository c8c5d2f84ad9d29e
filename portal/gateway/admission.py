"""May this call pass? Ordered checks: token, standing, Subscription, scope, RateLimit, Quota; the first that fails answers.

Nothing is charged before everything else has passed: a stranger, a wrong scope or a refused burst never costs Quota.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from portal.gateway import checks, verdicts
from portal.gateway.access import LIMITED_SHARE, Access, Directory, Terms
from portal.gateway.calls import Call, Witness
from portal.gateway.credentials import Credentials
from portal.gateway.fields import Fields
from portal.gateway.headers import Headers
from portal.gateway.interactions import PARTNER_READ, PARTNER_WRITE, Interaction
from portal.gateway.leases import Lease, Leases
from portal.gateway.protection import Limits, RateLimiter, Reading
from portal.gateway.verdicts import Refused
from portal.products.models import QuotaPeriod

OVER = {
    "burst": ("more calls per second than the RateLimit allows", "فراخوانی در ثانیه بیش از سقف نرخ درخواست است"),
    "sustained": ("more calls per minute than the RateLimit allows", "فراخوانی در دقیقه بیش از سقف نرخ درخواست است"),
    "concurrent": ("more calls in flight than the RateLimit allows", "فراخوانی هم‌زمان بیش از سقف نرخ درخواست است"),
}

PERIODS = {QuotaPeriod.DAY: "روز", QuotaPeriod.MONTH: "ماه"}


class Admission:
    """The checks, in order. `now` is the wall clock; `stale` tells whether revocations may be unknown here."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        directory: Directory,
        limiter: RateLimiter,
        leases: Leases,
        now: Callable[[], datetime],
        stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._credentials = credentials
        self._tokens = credentials.tokens
        self._directory = directory
        self._limiter = limiter
        self._leases = leases
        self._now = now
        self._stale = stale

    async def admit(
        self, call: Call, shown: Fields, interaction: Interaction, *, product: str, peer: str
    ) -> Refused | None:
        """Judge `call`; None when admitted. `product` names a partner Product, "" the exchange; `peer` is the connection's address."""
        if call.environment == "production" and self._stale():
            return verdicts.unavailable(
                "Revocations cannot be read at the moment; production stays closed until they can",
                "فهرست ابطال‌ها اکنون خواندنی نیست؛ تا آن زمان محیط عملیاتی بسته می‌ماند",
            )
        now = self._now()
        call.at_us = int(now.timestamp() * 1_000_000)
        claims = await self._credentials.claims(call, shown, now)
        if isinstance(claims, Refused):
            return claims
        access = self._directory.at_hand(call.environment, claims.client_id)
        if access is None:
            access = await self._directory.find(call.environment, claims.client_id)
        if access is None:
            return verdicts.unauthenticated(
                call.environment,
                "the App of this token no longer exists",
                "برنامهٔ این توکن دیگر وجود ندارد",
                error="invalid_token",
            )
        call.access, call.claims = access, claims
        if access.recording_until is not None and now < access.recording_until:
            call.witness = Witness(claims.jti, " ".join(claims.scopes))
        refused = self._credentials.place(access, peer, shown) or checks.standing(access, interaction)
        if refused is not None:
            return refused
        terms = access.of_product(product) if product else access.governing(interaction.kind, interaction.needed)
        if terms is not None:
            call.terms, call.product = terms, terms.product_id
        refused = checks.subscribed(terms, product)
        if refused is not None or terms is None:
            return refused
        if interaction is PARTNER_READ or interaction is PARTNER_WRITE:
            refused = checks.partner_right(call, claims, access, terms)
        else:
            refused = checks.fhir_right(call, claims, access, interaction)
        return refused or await self._charge(call, access, terms, now)

    async def still(self, call: Call) -> Refused | None:
        """Whether an admitted call that is still running would be refused by now, its standing and Subscription considered."""
        if call.access is None or call.claims is None:
            return None
        if self._tokens.revoked(call.claims):
            return verdicts.unauthenticated(
                call.environment, "the access token has been revoked", error="invalid_token"
            )
        access = await self._directory.find(call.environment, call.access.client_id)
        if access is None:
            return verdicts.unauthenticated(call.environment, "the App no longer exists", error="invalid_token")
        refused = checks.standing(access, PARTNER_READ)
        if refused is None and call.terms is not None:
            refused = checks.subscribed(access.of_product(call.terms.product_id), call.terms.product_id)
        return refused

    def release(self, call: Call) -> None:
        """The call has ended: free its place in flight."""
        if call.flying and call.terms is not None:
            call.flying = False
            self._limiter.release(call.terms.key)

    def forgive(self, call: Call) -> None:
        """The call was admitted but could not be carried out by a fault of ours: it does not count against the Quota."""
        if call.lease is not None:
            self._leases.give_back(call.lease)
            call.lease = None

    async def _charge(self, call: Call, access: Access, terms: Terms, now: datetime) -> Refused | None:
        limits, policy = terms.limits, terms.policy
        if access.limited:
            limits, policy = limited(terms)
        if terms.shadow is not None:
            await self._try_shadow(call, terms, terms.shadow)
        reading = await self._limiter.take(terms.key, limits, call.cost)
        if not reading.allowed:
            call.violated = reading.violated
            call.limits = fields(policy, reading, self._leases.peek(terms.subscription_id))
            return verdicts.over_limit(
                "There are " + " and ".join(OVER[name][0] for name in reading.violated),
                "؛ ".join(OVER[name][1] for name in reading.violated),
                violated=reading.violated,
                retry_after=reading.retry_after,
            )
        call.flying = True
        spent = self._leases.at_hand(terms.subscription_id, terms.quota, now)
        if spent is not None:
            passed, lease = True, spent
        else:
            try:
                passed, lease = await self._leases.take(
                    terms.subscription_id,
                    limit=terms.quota,
                    period=terms.quota_period,
                    lend=call.environment == "sandbox",
                )
            except OSError:
                call.flying = False
                self._limiter.refund(terms.key, limits, call.cost)
                raise
        call.limits = fields(policy, reading, lease)
        if passed:
            call.lease = lease
            return None
        call.flying = False
        self._limiter.refund(terms.key, limits, call.cost)
        call.violated = (lease.name,)
        wait = int((lease.window.end - self._now()).total_seconds()) + 1
        return verdicts.over_limit(
            f"The Quota of {terms.quota} calls a {terms.quota_period} is used up; it starts anew at "
            f"{lease.window.end.isoformat()}",
            f"سهمیهٔ {terms.quota} فراخوانی در {PERIODS[terms.quota_period]} تمام شده است و در "
            f"{lease.window.end.isoformat()} از نو آغاز می‌شود",
            violated=call.violated,
            retry_after=max(1, wait),
        )

    async def _try_shadow(self, call: Call, terms: Terms, shadow: Limits) -> None:
        key = f"shadow:{terms.key}"
        reading = await self._limiter.take(key, shadow, call.cost)
        if reading.allowed:
            self._limiter.release(key)
        else:
            call.shadowed = reading.violated


def limited(terms: Terms) -> tuple[Limits, str]:
    """The reduced RateLimit of an App under a `limited` status, and its policy items."""

    def share(units: int) -> int:
        return -(-units // LIMITED_SHARE)

    reduced = replace(terms, per_second=share(terms.per_second), per_minute=share(terms.per_minute))
    return reduced.limits, reduced.policy


@lru_cache(maxsize=4096)
def _policies(protection: str, quota: str) -> bytes:
    return f"{protection}, {quota}".encode()


def fields(policy: str, reading: Reading, lease: Lease | None) -> Headers:
    """RateLimit-Policy and RateLimit as they stand after this call."""
    limit = (
        f'"burst";r={reading.burst_left};t={reading.burst_reset}, '
        f'"sustained";r={reading.sustained_left};t={reading.sustained_reset}, "concurrent";r={reading.concurrent_left}'
    )
    if lease is None:
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]
    limit = f"{limit}, {lease.prefix}{lease.remaining}"
    return [(b"ratelimit-policy", _policies(policy, lease.policy)), (b"ratelimit", limit.encode())]
