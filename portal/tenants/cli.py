"""`gozar tenant`: what the pages of the room do, from a script. The composition of commands hands in how to open an installation."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import click
import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.kernel.errors import NotFound
from portal.tenants.controls import Controls
from portal.tenants.service import Desk

ACTOR = "command-line"
# Runs `work(session, controls, now)` on an opened installation, in one transaction.
Work = Callable[[AsyncSession, Controls, datetime], Awaitable[Any]]
Runner = Callable[[Work], Any]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


async def desk_of(session: AsyncSession, controls: Controls, now: datetime, given: str) -> Desk:
    """The controls of the Tenant of an app id, client id or Tenant id."""
    query = (
        select(App, AppEnvironment)
        .join(AppEnvironment, AppEnvironment.app_id == App.id)
        .where(
            AppEnvironment.environment == "sandbox",
            (AppEnvironment.app_id == given) | (AppEnvironment.client_id == given) | (AppEnvironment.tenant == given),
        )
    )
    found = (await session.execute(query)).first()
    if found is None:
        raise NotFound(f"there is no sandbox tenant for {given!r}: give an app id, a client id or a tenant id")
    return Desk(session, found[0], found[1], controls=controls, by=ACTOR, now=now)


def seconds_of(text: str) -> int:
    """Seconds of `90`, `90s`, `15m`, `2h`, `30d` or `1w`. Raises `click.BadParameter`."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise click.BadParameter(f"{text!r} is not a duration: write 90s, 15m, 2h, 30d or 1w")
    return int(number) * _UNITS[unit]


def fault_of(text: str) -> dict[str, Any]:
    """A plan of `kind=burst,route=Slot*,left=3` or of JSON. Raises `click.BadParameter`."""
    if text.lstrip().startswith("{"):
        try:
            plan = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise click.BadParameter(f"{text!r} is not JSON: {error}") from error
        return dict(plan)
    plan = {}
    for part in text.split(","):
        name, mark, value = part.partition("=")
        if not mark:
            raise click.BadParameter(f"{part!r} must be name=value, such as kind=burst,route=Slot*,left=3")
        plan[name.strip()] = _number(value.strip()) if name.strip() in _NUMBERS else value.strip()
    return plan


_NUMBERS = frozenset({"status", "seconds", "left", "skip", "probability"})


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text  # the exchange says what is wrong, and where


def script_of(text: str) -> tuple[str, dict[str, Any]]:
    """`clinic=decline` or `laboratory=delay:2h`. Raises `click.BadParameter`."""
    name, mark, said = text.partition("=")
    mode, _, after = said.partition(":")
    if not mark:
        raise click.BadParameter(f"{text!r} must be counterpart=mode or counterpart=mode:after")
    return name, {"mode": mode, "after": seconds_of(after) if after else 0}


def show(value: Any) -> None:
    """Print as JSON: these commands are for scripts."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def commands(run: Runner) -> click.Group:
    """The group, whose commands run through `run`."""

    @click.group()
    def tenant() -> None:
        """An App's sandbox Tenant: clock, faults, Counterparts, timeline, snapshots. APP is an app, client or tenant id."""

    def on(app: str, verb: Callable[[Desk, Controls], Awaitable[Any]]) -> Any:
        async def work(session: AsyncSession, controls: Controls, now: datetime) -> Any:
            return await verb(await desk_of(session, controls, now, app), controls)

        return run(work)

    _add_data(tenant, on, run)
    _add_controls(tenant, on)
    _add_records(tenant, on)
    return tenant


On = Callable[[str, Callable[[Desk, Controls], Awaitable[Any]]], Any]


def _add_data(tenant: click.Group, on: On, run: Runner) -> None:
    @tenant.command()
    @click.argument("app")
    @click.option("--base", default="", help="another base population to stand on")
    def reset(app: str, base: str) -> None:
        """Throw away all that APP has written in its Tenant."""
        on(app, lambda desk, _: desk.reset(base=base))
        click.echo("reset")

    @tenant.command()
    @click.argument("app")
    @click.option("--name", default="", help="a name to remember it by")
    def snapshot(app: str, name: str) -> None:
        """Keep the present state of APP's Tenant."""
        show(on(app, lambda desk, _: desk.take_snapshot(name=name)))

    @tenant.command()
    @click.argument("app")
    @click.option("--drop", default="", metavar="SNAPSHOT", help="forget this one")
    def snapshots(app: str, drop: str) -> None:
        """Kept states of APP's Tenant, oldest first."""

        async def verb(desk: Desk, controls: Controls) -> Any:
            if drop:
                await desk.drop_snapshot(snapshot=drop)
            return (await controls.read(desk.tenant, "snapshots"))["snapshots"]

        show(on(app, verb))

    @tenant.command()
    @click.argument("app")
    @click.argument("snapshot_id")
    def restore(app: str, snapshot_id: str) -> None:
        """Bring APP's Tenant back to a snapshot."""
        on(app, lambda desk, _: desk.restore(snapshot=snapshot_id))
        click.echo("restored")

    @tenant.command()
    @click.argument("app")
    @click.argument("into")
    def fork(app: str, into: str) -> None:
        """Replace the data of INTO's Tenant with a copy of APP's; both are Apps of one Company."""

        async def work(session: AsyncSession, controls: Controls, now: datetime) -> None:
            desk = await desk_of(session, controls, now, app)
            other = await desk_of(session, controls, now, into)
            if desk.company_id != other.company_id:
                raise NotFound(f"{into!r} is no app of the same company")
            await desk.fork(other.place)

        run(work)
        click.echo("forked")

    @tenant.command()
    @click.argument("app")
    def bases(app: str) -> None:
        """Base populations that APP's Tenant can be reset to."""

        async def verb(desk: Desk, controls: Controls) -> Any:
            return (await controls.read(desk.tenant, "bases"))["bases"]

        show(on(app, verb))


