"""Notifications: R5-style topic Subscriptions on R4 (Subscriptions Backport), delivered by rest-hook.

A Subscription names one topic in `criteria`; every event of the topic becomes a delivery, written in the transaction of the
event itself, so that none is lost and none is announced that did not happen.
http://hl7.org/fhir/uv/subscriptions-backport/
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from sandbox.exchange.services import Services
from sandbox.fhir.definitions import RESOURCE_TYPES
from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import NATIONAL, Resource
from sandbox.workflows.records import Event, Records, copy, parse_instant, ref, stamp
from sandbox.workflows.task_machine import ANYONE, CLOCK_ONLY, Machine, arrow, states
from sandbox.workflows.tx_records import ExchangeRecords

_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
FILTER: Final = f"{_BACKPORT}/backport-filter-criteria"
CONTENT: Final = f"{_BACKPORT}/backport-payload-content"
STATUS_PROFILE: Final = f"{_BACKPORT}/backport-subscription-status-r4"
TOPIC: Final = f"{NATIONAL}/SubscriptionTopic/"
TOPICS: Final[dict[str, str]] = {
    "appointment": "Appointment held, requested, booked, cancelled, offered, reminded",
    "teleconsultation": "Teleconsultation requested, accepted, declined, started, message, finished",
    "prescription": "Prescription drafted, signed, issued, reserved, dispensed in part or whole, cancelled, expired",
    "dispense": "Dispense returned",
    "laboratory": "Order collected, preliminary, resulted, cancelled; critical value",
    "report": "DiagnosticReport written by REST",
    "referral": "Referral requested, accepted, rejected, answered",
    "consent": "Consent requested, active, rejected, inactive; glass broken",
    "claim": "Claim submitted, adjudicated",
}
MACHINE: Final = Machine(
    name="notifications",
    subject="Subscription",
    initial=frozenset({"requested", "off"}),
    states=states(("requested", "درخواست‌شده"), ("active", "فعال"), ("error", "خطا"), ("off", "خاموش")),
    transitions=(
        arrow("shake-hands", "requested error", "active", who=CLOCK_ONLY, effect="the endpoint answered the handshake"),
        arrow("fail", "requested active", "error", who=CLOCK_ONLY, effect="the endpoint kept failing"),
        arrow("retry", "error off active", "requested", effect="a new handshake is sent"),
        arrow("switch-off", "requested active error", "off", who=ANYONE),
    ),
)
_DELIVER: Final = (
    "INSERT INTO workflow_delivery "
    "(number, tenant, layer, subscription, sequence, topic, endpoint, body, state, attempts, at, due, log) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, ?9, ?10, ?11)"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a Subscription asks for."""

    topic: str
    filters: tuple[str, ...]
    content: str
    endpoint: str


def wish_of(subscription: Resource) -> Wish:
    """The reading of a Subscription. Raises `UnprocessableError` naming the element that cannot be served."""
    channel = subscription.get("channel", {})
    topic = str(subscription.get("criteria", "")).removeprefix(TOPIC)
    if topic not in TOPICS:
        names = ", ".join(f"{TOPIC}{name}" for name in TOPICS)
        raise _bad(
            "criteria", f"criteria must be one of the topics: {names}.", f"criteria باید یکی از موضوع‌ها باشد: {names}."
        )
    if channel.get("type") != "rest-hook":
        raise _bad("channel.type", "Only rest-hook channels are served.", "تنها کانال rest-hook پشتیبانی می‌شود.")
    endpoint = str(channel.get("endpoint", ""))
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or len(endpoint) > 2000:
        raise _bad(
            "channel.endpoint",
            "endpoint must be an http(s) URL without credentials.",
            "endpoint باید نشانی http(s) باشد.",
        )
    content = _extended(channel.get("_payload"), CONTENT) or "id-only"
    if content not in {"empty", "id-only", "full-resource"}:
        raise _bad(
            "channel.payload", "payload content is empty, id-only or full-resource.", "محتوای payload نامعتبر است."
        )
    filters = tuple(
        str(item.get("valueString", ""))
        for item in (subscription.get("_criteria") or {}).get("extension", ())
        if item.get("url") == FILTER
    )
    return Wish(topic, filters, content, endpoint)


def _extended(element: Any, url: str) -> str:
    for item in (element or {}).get("extension", ()):
        if item.get("url") == url:
            return str(item.get("valueCode", ""))
    return ""


def _bad(element: str, en: str, fa: str) -> UnprocessableError:
    return UnprocessableError(Text(en, fa), code="value", expression=(f"Subscription.{element}",))


