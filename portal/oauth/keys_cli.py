"""`gozar keys`: the signing keys of both Environments, listed, rotated and, in an emergency, removed.

The composition of commands hooks the group in and says how work is run: `main.add_command(commands(run))`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.oauth import keys
from portal.oauth.models import SigningKey

# Runs work in one transaction of the installation: it is given the session, the key that opens the signing keys, and the time.
Work = Callable[[AsyncSession, bytes, datetime], Awaitable[list[dict[str, Any]]]]
Run = Callable[[Work], list[dict[str, Any]]]
LEAST_LEAD = timedelta(minutes=10)
"""Others may keep our key set for five minutes: a key that signs sooner after its publication would be unknown to them."""


def described(listed: Sequence[SigningKey], now: datetime) -> list[dict[str, Any]]:
    """Keys as the commands show them; `state` is one of next, signing, verifying, retired, removed."""
    signing: dict[tuple[str, str], SigningKey] = {}
    for key in listed:
        best = signing.get((key.environment, key.algorithm))
        ready = key.removed_at is None and key.signs_from <= now and (key.retires_at is None or key.retires_at > now)
        if ready and (best is None or (key.signs_from, key.kid) > (best.signs_from, best.kid)):
            signing[key.environment, key.algorithm] = key
    return [
        {
            "kid": key.kid,
            "environment": key.environment,
            "algorithm": key.algorithm,
            "state": "signing" if key in signing.values() else _state(key, now),
            "created_at": key.created_at.isoformat(),
            "signs_from": key.signs_from.isoformat(),
            "retires_at": key.retires_at.isoformat() if key.retires_at else None,
            "removed_at": key.removed_at.isoformat() if key.removed_at else None,
        }
        for key in listed
    ]


def _state(key: SigningKey, now: datetime) -> str:
    if key.removed_at is not None:
        return "removed"
    if key.retires_at is not None and key.retires_at <= now:
        return "retired"
    return "next" if key.signs_from > now else "verifying"


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print keys as JSON or as aligned lines."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        until = row["removed_at"] or row["retires_at"] or "-"
        click.echo(
            f"{row['environment']:<11} {row['algorithm']:<6} {row['state']:<10} {row['kid']}  "
            f"signs from {row['signs_from'][:16]}  until {until[:16]}"
        )


def commands(run: Run) -> click.Group:
    """The group."""

    @click.group("keys")
    def group() -> None:
        """The keys that sign tokens: list, rotate, remove."""

    @group.command("list")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    def list_keys(as_json: bool) -> None:
        """Every key of both Environments, with what it does at present."""

        async def work(session: AsyncSession, _vault: bytes, now: datetime) -> list[dict[str, Any]]:
            rows = await session.scalars(
                select(SigningKey).order_by(SigningKey.environment, SigningKey.algorithm, SigningKey.signs_from)
            )
            return described(list(rows), now)

        show(run(work), as_json=as_json)

    @group.command()
    @click.argument("environment", type=click.Choice(["sandbox", "production"]))
    @click.option("--algorithm", type=click.Choice(list(keys.ALGORITHMS)), default="ES256", show_default=True)
    @click.option("--lead-hours", type=click.FloatRange(0.2, 720), default=24.0, show_default=True)
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    def rotate(environment: str, algorithm: str, lead_hours: float, as_json: bool) -> None:
        """Publish a successor now that signs after the lead; the present key stays published until its last token has expired."""

        async def work(session: AsyncSession, vault: bytes, now: datetime) -> list[dict[str, Any]]:
            lead = max(LEAST_LEAD, timedelta(hours=lead_hours))
            made = await keys.rotate(session, environment, algorithm, vault_key=vault, now=now, lead=lead)
            return described([made], now)

        show(run(work), as_json=as_json)

    @group.command()
    @click.argument("kid")
    @click.option("--yes", is_flag=True, help="do not ask")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    def remove(kid: str, yes: bool, as_json: bool) -> None:
        """Emergency: take KID out at once on every worker. Every token it signed is refused; another key signs from now on."""
        if not yes:
            click.confirm(f"refuse every token that {kid} signed?", abort=True)

        async def work(session: AsyncSession, vault: bytes, now: datetime) -> list[dict[str, Any]]:
            successor = await keys.remove(session, kid, vault_key=vault, now=now)
            gone = await session.get_one(SigningKey, kid)
            return described([gone, successor], now)

        show(run(work), as_json=as_json)

    return group
