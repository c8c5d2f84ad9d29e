"""A gateway with every port faked, and a raw ASGI client that sends exactly the bytes it is given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from portal.apps.models import AccessStatus
from portal.companies.models import CompanyStatus
from portal.gateway import scopes
from portal.gateway.access import Access, Terms
from portal.gateway.admission import Admission
from portal.gateway.api import Gateway
from portal.gateway.credentials import Credentials
from portal.gateway.leases import Leases
from portal.gateway.metering import ListMeter
from portal.gateway.protection import MemoryRateLimiter
from portal.gateway.tokens import TokenRefused
from portal.gateway.upstream import AsgiApp, InProcessUpstream, Message, Receive, Scope, Send, Upstream
from portal.products.models import QuotaPeriod
from portal.usage.quota import MemoryQuotaStore

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FakeToken:
    environment: str
    client_id: str
    scopes: tuple[str, ...]
    tenant: str = "t1"
    epoch: int = 1


class FakeTokens:
    """Tokens are looked up by name; each is good in one Environment only."""

    def __init__(self) -> None:
        self.known: dict[str, FakeToken] = {}
        self.gone: set[object] = set()

    def cached(self, token: bytes, environment: str, timestamp: float) -> FakeToken | None:
        return None

    def revoked(self, token: object) -> bool:
        return token in self.gone

    async def verify(self, token: str, environment: str, now: datetime) -> FakeToken:
        found = self.known.get(token)
        if found is None or found.environment != environment:
            raise TokenRefused("the access token was issued for another audience")
        return found


class Ticks:
    """One pair of clocks that move together."""

    def __init__(self) -> None:
        self.elapsed = 1

    def __call__(self) -> int:
        return self.elapsed

    def now(self) -> datetime:
        return NOW + timedelta(microseconds=self.elapsed // 1000)

    def advance(self, seconds: float) -> None:
        self.elapsed += int(seconds * 1e9)


class StaticDirectory:
    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Access] = {}

    def at_hand(self, environment: str, client_id: str) -> Access | None:
        return None

    async def find(self, environment: str, client_id: str) -> Access | None:
        return self.known.get((environment, client_id))

    async def origins(self, environment: str) -> frozenset[str]:
        return frozenset({"https://app.test"})


def terms(**changes: Any) -> Terms:
    values: dict[str, Any] = {
        "subscription_id": "sub_1",
        "plan_id": "plan",
        "product_id": "health-record",
        "product_scopes": frozenset({"system/Patient.cruds", "system/Observation.rs"}),
        "upstream": "",
        "per_second": 5,
        "per_minute": 100,
        "quota": 1000,
        "quota_period": QuotaPeriod.MONTH,
        **changes,
    }
    values.setdefault("masks", scopes.granted(values["product_scopes"]))
    values.setdefault("key", f"sandbox:{values['subscription_id']}")
    return Terms(**values)


def access(*granted: Terms, **changes: Any) -> Access:
    values: dict[str, Any] = {
        "client_id": "app-1",
        "environment": "sandbox",
        "app_id": "app_1",
        "company_id": "co_1",
        "tenant": "t1",
        "status": AccessStatus.ACTIVE,
        "app_status": AccessStatus.ACTIVE,
        "company_status": CompanyStatus.VERIFIED,
        "reason": "",
        "epoch": 1,
        "scopes": frozenset({"system/Patient.cruds", "system/Observation.rs"}),
        "terms": granted or (terms(),),
        **changes,
    }
    values.setdefault("masks", scopes.granted(values["scopes"]))
    return Access(**values)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    messages: list[Message] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An upstream that tells what it was given, in two chunks."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    told = {
        "raw_path": scope["raw_path"].decode(),
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    text = orjson.dumps(told)
    headers = [(b"Content-Type", b"application/fhir+json"), (b"Connection", b"close"), (b"RateLimit", b"forged")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text[:10], "more_body": True})
    await send({"type": "http.response.body", "body": text[10:]})


class Rig:
    """The gateway and everything around it."""

    def __init__(self, app: AsgiApp = echo, **options: Any) -> None:
        self.clock = Ticks()
        self.tokens = FakeTokens()
        self.directory = StaticDirectory()
        self.store = MemoryQuotaStore()
        self.meter = ListMeter()
        self.stale = False
        self.peer = "192.0.2.7"
        self.partners: dict[str, Upstream] = {}
        self.limiter = MemoryRateLimiter(self.clock)
        self.leases = Leases(self.store, now=self.clock.now, ticks=self.clock)
        self.gateway = Gateway(
            admission=Admission(
                credentials=Credentials(self.tokens, trusted=("10.0.0.0/8",)),
                directory=self.directory,
                limiter=self.limiter,
                leases=self.leases,
                now=self.clock.now,
                stale=lambda: self.stale,
            ),
            exchanges={"sandbox": InProcessUpstream(app), "production": InProcessUpstream(app)},
            partner=lambda terms: self.partners.get(terms.upstream),
            origins=self.directory.origins,
            meter=self.meter,
            ticks=self.clock,
            instance="test",
            **options,
        )
        self.tokens.known["good"] = FakeToken("sandbox", "app-1", ("system/Patient.cruds", "system/Observation.rs"))
        self.directory.known["sandbox", "app-1"] = access()

    async def call(
        self,
        path: str | bytes,
        method: str = "GET",
        *,
        bearer: str | None = "good",
        headers: list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
        query: bytes = b"",
    ) -> Answer:
        sent = list(headers or [])
        if bearer is not None:
            sent.append((b"authorization", b"Bearer " + bearer.encode()))
        return await drive(self.gateway, method, path, sent, body, query, self.peer)


async def drive(
    app: AsgiApp,
    method: str,
    path: str | bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"",
    query: bytes = b"",
    peer: str = "192.0.2.7",
) -> Answer:
    """One request as a server would hand it over; `path` is raw."""
    raw = path.encode() if isinstance(path, str) else path
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw.decode("latin-1"),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": (peer, 4711),
        "server": ("testserver", 80),
    }
    pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)] or [b""]
    messages: list[Message] = []

    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        await asyncio.Event().wait()  # the client stays until it has its answer
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(m.get("body", b"") for m in messages[1:]),
        messages,
    )
