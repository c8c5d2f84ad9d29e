"""May this call pass? Ordered checks: token, standing, Subscription, scope, RateLimit, Quota; the first that fails answers.

Nothing is charged before everything else has passed: a stranger, a wrong scope or a refused burst never costs Quota.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from portal.apps.models import AccessStatus
from portal.companies.models import CompanyStatus
from portal.gateway import scopes, verdicts
from portal.gateway.access import LIMITED_SHARE, Access, Directory, Terms
from portal.gateway.calls import Call, Witness
from portal.gateway.headers import Headers
from portal.gateway.interactions import PARTNER_READ, PARTNER_WRITE, Interaction
from portal.gateway.leases import Lease, Leases
from portal.gateway.protection import Limits, RateLimiter, Reading
from portal.gateway.tokens import Claims, TokenRefused, TokenVerifier
from portal.gateway.verdicts import Refused

MAX_TOKEN = 8192
OVER = {
    "burst": "more calls per second than the RateLimit allows",
    "sustained": "more calls per minute than the RateLimit allows",
    "concurrent": "more calls in flight than the RateLimit allows",
}


class Admission:
    """The checks, in order. `now` is the wall clock; `stale` tells whether revocations may be unknown here."""

    def __init__(
        self,
        *,
        tokens: TokenVerifier,
        directory: Directory,
        limiter: RateLimiter,
        leases: Leases,
        now: Callable[[], datetime],
        stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tokens = tokens
        self._directory = directory
        self._limiter = limiter
        self._leases = leases
        self._now = now
        self._stale = stale

    async def admit(
        self, call: Call, authorization: list[bytes], interaction: Interaction, *, product: str = ""
    ) -> Refused | None:
        """Judge `call`; None when admitted. `product` names a partner Product, "" the exchange."""
        if call.environment == "production" and self._stale():
            return verdicts.unavailable(
                "Revocations cannot be read at the moment; production stays closed until they can"
            )
        claims = await self._claims(call, authorization)
        if isinstance(claims, Refused):
            return claims
        access = await self._directory.find(call.environment, claims.client_id)
        if access is None:
            return verdicts.unauthenticated(
                call.environment, "the App of this token no longer exists", error="invalid_token"
            )
        call.access = access
        if access.recording_until is not None and self._now() < access.recording_until:
            call.witness = Witness(claims.jti, " ".join(claims.scopes))
        refused = standing(access, interaction)
        if refused is not None:
            return refused
        terms = access.of_product(product) if product else access.governing(interaction.kind, interaction.needed)
        if terms is not None:
            call.terms = terms
            call.product = terms.product_id
            if terms.suspended:
                return verdicts.forbidden(
                    "product-suspended", "The Product is suspended", f"No App may call {terms.product_id} at present"
                )
        refused = _scope(call, claims, access, terms, interaction)
        if refused is not None:
            return refused
        if terms is None:
            return _no_subscription(product, interaction)
        return await self._charge(call, access, terms)

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

    async def _claims(self, call: Call, authorization: list[bytes]) -> Claims | Refused:
        realm = call.environment
        if not authorization:
            return verdicts.unauthenticated(realm, "send the access token as Authorization: Bearer")
        if len(authorization) > 1:
            return verdicts.bad_request("There is more than one Authorization field")
        scheme, _, token = authorization[0].partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            return verdicts.unauthenticated(realm, "send the access token as Authorization: Bearer")
        if len(token) > MAX_TOKEN or not token.isascii():
            return verdicts.unauthenticated(realm, "the access token is malformed", error="invalid_token")
        text, now = token.decode("ascii"), self._now()
        try:
            return self._tokens.cached(text, realm, now.timestamp()) or await self._tokens.verify(text, realm, now)
        except TokenRefused as refused:
            detail = str(refused).replace('"', "'").replace("\\", "/")
            return verdicts.unauthenticated(realm, detail, error="invalid_token", expired="expired" in detail)

    async def _charge(self, call: Call, access: Access, terms: Terms) -> Refused | None:
        limits, policy = terms.limits, terms.policy
        if access.limited:
            limits, policy = limited(terms)
        reading = await self._limiter.take(terms.key, limits, call.cost)
        if not reading.allowed:
            call.violated = reading.violated
            call.limits = fields(policy, reading, self._leases.peek(terms.subscription_id))
            return verdicts.over_limit(
                "There are " + " and ".join(OVER[name] for name in reading.violated),
                violated=reading.violated,
                retry_after=reading.retry_after,
            )
        call.flying = True
        passed, lease = await self._leases.take(terms.subscription_id, limit=terms.quota, period=terms.quota_period)
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
            violated=call.violated,
            retry_after=max(1, wait),
        )


def standing(access: Access, interaction: Interaction) -> Refused | None:
    """Refuse what the standing of Company or App forbids."""
    if access.company_status == CompanyStatus.SUSPENDED:
        return verdicts.forbidden(
            "company-suspended", "The Company is suspended", "Calls of this Company's Apps are not admitted"
        )
    if AccessStatus.SUSPENDED in (access.app_status, access.status):
        return verdicts.forbidden(
            "app-suspended", "The App is suspended", access.reason or "Calls of this App are not admitted"
        )
    if access.limited and interaction.writes:
        return verdicts.forbidden(
            "app-limited", "The App is limited to reading", access.reason or "Only reads are admitted at present"
        )
    return None


def limited(terms: Terms) -> tuple[Limits, str]:
    """The reduced RateLimit of an App under a `limited` status, and its policy items."""

    def share(units: int) -> int:
        return -(-units // LIMITED_SHARE)

    reduced = replace(terms, per_second=share(terms.per_second), per_minute=share(terms.per_minute))
    return reduced.limits, reduced.policy


def fields(policy: str, reading: Reading, lease: Lease | None) -> Headers:
    """RateLimit-Policy and RateLimit as they stand after this call."""
    limit = (
        f'"burst";r={reading.burst_left};t={reading.burst_reset}, '
        f'"sustained";r={reading.sustained_left};t={reading.sustained_reset}, "concurrent";r={reading.concurrent_left}'
    )
    if lease is not None:
        policy = f"{policy}, {lease.policy}"
        limit = f"{limit}, {lease.prefix}{lease.remaining}"
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]


def _no_subscription(product: str, interaction: Interaction) -> Refused:
    what = f"the Product {product}" if product else f"a Product that brings {interaction.kind or 'this'}"
    return verdicts.forbidden(
        "no-subscription", "There is no Subscription for this", f"The App has no Subscription to {what}"
    )


def _scope(call: Call, claims: Claims, access: Access, terms: Terms | None, interaction: Interaction) -> Refused | None:
    """The token must hold the right, and the App must still be granted it: a scope withdrawn after issue acts at once."""
    if interaction in (PARTNER_READ, PARTNER_WRITE):
        if terms is None:
            return None
        wanted = terms.product_scopes
        if not wanted and access.cut:
            return _scope_suspended()
        if not wanted or (wanted.intersection(claims.scopes) and wanted.intersection(access.scopes)):
            return None
        needed = " ".join(sorted(wanted))
    else:
        kind, letters = interaction.kind, interaction.needed
        token = claims.scopes if not access.cut else tuple(one for one in claims.scopes if one not in access.cut)
        held = (scopes.granted(token), access.masks, *((terms.masks,) if terms else ()))
        if all(scopes.covers(masks, kind, letters) for masks in held):
            return None
        if access.cut and scopes.covers(scopes.granted(access.cut), kind, letters):
            return verdicts.forbidden(
                "scope-suspended", "The scope is suspended", "No App may use this scope at present"
            )
        needed = scopes.spelled(kind, letters)
    return verdicts.insufficient_scope(call.environment, needed, f"this call needs a scope such as {needed}")


def _scope_suspended() -> Refused:
    return verdicts.forbidden("scope-suspended", "The scope is suspended", "No App may use this scope at present")
