"""Operations of the notifications Product: `$status`, `$events`, `$signing-secret`, `$deliveries`.

http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows.codes import Resource
from sandbox.workflows.notifications import status_parameters
from sandbox.workflows.operations.declared import Context, Needs, Operation
from sandbox.workflows.operations.parameters import optional, several
from sandbox.workflows.records import ref
from sandbox.workflows.tx_records import ExchangeRecords

PRODUCT = "notifications"
_READS: Needs = (("Subscription", "r"),)
_PAGE: Final = 100
_STATES: Final = {0: "waiting", 1: "delivered", 2: "given-up"}


def _records(c: Context) -> ExchangeRecords:
    if not isinstance(c.records, ExchangeRecords):
        raise TypeError("notifications live in the exchange's own records")
    return c.records


async def _count(records: ExchangeRecords, subscription: Resource) -> int:
    rows = await records.tx.rows(
        "SELECT events FROM workflow_channel WHERE layer=?1 AND subscription=?2",
        (records.tenant.layer, subscription["id"]),
    )
    return int(rows[0][0]) if rows else 0


async def _status(c: Context) -> Resource:
    return await _statuses(c, [c.subject])


async def _status_of(c: Context) -> Resource:
    found = []
    for rid in c.args["id"]:
        one = await c.records.find_one("Subscription", rid)
        if one is not None:
            found.append(one)
    return await _statuses(c, found if c.args["id"] else await c.records.search("Subscription", status="active"))


async def _statuses(c: Context, subscriptions: list[Resource]) -> Resource:
    records = _records(c)
    entries = []
    for one in subscriptions:
        count = await _count(records, one)
        shown = status_parameters(c.base_url, one, kind="query-status", count=count)
        if "error" in one:
            shown["parameter"].append({"name": "error", "valueCodeableConcept": {"text": one["error"]}})
        entries.append({"resource": shown, "search": {"mode": "match"}})
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


async def _events(c: Context) -> Resource:
    """Past events again, from `eventsSinceNumber` to `eventsUntilNumber`, both included."""
    records = _records(c)
    since, until = c.args.get("eventsSinceNumber", 1), c.args.get("eventsUntilNumber", 2**53)
    if since < 1 or until < since:
        raise UnprocessableError(
            Text("eventsSinceNumber starts at 1 and lies below eventsUntilNumber.", "بازهٔ شمارهٔ رویدادها نادرست است."),
            expression=("eventsSinceNumber",),
        )
    rows = await records.tx.rows(
        "SELECT body FROM workflow_delivery WHERE layer=?1 AND subscription=?2 AND sequence BETWEEN ?3 AND ?4 "
        f"ORDER BY sequence LIMIT {_PAGE}",
        (records.tenant.layer, c.subject["id"], since, until),
    )
    head = status_parameters(c.base_url, c.subject, kind="query-event", count=await _count(records, c.subject))
    entries: list[dict[str, Any]] = [{"resource": head}]
    for row in rows:
        status, *others = orjson.loads(row[0])["entry"]
        head["parameter"] += [p for p in status["resource"]["parameter"] if p["name"] == "notification-event"]
        entries += others
    return {"resourceType": "Bundle", "type": "history", "entry": entries}


async def _secret(c: Context) -> Resource:
    records = _records(c)
    rows = await records.tx.rows(
        "SELECT secret FROM workflow_channel WHERE layer=?1 AND subscription=?2",
        (records.tenant.layer, c.subject["id"]),
    )
    if not rows:
        raise UnprocessableError(
            Text(f"{ref(c.subject)} has not been switched on yet.", f"«{ref(c.subject)}» هنوز روشن نشده است.")
        )
    return {"resourceType": "Parameters", "parameter": [{"name": "secret", "valueString": rows[0][0]}]}


async def _deliveries(c: Context) -> Resource:
    """What was sent, when, what the endpoint answered, and when it is tried again; newest first."""
    records = _records(c)
    rows = await records.tx.rows(
        "SELECT number, sequence, topic, state, log FROM workflow_delivery WHERE layer=?1 AND subscription=?2 "
        f"ORDER BY number DESC LIMIT {_PAGE}",
        (records.tenant.layer, c.subject["id"]),
    )
    return {"resourceType": "Parameters", "parameter": [_delivery(*row) for row in rows]}


def _delivery(number: int, sequence: int, topic: str, state: int, log: bytes) -> Resource:
    parts: list[Resource] = [
        {"name": "id", "valueString": f"msg_{number}"},
        {"name": "event-number", "valueString": str(sequence)},
        {"name": "event", "valueString": topic},
        {"name": "state", "valueCode": _STATES[state]},
    ]
    for attempt in orjson.loads(log):
        said = attempt.get("error") or f"HTTP {attempt['status']}"
        tried: list[Resource] = [
            {"name": "at", "valueInstant": attempt["at"]},
            {"name": "outcome", "valueString": said},
            {"name": "milliseconds", "valueInteger": attempt["milliseconds"]},
        ]
        parts.append({"name": "attempt", "part": tried})
    return {"name": "delivery", "part": parts}


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("status", "Subscription", "instance", PRODUCT, _READS, _status, reads=True, title="Where it stands"),
    Operation(
        "status",
        "Subscription",
        "type",
        PRODUCT,
        _READS,
        _status_of,
        (several("id"),),
        reads=True,
        title="Where several stand",
    ),
    Operation(
        "events",
        "Subscription",
        "instance",
        PRODUCT,
        _READS,
        _events,
        (optional("eventsSinceNumber", "integer"), optional("eventsUntilNumber", "integer")),
        reads=True,
        title="Past events again",
    ),
    Operation(
        "signing-secret",
        "Subscription",
        "instance",
        PRODUCT,
        (("Subscription", "u"),),
        _secret,
        reads=True,
        title="The secret that signs its deliveries",
    ),
    Operation("deliveries", "Subscription", "instance", PRODUCT, _READS, _deliveries, reads=True, title="Delivery log"),
)