async def _check_filters(records: Records, wish: Wish) -> None:
    """A filter is a search of one type; one that cannot be understood is refused now, not when an event comes."""
    assert isinstance(records, ExchangeRecords)  # noqa: S101  only the exchange's own watch calls this
    for text in wish.filters:
        kind, mark, query = text.partition("?")
        if not mark or kind not in RESOURCE_TYPES:
            raise _bad(
                "criteria",
                f"The filter '{text}' must be Type?parameter=value.",
                f"پالایهٔ «{text}» باید به شکل Type?parameter=value باشد.",
            )
        await records.matches(kind, "-", query)


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain write of a Subscription; `active` is the server's to set, so it is read as `requested`."""
    await _check_filters(records, wish_of(new))
    if new.get("status") == "active" and (before is None or before.get("status") != "active"):
        new["status"] = "requested"
    if before is None:
        MACHINE.start(str(new.get("status", "")))
        return
    changed = before.get("channel") != new.get("channel") or before.get("criteria") != new.get("criteria")
    if changed and new["status"] == "active":
        new["status"] = "requested"
    MACHINE.follow(before["status"], new["status"], who=records.actor, now=records.now, subject=ref(before))


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a Subscription: a requested one gets its handshake."""
    assert isinstance(records, ExchangeRecords)  # noqa: S101  only the exchange's own watch calls this
    if saved["status"] != "requested":
        return
    layer = records.tenant.layer
    if not await records.tx.rows(
        "SELECT 1 FROM workflow_channel WHERE layer=?1 AND subscription=?2", (layer, saved["id"])
    ):
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        await records.tx.run(
            "INSERT INTO workflow_channel (layer, subscription, secret) VALUES (?1, ?2, ?3)",
            (layer, saved["id"], secret),
        )
    wish = wish_of(saved)
    body = bundle(records.base_url, saved, wish, kind="handshake", count=0)
    await _enqueue(records, saved["id"], wish, 0, "handshake", body)


async def announce(records: ExchangeRecords, event: Event, services: Services) -> None:
    """Write one delivery for every active Subscription that wants this event."""
    layer = records.tenant.layer
    topic = event.topic.partition("-")[0]
    rows = await records.tx.rows("SELECT subscription, events FROM workflow_channel WHERE layer=?1", (layer,))
    for subscription_id, events in rows:
        found = await records.find_one("Subscription", subscription_id)
        if found is None or found.get("status") != "active" or not await _wants(records, found, event, topic):
            continue
        wish, number = wish_of(found), int(events) + 1
        await records.tx.run(
            "UPDATE workflow_channel SET events=?3 WHERE layer=?1 AND subscription=?2", (layer, subscription_id, number)
        )
        content = wish.content
        if content == "full-resource" and services.environment == "production":
            content = "id-only"  # a token with its scopes and consents fetches the resource; a URL has none
        focus = await records.find_one(event.kind, event.rid) if content == "full-resource" else None
        body = bundle(records.base_url, found, wish, kind="event-notification", count=number, event=event, focus=focus)
        await _enqueue(records, subscription_id, wish, number, event.topic, body)


async def _wants(records: ExchangeRecords, subscription: Resource, event: Event, topic: str) -> bool:
    wish = wish_of(subscription)
    if wish.topic != topic:
        return False
    if "end" in subscription and parse_instant(subscription["end"]) <= records.now:
        return False
    for text in wish.filters:
        kind, _, query = text.partition("?")
        if kind != event.kind or not await records.matches(kind, event.rid, query):
            return False
    return True


async def _enqueue(
    records: ExchangeRecords, subscription: str, wish: Wish, sequence: int, topic: str, body: bytes
) -> None:
    number = await records.tx.take_numbers(1)
    real = records.stamp - records.tenant.clock_offset
    row = (number, records.tenant.tenant, records.tenant.layer, subscription, sequence, topic, wish.endpoint, body)
    await records.tx.run(_DELIVER, (*row, records.stamp, real, b"[]"))


def bundle(
    base_url: str,
    subscription: Resource,
    wish: Wish,
    *,
    kind: str,
    count: int,
    event: Event | None = None,
    focus: Resource | None = None,
) -> bytes:
    """A notification Bundle: SubscriptionStatus (as R4 Parameters) first, then what the content level allows."""
    url = f"{base_url}/{event.subject}" if event is not None else ""
    shown = event is not None and wish.content != "empty"
    status = status_parameters(base_url, subscription, kind=kind, count=count)
    if event is not None:
        parts: list[Resource] = [
            {"name": "event-number", "valueString": str(count)},
            {"name": "timestamp", "valueInstant": stamp(event.at)},
        ]
        if shown:
            parts += [
                {"name": "focus", "valueReference": {"reference": url}},
                {"name": "event", "valueString": event.topic},
            ]
        status["parameter"].append({"name": "notification-event", "part": parts})
    head = {
        "resource": status,
        "request": {"method": "GET", "url": f"{base_url}/Subscription/{subscription['id']}/$status"},
        "response": {"status": "200"},
    }
    entries: list[Resource] = [head]
    if shown:
        entry: Resource = {"fullUrl": url, "request": {"method": "GET", "url": url}, "response": {"status": "200"}}
        entries.append(entry | ({"resource": focus} if focus is not None else {}))
    return orjson.dumps({"resourceType": "Bundle", "type": "history", "entry": entries})


def status_parameters(base_url: str, subscription: Resource, *, kind: str, count: int) -> Resource:
    """SubscriptionStatus in R4's clothes."""
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": [
            {
                "name": "subscription",
                "valueReference": {"reference": f"{base_url}/Subscription/{subscription['id']}"},
            },
            {"name": "topic", "valueCanonical": subscription["criteria"]},
            {"name": "status", "valueCode": subscription["status"]},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(count)},
        ],
    }


async def move(records: Records, subscription: Resource, verb: str, *, error: str = "") -> Resource:
    """The server's own steps: `shake-hands` and `fail`."""
    body = copy(subscription)
    if verb not in MACHINE.allowed(body["status"]):
        return body
    body["status"] = MACHINE.fire(verb, body["status"], who=records.actor, now=records.now, subject=ref(body))
    body.pop("error", None)
    return await records.save(body | ({"error": error} if error else {}))


BACKOFF: Final = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 7200, 18000))
"""Waits before the second, third, ... attempt; after the last one the delivery is given up."""
