"""What an App may do at this moment: its standing, its scopes and the Terms of each Subscription, as the database says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from portal.apps.models import AccessStatus
from portal.companies.models import CompanyStatus
from portal.gateway import scopes
from portal.gateway.headers import policy_item
from portal.gateway.protection import BURST, CONCURRENT, SUSTAINED, Limits
from portal.products.models import QuotaPeriod

LIMITED_SHARE = 4
"""A `limited` App gets one n-th of its RateLimit, rounded up."""


def concurrency(per_second: int) -> int:
    """Calls in flight a Subscription may have: twice its burst, at least 8, so that it only bites on slow answers."""
    return max(8, 2 * per_second)


@dataclass(slots=True)
class Terms:
    """What governs an App's calls to one Product: the Plan with the Subscription's overrides applied."""

    subscription_id: str
    plan_id: str
    product_id: str
    masks: Mapping[str, int]
    product_scopes: frozenset[str]
    upstream: str
    per_second: int
    per_minute: int
    quota: int
    quota_period: QuotaPeriod
    suspended: bool = False
    """Whether the Product is cut for everybody."""
    shadow: Limits | None = None
    """A RateLimit on trial."""
    patience: tuple[int, int] = (30, 30)
    """Seconds the Product's service may take to begin to answer, and between two pieces."""
    key: str = ""
    limits: Limits = field(init=False)
    policy: str = field(init=False)
    """RateLimit-Policy items of the three protection policies, serialized once."""

    def __post_init__(self) -> None:
        self.limits = Limits(self.per_second, self.per_minute, concurrency(self.per_second))
        self.policy = ", ".join(
            (
                policy_item(BURST, self.per_second, window=1),
                policy_item(SUSTAINED, self.per_minute, window=60),
                policy_item(CONCURRENT, self.limits.concurrent, unit="concurrent-requests"),
            )
        )


@dataclass(slots=True)
class Access:
    """Standing of an App in one Environment. `epoch` rises with every change of it."""

    client_id: str
    environment: str
    app_id: str
    company_id: str
    tenant: str
    status: AccessStatus
    app_status: AccessStatus
    company_status: CompanyStatus
    reason: str
    epoch: int
    scopes: frozenset[str]
    masks: Mapping[str, int]
    terms: tuple[Terms, ...]
    cut: frozenset[str] = frozenset()
    """Scopes cut for everybody."""
    networks: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    recording_until: datetime | None = None
    read_at: int = 0
    _governing: dict[tuple[str, int], Terms | None] = field(default_factory=dict)
    _allowed: dict[tuple[tuple[str, ...], str, int], bool] = field(default_factory=dict)

    @property
    def limited(self) -> bool:
        """Whether only reads are admitted, at a lower rate."""
        return AccessStatus.LIMITED in (self.status, self.app_status)

    def governing(self, kind: str, needed: int) -> Terms | None:
        """Terms that count this call: of the first subscribed Product (catalogue order) whose scopes bring the right, else of the
        first that brings the type, else of the first Subscription; None without any.

        Whether the call is allowed is not decided here: that is what the App's own scopes are for, which may be wider than a Product's.
        """
        question = (kind, needed)
        if question not in self._governing:
            self._governing[question] = next(
                (
                    terms
                    for letters in (needed, scopes.ANY)
                    for terms in self.terms
                    if scopes.covers(terms.masks, kind, letters)
                ),
                self.terms[0] if self.terms else None,
            )
        return self._governing[question]

    def allows(self, token: tuple[str, ...], kind: str, needed: int) -> bool:
        """Whether a token with these scopes and the App itself both hold the right; remembered, for it is asked on every call."""
        question = (token, kind, needed)
        known = self._allowed.get(question)
        if known is None:
            known = scopes.covers(scopes.granted(token), kind, needed) and scopes.covers(self.masks, kind, needed)
            if len(self._allowed) > 1000:
                self._allowed.clear()
            self._allowed[question] = known
        return known

    def of_product(self, product_id: str) -> Terms | None:
        """Terms of the Subscription to that Product, or None."""
        return next((terms for terms in self.terms if terms.product_id == product_id), None)


class Directory(Protocol):
    """Where admission asks for the Access of a client id."""

    def at_hand(self, environment: str, client_id: str) -> Access | None:
        """The Access if it is in memory and no older than the directory promises, else None: then `find`."""
        ...

    async def find(self, environment: str, client_id: str) -> Access | None:
        """The Access no older than the directory promises, or None when there is no such client in that Environment."""
        ...

    async def origins(self, environment: str) -> frozenset[str]:
        """Origins of all redirect URIs registered in that Environment."""
        ...


class CachedDirectory:
    """Keeps what `read` (the portal's database) says for `max_age` nanoseconds.

    `invalidate` drops entries at once when the feed announces a change, which is how a suspension, a Plan change or a withdrawn scope
    acts within a second; `max_age` only bounds how late an unannounced edit (SQL typed by hand) acts.
    """

    def __init__(
        self,
        read: Callable[[str, str], Awaitable[Access | None]],
        ticks: Callable[[], int],
        *,
        read_origins: Callable[[str], Awaitable[frozenset[str]]],
        max_age: int = 5_000_000_000,
    ) -> None:
        self._read = read
        self._read_origins = read_origins
        self._origins: dict[str, tuple[int, frozenset[str]]] = {}
        self._ticks = ticks
        self._max_age = max_age
        self._known: dict[tuple[str, str], Access] = {}

    def at_hand(self, environment: str, client_id: str) -> Access | None:
        found = self._known.get((environment, client_id))
        return found if found is not None and self._ticks() - found.read_at < self._max_age else None

    async def find(self, environment: str, client_id: str) -> Access | None:
        key = (environment, client_id)
        known = self._known.get(key)
        now = self._ticks()
        if known is not None and now - known.read_at < self._max_age:
            return known
        try:
            access = await self._read(environment, client_id)
        except (SQLAlchemyError, OSError):
            if known is None or environment == "production":
                raise
            return known  # the sandbox stays open while the database does not answer
        if access is None:
            self._known.pop(key, None)
            return None
        access.read_at = now
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[key] = access
        return access

    async def origins(self, environment: str) -> frozenset[str]:
        now = self._ticks()
        read_at, known = self._origins.get(environment, (-self._max_age, frozenset()))
        if now - read_at >= self._max_age:
            known = await self._read_origins(environment)
            self._origins[environment] = (now, known)
        return known

    def invalidate(self, client_id: str = "") -> None:
        """Forget one client, or all of them when `client_id` is empty."""
        self._origins.clear()
        if not client_id:
            self._known.clear()
        for environment in ("sandbox", "production"):
            self._known.pop((environment, client_id), None)
