"""From an event to a Counterpart's answer: at once in the same transaction, or later on the Tenant's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sandbox.counterparts import citizens, clinics, laboratories, pharmacies
from sandbox.counterparts.scripts import BadScriptError, Mode, Part, Script, script_of
from sandbox.workflows.codes import Resource
from sandbox.workflows.engine import Scripts
from sandbox.workflows.records import Event, Records
from sandbox.workflows.registry import Timer
from sandbox.workflows.task_machine import Actor
from sandbox.workflows.tx_records import ExchangeRecords

PARTS: Final[tuple[Part, ...]] = (*clinics.PARTS, *laboratories.PARTS, *pharmacies.PARTS, *citizens.PARTS)
_BY_TOPIC: Final = {topic: tuple(p for p in PARTS if p.topic == topic) for topic in {p.topic for p in PARTS}}
NAMES: Final = tuple(dict.fromkeys(part.counterpart for part in PARTS))
DEFAULTS: Final = {part.counterpart: part.default for part in reversed(PARTS)}


def script_for(part: Part, scripts: Scripts) -> Script:
    """The Tenant's script of a Counterpart, or the part's default."""
    raw = scripts.get(part.counterpart)
    return part.default if raw is None else script_of(raw)


def checked(raw: object) -> dict[str, Any]:
    """Scripts by Counterpart, as a developer sends them. Raises `BadScriptError`."""
    if not isinstance(raw, dict):
        raise BadScriptError("scripts are an object: Counterpart name to script", "counterparts")
    unknown = set(raw) - set(NAMES)
    if unknown:
        raise BadScriptError(
            f"there is no Counterpart {sorted(unknown)[0]!r}: there are {', '.join(NAMES)}", "counterparts"
        )
    made = {}
    for name, script in raw.items():
        try:
            made[name] = script_of(script).as_json()
        except BadScriptError as error:
            where = f"counterparts.{name}" + (f".{error.field}" if error.field else "")
            raise BadScriptError(f"{name}: {error}", where) from error
    return made


async def react(records: ExchangeRecords, event: Event, scripts: Scripts) -> None:
    """The exchange's reactor: play, or set a timer to."""
    for part in _BY_TOPIC.get(event.topic, ()):
        script = script_for(part, scripts)
        if script.mode is Mode.SILENT:
            continue
        wait = script.wait + part.lag
        if wait:
            data = {"mode": script.mode.value, "options": dict(script.options)}
            await records.later(records.now + timedelta(seconds=wait), part.name, event.subject, data)
            continue
        subject = await records.find_one(event.kind, event.rid)
        if subject is not None:
            await part.play(records, subject, script.mode, script.options)


def _timer(part: Part) -> Timer:
    async def run(records: Records, subject: Resource, data: dict[str, Any]) -> Resource | None:
        if isinstance(records, ExchangeRecords):
            records.actor = Actor.COUNTERPART
        await part.play(records, subject, Mode(data["mode"]), data.get("options", {}))
        return None

    return run


TIMERS: Final[dict[str, Timer]] = {part.name: _timer(part) for part in PARTS}
