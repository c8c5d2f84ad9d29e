"""Tenant controls on the control plane: clock, faults, Counterpart scripts, timeline, deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import orjson

from sandbox.counterparts import reacting
from sandbox.counterparts.scripts import BadScriptError
from sandbox.exchange.control import Order, Problem, Routes
from sandbox.kernel.clock import instant, micros
from sandbox.kernel.database import Transaction
from sandbox.kernel.http import Response
from sandbox.tenants import service as tenants
from sandbox.workflows import controls, fault_plans, faults
from sandbox.workflows.fault_plans import BadFaultError
from sandbox.workflows.notifications import TOPIC, TOPICS
from sandbox.workflows.wiring import Workflows

MAX_ADVANCE: Final = 5 * 366 * 86_400
_PAGE: Final = 200
_STATES: Final = {0: "waiting", 1: "delivered", 2: "given up"}


def routes(workflows: Workflows) -> Routes:
    """What the control plane answers besides the exchange's own Tenant verbs."""
    engine = workflows.engine

    async def clock(order: Order) -> Response:
        found = await tenants.get(order.services.store.database, order.tenant)
        ahead = round(found.clock_offset / 1_000_000)
        return _answer({"now": instant(order.now + found.clock_offset), "offset_seconds": ahead})

    async def advance(order: Order) -> Response:
        """`{"advance_seconds": n}` or `{"to": instant}`: run what falls due on the way. `{"offset_seconds": 0}` sets it back."""
        found = await tenants.get(order.services.store.database, order.tenant)
        by = _step(order, order.now + found.clock_offset)
        if by is None:
            return await _set_offset(order)
        return _answer(await engine.advance(order.tenant, by * 1_000_000))

    async def get_faults(order: Order) -> Response:
        await tenants.get(order.services.store.database, order.tenant)
        plans = await controls.faults_of(order.services.store.database, order.tenant)
        return _answer({"faults": plans, "kinds": list(fault_plans.KINDS)})

    async def set_faults(order: Order) -> Response:
        """`{"faults": [...]}` replaces all plans; an empty list ends them."""
        try:
            plans = fault_plans.checked(order.body.get("faults"))
        except BadFaultError as error:
            raise Problem(
                422, "invalid-fault", "The fault plan cannot be followed", str(error), field=error.field
            ) from error
        await faults.set_faults(engine, order.tenant, plans)
        workflows.faults.forget(order.tenant)
        return _answer({"faults": [plan.as_json() for plan in plans]})

    async def get_scripts(order: Order) -> Response:
        await tenants.get(order.services.store.database, order.tenant)
        own = await controls.scripts_of(order.services.store.database, order.tenant)
        defaults = {name: script.as_json() for name, script in reacting.DEFAULTS.items()}
        return _answer({"counterparts": defaults | own})

    async def set_scripts(order: Order) -> Response:
        """`{"counterparts": {"clinic": {"mode": "decline"}}}`: those named change, the others stay."""
        try:
            scripts = reacting.checked(order.body.get("counterparts"))
        except BadScriptError as error:
            raise Problem(
                422, "invalid-script", "The script cannot be played", str(error), field=error.field
            ) from error

        async def job(tx: Transaction) -> None:
            await tenants.get(tx, order.tenant)
            kept = await controls.scripts_of(tx, order.tenant)
            await controls.save(tx, order.tenant, scripts=kept | scripts)

        await order.write(job)
        return await get_scripts(order)

    return {
        ("GET", ("tenants", "*", "clock")): clock,
        ("POST", ("tenants", "*", "clock")): advance,
        ("GET", ("tenants", "*", "faults")): get_faults,
        ("PUT", ("tenants", "*", "faults")): set_faults,
        ("POST", ("tenants", "*", "faults")): set_faults,
        ("GET", ("tenants", "*", "counterparts")): get_scripts,
        ("PUT", ("tenants", "*", "counterparts")): set_scripts,
        ("POST", ("tenants", "*", "counterparts")): set_scripts,
        ("GET", ("tenants", "*", "timeline")): timeline,
        ("GET", ("tenants", "*", "timeline", "*")): timeline,
        ("GET", ("tenants", "*", "deliveries")): deliveries,
    }


def _answer(value: Any) -> Response:
    return Response(200, orjson.dumps(value), [(b"content-type", b"application/json")])


