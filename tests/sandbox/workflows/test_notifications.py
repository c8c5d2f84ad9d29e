"""Subscriptions: handshake, signed deliveries, filters, retries with backoff, the log, and where they may not go."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from sandbox.workflows.delivering import Courier, NetworkSender, RefusedAddress
from tests.factories.exchange import World, tenant_of
from tests.sandbox.workflows.calls import PATIENT, do, free_slots, get, text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOPIC = "https://gozar.example/fhir/SubscriptionTopic/appointment"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


class Hook:
    """An endpoint that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[Mapping[str, str], dict[str, Any]]] = []

    async def __call__(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> int:
        status = self.answers.pop(0) if self.answers else 200
        self.got.append((headers, orjson.loads(body) | {"raw": body}))
        return status

    def kinds(self) -> list[str]:
        return [_value(bundle, "type") for _, bundle in self.got]


def _value(bundle: dict[str, Any], name: str) -> Any:
    status = bundle["entry"][0]["resource"]["parameter"]
    found = next(p for p in status if p["name"] == name)
    return next(v for k, v in found.items() if k.startswith("value"))


def subscription(content: str = "id-only", *filters: str, **channel: Any) -> dict[str, Any]:
    narrowed = [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": f} for f in filters]
    return ({"_criteria": {"extension": narrowed}} if narrowed else {}) | {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": TOPIC,
        "channel": {
            "type": "rest-hook",
            "endpoint": "https://app.example.org/hook",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": content}]},
            "header": ["X-App: mine"],
        }
        | channel,
    }


@pytest.fixture
async def hook(clinic: World) -> Hook:
    return Hook()


async def deliver(clinic: World, hook: Hook) -> int:
    assert clinic.app.workflows is not None
    return await Courier(clinic.app.workflows.engine, hook).deliver_due()


async def subscribe(clinic: World, app: httpx.AsyncClient, hook: Hook, body: dict[str, Any]) -> str:
    made = await app.post("Subscription", json=body)
    assert made.status_code == 201, made.text
    await deliver(clinic, hook)
    return f"Subscription/{made.json()['id']}"


async def test_after_the_handshake_every_event_arrives_signed_and_numbered(clinic: World, hook: Hook) -> None:
    async with clinic.client() as app:
        path = await subscribe(clinic, app, hook, subscription("full-resource"))
        assert (await get(app, path))["status"] == "active" and hook.kinds() == ["handshake"]
        slot = (await free_slots(app))[0]
        booked = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        assert await deliver(clinic, hook) == 3
        events = [bundle for _, bundle in hook.got[1:]]
        assert [_value(b, "events-since-subscription-start") for b in events] == ["1", "2", "3"]
        assert events[-1]["entry"][1]["resource"] == booked
        secret = (await get(app, f"{path}/$signing-secret"))["parameter"][0]["valueString"]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        for headers, bundle in hook.got:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + bundle["raw"]
            expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{expected}" and headers["X-App"] == "mine"
        status = await get(app, f"{path}/$status")
        assert _value(status, "events-since-subscription-start") == "3" and _value(status, "type") == "query-status"
        again = await get(app, f"{path}/$events?eventsSinceNumber=2&eventsUntilNumber=3")
        numbered = [p for p in again["entry"][0]["resource"]["parameter"] if p["name"] == "notification-event"]
        assert [n["part"][0]["valueString"] for n in numbered] == ["2", "3"] and len(again["entry"]) == 3


async def test_filters_and_content_bound_what_is_told(clinic: World, hook: Hook) -> None:
    async with clinic.client() as app:
        await subscribe(
            clinic, app, hook, subscription("empty", "Appointment?patient=Patient/persona-elderly&status=booked")
        )
        slots = await free_slots(app)
        await do(app, "Appointment/$book", slot=slots[0], patient=PATIENT)
        await do(app, "Appointment/$book", slot=slots[1], patient="Patient/persona-elderly")
        assert await deliver(clinic, hook) == 1, "one patient, and only once booked"
        for _, bundle in hook.got[1:]:
            assert len(bundle["entry"]) == 1 and "focus" not in str(bundle["entry"])


async def test_a_refused_call_announces_nothing(clinic: World, hook: Hook) -> None:
    async with clinic.client() as app:
        await subscribe(clinic, app, hook, subscription())
        slot = (await free_slots(app))[0]
        await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        await deliver(clinic, hook)
        told = len(hook.got)
        await do(app, "Appointment/$book", 409, slot=slot, patient=PATIENT)
        assert await deliver(clinic, hook) == 0 and len(hook.got) == told


async def test_a_failing_endpoint_is_tried_again_later_and_the_log_shows_it(clinic: World, hook: Hook) -> None:
    async with clinic.client() as app:
        path = await subscribe(clinic, app, hook, subscription())
        slot = (await free_slots(app))[0]
        await do(app, f"{slot}/$hold", patient=PATIENT)
        hook.answers = [500, 503, 200]
        assert await deliver(clinic, hook) == 1 and await deliver(clinic, hook) == 0, "not before the backoff is over"
        clinic.clock.advance(timedelta(seconds=6))
        assert await deliver(clinic, hook) == 1
        clinic.clock.advance(timedelta(seconds=31))
        assert await deliver(clinic, hook) == 1
        log = (await get(app, f"{path}/$deliveries"))["parameter"][0]["part"]
        outcomes = [
            p["valueString"] for a in log if a["name"] == "attempt" for p in a["part"] if p["name"] == "outcome"
        ]
        assert outcomes == ["HTTP 500", "HTTP 503", "HTTP 200"]
        ids = {headers["webhook-id"] for headers, _ in hook.got[1:]}
        assert len(ids) == 1, "every attempt carries the same id, so that the receiver can tell a repeat"
        async with clinic.admin() as admin:
            shown = (await admin.get(f"tenants/{tenant_of(app)}/deliveries")).json()["deliveries"]
        assert [d["state"] for d in shown] == ["delivered", "delivered"]


async def test_an_endpoint_that_says_gone_switches_its_subscription_to_error(clinic: World, hook: Hook) -> None:
    async with clinic.client() as app:
        path = await subscribe(clinic, app, hook, subscription())
        hook.answers = [410]
        await do(app, f"{(await free_slots(app))[0]}/$hold", patient=PATIENT)
        await deliver(clinic, hook)
        broken = await get(app, path)
        assert broken["status"] == "error" and "410" in broken["error"]
        assert (await app.put(path, json=broken | {"status": "requested"})).status_code == 200
        await deliver(clinic, hook)
        assert (await get(app, path))["status"] == "active"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"criteria": "Observation?code=1"}, "criteria must be one of the topics"),
        ({"channel": {"type": "websocket", "endpoint": "https://x.example"}}, "Only rest-hook"),
        ({"channel": {"type": "rest-hook", "endpoint": "ftp://x.example"}}, "http(s) URL"),
        ({"channel": {"type": "rest-hook", "endpoint": "https://u:p@x.example"}}, "without credentials"),
        ({"_criteria": {"extension": [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": "nonsense"}]}}, "Type?parameter"),
    ],
)  # fmt: skip
async def test_a_subscription_that_cannot_be_served_is_refused_at_once(
    clinic: World, change: dict[str, Any], words: str
) -> None:
    async with clinic.client() as app:
        refused = await app.post("Subscription", json=subscription() | change)
        assert refused.status_code == 422 and words in text_of(refused.json())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://[::1]:1/x", "http://10.0.0.1/x", "http://169.254.169.254/x", "http://[::ffff:127.0.0.1]:1/"]
)  # fmt: skip
async def test_no_notification_goes_to_an_address_inside_the_house(url: str) -> None:
    with pytest.raises(RefusedAddress):
        await NetworkSender(allow_loopback=False)(url, {}, b"{}")


async def test_loopback_is_open_where_the_setting_opens_it_and_nothing_else_is() -> None:
    with pytest.raises(httpx.HTTPError):  # nobody listens there, but the address itself is let through
        await NetworkSender(allow_loopback=True)("http://127.0.0.1:1/x", {}, b"{}")
    with pytest.raises(RefusedAddress):
        await NetworkSender(allow_loopback=True)("http://192.168.1.1/x", {}, b"{}")
