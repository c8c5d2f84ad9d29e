"""Sends what `notifications` wrote down: signed, with retries and backoff, never to an address inside the house.

Signatures follow Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature: v1,<base64 HMAC-SHA256 of id.timestamp.body>`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from sandbox.kernel.clock import instant
from sandbox.kernel.database import Transaction
from sandbox.storage import repository
from sandbox.storage.encoding import load
from sandbox.tenants import service as tenants
from sandbox.workflows.engine import Engine
from sandbox.workflows.notifications import BACKOFF, move
from sandbox.workflows.task_machine import Actor
from sandbox.workflows.tx_records import ExchangeRecords

log = logging.getLogger("gozar.workflows")
# Sends one body; the answer's status, or an `OSError`/`httpx.HTTPError`/`RefusedAddress`.
Sender = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
WAITING, DELIVERED, GIVEN_UP = 0, 1, 2
_SECOND: Final = 1_000_000
_CLAIM_SECONDS: Final = 60
_TIMEOUT: Final = 10.0
_WAITING: Final = (
    "SELECT number, tenant, layer, subscription, sequence, endpoint, body, attempts, due, log FROM workflow_delivery "
    "WHERE state=0 AND due<=?1 ORDER BY due, number LIMIT 20"
)


class RefusedAddress(Exception):
    """The endpoint's name leads to an address that no notification may go to."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row that is due."""

    number: int
    tenant: str
    layer: int
    subscription: str
    sequence: int
    endpoint: str
    body: bytes
    attempts: int
    due: int
    log: bytes


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a message; `secret` is `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class NetworkSender:
    """Posts over the network. Every address a name leads to is checked, and the one checked is the one connected to."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback

    async def __call__(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = await self._address(host, port)
        shown = f"[{address}]" if ":" in address else address
        url = parts._replace(netloc=f"{shown}:{port}", fragment="").geturl()
        named = dict(headers) | {"Host": parts.netloc.rpartition("@")[2]}
        async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
            request = client.build_request("POST", url, content=body, headers=named)
            request.extensions["sni_hostname"] = host
            response = await client.send(request, stream=True)
            await response.aclose()
            return response.status_code

    async def _address(self, host: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(item[4][0]) for item in found]
        for address in addresses:
            if not self._allowed(address):
                raise RefusedAddress(f"{host} leads to {address}, which is not a public address")
        return addresses[0]

    def _allowed(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = mapped or ip
        return (ip.is_global and not ip.is_multicast) or (self._allow_loopback and ip.is_loopback)


class Courier:
    """Delivers what is due; several workers may run one each."""

    def __init__(self, engine: Engine, sender: Sender) -> None:
        self._engine, self._sender = engine, sender
        self._database = engine.services.store.database

    async def deliver_due(self) -> int:
        """One round over what is due; how many were tried."""
        rows = await self._database.rows(_WAITING, (self._engine.services.now(),))
        tried = 0
        for row in rows:
            delivery = Delivery(*row)
            if await self._claim(delivery):
                tried += 1
                await self._attempt(delivery)
        return tried

    async def _claim(self, delivery: Delivery) -> bool:
        """Push the due time ahead, so that no other worker takes it meanwhile."""
        until = self._engine.services.now() + _CLAIM_SECONDS * _SECOND

        async def job(tx: Transaction) -> int:
            return await tx.run(
                "UPDATE workflow_delivery SET due=?3 WHERE number=?1 AND state=0 AND due=?2",
                (delivery.number, delivery.due, until),
            )

        return await self._database.write(job, lock=tenants.lock_of(delivery.tenant)) == 1

    async def _attempt(self, delivery: Delivery) -> None:
        secret, extra = await self._channel(delivery)
        if not secret:
            await self._close(delivery, GIVEN_UP, {"error": "the Subscription is gone"})
            return
        now = self._engine.services.now()
        message = f"msg_{delivery.number}"
        headers = extra | {
            "Content-Type": "application/fhir+json",
            "User-Agent": "gozar-notifications",
            "webhook-id": message,
            "webhook-timestamp": str(now // _SECOND),
            "webhook-signature": sign(secret, message, now // _SECOND, delivery.body),
        }
        started = time.perf_counter()
        entry: dict[str, Any] = {"at": instant(now)}
        try:
            entry["status"] = await self._sender(delivery.endpoint, headers, delivery.body)
        except (OSError, httpx.HTTPError, RefusedAddress, UnicodeError) as error:
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["milliseconds"] = round((time.perf_counter() - started) * 1000)
        await self._outcome(delivery, entry)

    async def _channel(self, delivery: Delivery) -> tuple[str, dict[str, str]]:
        """The signing secret and the Subscription's own headers; an empty secret when either is gone or off."""
        rows = await self._database.rows(
            "SELECT c.secret FROM workflow_channel c JOIN tenant t ON t.layer=c.layer "
            "WHERE c.layer=?1 AND c.subscription=?2 AND t.state=1",
            (delivery.layer, delivery.subscription),
        )
        if not rows:
            return "", {}
        tenant = await tenants.get(self._database, delivery.tenant)
        number = self._engine.services.store.dictionary.types["Subscription"]
        stored = await repository.read(self._database, tenant, number, delivery.subscription)
        found: Any = load(stored.body) if stored is not None and not stored.deleted else {"status": "off"}
        if found["status"] == "off":
            return "", {}
        lines = [str(line).partition(":") for line in found["channel"].get("header", ())]
        headers = {n.strip(): v.strip() for n, colon, v in lines if colon and n.strip().lower() not in _RESERVED}
        return str(rows[0][0]), headers

    async def _outcome(self, delivery: Delivery, entry: dict[str, Any]) -> None:
        status = entry.get("status", 0)
        if 200 <= status < 300:
            await self._close(delivery, DELIVERED, entry)
            if delivery.sequence == 0:
                await self._move(delivery, "shake-hands")
            return
        if status == 410 or delivery.attempts >= len(BACKOFF) or (delivery.sequence == 0 and delivery.attempts >= 2):
            await self._close(delivery, GIVEN_UP, entry)
            await self._move(delivery, "fail", str(entry.get("error") or f"the endpoint answered {status}"))
            return
        due = self._engine.services.now() + int(BACKOFF[delivery.attempts].total_seconds()) * _SECOND
        await self._close(delivery, WAITING, entry, due)

    async def _close(self, delivery: Delivery, state: int, entry: dict[str, Any], due: int = 0) -> None:
        entries = [*orjson.loads(delivery.log), entry]

        async def job(tx: Transaction) -> None:
            await tx.run(
                "UPDATE workflow_delivery SET state=?2, attempts=attempts+1, log=?3, due=?4 WHERE number=?1",
                (delivery.number, state, orjson.dumps(entries), due or delivery.due),
            )

        await self._database.write(job, lock=tenants.lock_of(delivery.tenant))

    async def _move(self, delivery: Delivery, verb: str, error: str = "") -> None:
        async def job(records: ExchangeRecords) -> None:
            found = await records.find_one("Subscription", delivery.subscription)
            if found is not None and records.tenant.layer == delivery.layer:
                await move(records, found, verb, error=error)

        await self._engine.run(delivery.tenant, job, actor=Actor.CLOCK)


_RESERVED: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent", "webhook-id",
     "webhook-timestamp", "webhook-signature"}
)  # fmt: skip