def _step(order: Order, now: int) -> int | None:
    """Seconds to move forward; None when the body sets an offset instead."""
    if "offset_seconds" in order.body:
        return None
    if "to" in order.body:
        return _until(order, now)
    by = order.body.get("advance_seconds")
    if not isinstance(by, int) or isinstance(by, bool) or not 0 <= by <= MAX_ADVANCE:
        raise Problem(
            422,
            "invalid-field",
            f"'advance_seconds' must be a whole number, 0 to {MAX_ADVANCE}",
            field="advance_seconds",
        )
    return by


def _until(order: Order, now: int) -> int:
    try:
        target = datetime.fromisoformat(order.text("to"))
        by = (micros(target) - now) // 1_000_000
    except (ValueError, TypeError) as error:
        raise Problem(422, "invalid-field", "'to' must be an instant with a zone", field="to") from error
    if not 0 <= by <= MAX_ADVANCE:
        raise Problem(422, "invalid-field", "'to' must lie ahead of the Tenant's clock, at most five years", field="to")
    return by


async def _set_offset(order: Order) -> Response:
    offset = order.body["offset_seconds"]
    if not isinstance(offset, int) or isinstance(offset, bool) or abs(offset) > MAX_ADVANCE:
        raise Problem(
            422,
            "invalid-field",
            f"'offset_seconds' must be a whole number, at most {MAX_ADVANCE}",
            field="offset_seconds",
        )

    async def job(tx: Transaction) -> None:
        await tenants.set_clock(tx, tenant=order.tenant, offset=offset * 1_000_000)

    await order.write(job)
    return _answer({"now": instant(order.now + offset * 1_000_000), "offset_seconds": offset})


async def timeline(order: Order) -> Response:
    """The newest events, newest first. `topic` (or its beginning), `actor` and `subject` (`Type` or `Type/id`) narrow it.

    `/timeline/{number}` or `?before=number` goes on below that event.
    """
    database = order.services.store.database
    found = await tenants.get(database, order.tenant)
    asked = order.query
    topic, actor, subject = asked.get("topic", ""), asked.get("actor", ""), asked.get("subject", "")
    kind, _, rid = subject.partition("/")
    rows = await database.rows(
        "SELECT number, at, topic, kind, rid, actor, data FROM workflow_event WHERE layer=?1 AND number<?2 "
        "AND (?4='' OR topic=?4 OR topic LIKE ?5) AND (?6='' OR actor=?6) AND (?7='' OR kind=?7) AND (?8='' OR rid=?8) "
        "ORDER BY number DESC LIMIT ?3",
        (found.layer, _below(order), _PAGE, topic, _beginning(topic), actor, kind, rid),
    )
    events = [
        {
            "number": number,
            "at": instant(at),
            "topic": topic,
            "subject": f"{kind}/{rid}",
            "actor": actor,
            "data": orjson.loads(data),
        }
        for number, at, topic, kind, rid, actor, data in rows
    ]
    return _answer({"events": events, "next": events[-1]["number"] if len(events) == _PAGE else None})


def _below(order: Order) -> int:
    """The number that a page of the timeline stays below."""
    text = order.item or order.query.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 2**62


def _beginning(topic: str) -> str:
    """A LIKE pattern for topics of one Workflow: `appointment` covers `appointment-booked`."""
    return "".join(c for c in topic[:100] if c.isalnum() or c == "-") + "-%"


async def deliveries(order: Order) -> Response:
    """The newest notifications of the Tenant with every attempt: when, what was answered, and when it is tried again."""
    database = order.services.store.database
    found = await tenants.get(database, order.tenant)
    rows = await database.rows(
        "SELECT number, subscription, sequence, topic, endpoint, state, attempts, due, log FROM workflow_delivery "
        "WHERE layer=?1 ORDER BY number DESC LIMIT ?2",
        (found.layer, _PAGE),
    )
    shown = [
        {
            "id": f"msg_{number}",
            "subscription": f"Subscription/{subscription}",
            "event_number": sequence,
            "topic": topic,
            "endpoint": endpoint,
            "state": _STATES[state],
            "attempts": orjson.loads(log),
            "next_attempt": instant(due) if state == 0 else None,
        }
        for number, subscription, sequence, topic, endpoint, state, _attempts, due, log in rows
    ]
    return _answer({"deliveries": shown, "topics": {f"{TOPIC}{name}": text for name, text in TOPICS.items()}})