def _add_controls(tenant: click.Group, on: On) -> None:
    @tenant.command()
    @click.argument("app")
    @click.option("--advance", default="", metavar="DURATION", help="90s, 15m, 2h, 30d or 1w forward")
    @click.option("--to", default="", metavar="INSTANT", help="forward to an instant, such as 2026-12-01T08:00:00Z")
    @click.option("--back", is_flag=True, help="back to real time")
    def clock(app: str, advance: str, to: str, back: bool) -> None:
        """Show or move the clock of APP's Tenant; what falls due on the way runs at its own time."""
        chosen = [bool(advance), bool(to), back].count(True)
        if chosen > 1:
            raise click.UsageError("choose one of --advance, --to and --back")
        move: dict[str, Any] = {"offset_seconds": 0} if back else {"to": to}
        if advance:
            move = {"advance_seconds": seconds_of(advance)}

        async def verb(desk: Desk, controls: Controls) -> Any:
            return await (desk.move_clock(move) if chosen else controls.read(desk.tenant, "clock"))

        show(on(app, verb))

    @tenant.command()
    @click.argument("app")
    @click.option("--add", multiple=True, metavar="PLAN", help="kind=burst,route=Slot*,left=3 or JSON; can be repeated")
    @click.option("--clear", is_flag=True, help="end all plans first")
    def faults(app: str, add: tuple[str, ...], clear: bool) -> None:
        """Show or change the fault plans of APP's Tenant.

        Kinds: status, latency, timeout, truncated, burst, expired-token, down.
        """
        wanted = [fault_of(text) for text in add]

        async def verb(desk: Desk, controls: Controls) -> Any:
            plans = [] if clear else (await controls.read(desk.tenant, "faults"))["faults"]
            if not (wanted or clear):
                return plans
            taken = {plan["id"] for plan in plans}
            free = (name for name in (f"fault-{n}" for n in range(1, 1000)) if name not in taken)
            return (await desk.set_faults([*plans, *({"id": next(free), **plan} for plan in wanted)]))["faults"]

        show(on(app, verb))

    @tenant.command()
    @click.argument("app")
    @click.option(
        "--set",
        "chosen",
        multiple=True,
        metavar="SCRIPT",
        help="clinic=decline or laboratory=delay:2h; can be repeated",
    )
    def counterparts(app: str, chosen: tuple[str, ...]) -> None:
        """Show or change how the Counterparts of APP's Tenant answer.

        Modes: accept, decline, delay, partial, silent, error.
        """
        scripts = dict(script_of(text) for text in chosen)

        async def verb(desk: Desk, controls: Controls) -> Any:
            if scripts:
                return (await desk.set_scripts(scripts))["counterparts"]
            return (await controls.read(desk.tenant, "counterparts"))["counterparts"]

        show(on(app, verb))


def _add_records(tenant: click.Group, on: On) -> None:
    @tenant.command()
    @click.argument("app")
    @click.option("--topic", default="", help="a topic or its beginning: appointment, appointment-booked")
    @click.option("--actor", default="", help="app, counterpart or clock")
    @click.option("--subject", default="", help="Type or Type/id")
    @click.option("--before", default=0, type=click.IntRange(0), help="go on below this event number")
    def timeline(app: str, topic: str, actor: str, subject: str, before: int) -> None:
        """What happened in APP's Tenant, newest first."""
        asked = {"topic": topic, "actor": actor, "subject": subject, "before": str(before or "")}

        async def verb(desk: Desk, controls: Controls) -> Any:
            return (await controls.read(desk.tenant, "timeline", asked))["events"]

        show(on(app, verb))

    @tenant.command()
    @click.argument("app")
    def deliveries(app: str) -> None:
        """Notifications of APP's Subscriptions, with every attempt."""

        async def verb(desk: Desk, controls: Controls) -> Any:
            return (await controls.read(desk.tenant, "deliveries"))["deliveries"]

        show(on(app, verb))
