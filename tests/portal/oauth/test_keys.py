"""Signing keys: rotation with notice, emergency removal, storage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from portal.kernel.database import transaction
from portal.kernel.errors import NotFound
from portal.oauth import keys, keys_cli
from portal.oauth.models import SigningKey
from portal.oauth.vault import WrongVaultKey, seal, unseal
from tests.factories.oauth import NOW, header_of


async def _kids(world: Any) -> set[str]:
    document = (await world.http.get("/sandbox/oauth/jwks")).json()
    return {key["kid"] for key in document["keys"] if key["alg"] == "ES256"}


async def test_new_key_is_published_a_day_before_it_signs_and_the_old_one_stays_for_its_tokens(world: Any) -> None:
    app = await world.app()
    old = header_of(await world.client_token(app))["kid"]
    async with transaction(world.maker) as session:
        made = await keys.rotate(session, "sandbox", "ES256", vault_key=world.oauth.vault_key, now=NOW)
    assert await _kids(world) == {old, made.kid}
    world.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    last = await world.client_token(app)
    assert header_of(last)["kid"] == old
    world.clock.advance(timedelta(seconds=1))
    assert header_of(await world.client_token(app))["kid"] == made.kid
    await world.oauth.tokens.verify(last, "sandbox", world.clock.now())
    world.clock.advance(timedelta(hours=2))
    assert await _kids(world) == {made.kid}


async def test_rotation_is_due_after_ninety_days_and_once(world: Any) -> None:
    for _ in range(2):
        await world.oauth.tidy()
    assert len(await _kids(world)) == 1
    world.clock.advance(timedelta(days=89))
    for _ in range(2):
        await world.oauth.tidy()
    assert len(await _kids(world)) == 2


async def test_removed_key_verifies_nothing_from_that_moment_on(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    await world.oauth.tokens.verify(token, "sandbox", NOW)
    kid = header_of(token)["kid"]
    async with transaction(world.maker) as session:
        await keys.remove(session, kid, vault_key=world.oauth.vault_key, now=NOW)
    assert world.oauth.tokens.cached(token, "sandbox", NOW.timestamp()) is None
    with pytest.raises(Exception, match="not signed by this environment's key"):
        await world.oauth.tokens.verify(token, "sandbox", NOW)
    fresh = await world.client_token(app)
    assert header_of(fresh)["kid"] != kid
    await world.oauth.tokens.verify(fresh, "sandbox", NOW)
    assert kid not in await _kids(world)


async def test_removing_twice_or_the_unknown_is_told(world: Any) -> None:
    async with transaction(world.maker) as session:
        with pytest.raises(NotFound):
            await keys.remove(session, "nothing", vault_key=world.oauth.vault_key, now=NOW)


async def test_keys_of_one_environment_are_unknown_in_the_other(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    with pytest.raises(Exception, match="not signed by"):
        await world.oauth.tokens.verify(token, "production", NOW)


async def test_private_keys_are_not_readable_in_the_database(world: Any) -> None:
    async with world.maker() as session:
        for key in await session.scalars(select(SigningKey)):
            assert b"BEGIN" not in key.private
            with pytest.raises(WrongVaultKey):
                unseal(key.private, key=b"x" * 32, purpose=key.kid)
            with pytest.raises(WrongVaultKey):
                unseal(key.private, key=world.oauth.vault_key, purpose="another key")
            assert unseal(key.private, key=world.oauth.vault_key, purpose=key.kid)


def test_sealing_twice_gives_different_bytes() -> None:
    assert seal(b"same", key=b"k" * 32, purpose="p") != seal(b"same", key=b"k" * 32, purpose="p")


async def test_restart_keeps_the_keys(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    before = await _kids(world)
    await world.oauth.stop()
    await world.oauth.start()
    assert await _kids(world) == before
    await world.oauth.tokens.verify(token, "sandbox", NOW)


async def test_removing_a_successor_before_its_time_leaves_the_present_key_signing(world: Any) -> None:
    app = await world.app()
    first = header_of(await world.client_token(app))["kid"]
    async with transaction(world.maker) as session:
        made = await keys.rotate(session, "sandbox", "ES256", vault_key=world.oauth.vault_key, now=NOW)
    async with transaction(world.maker) as session:
        await keys.remove(session, made.kid, vault_key=world.oauth.vault_key, now=NOW)
    world.clock.advance(timedelta(days=3))
    await world.oauth.keys.reload(world.clock.now())
    token = await world.client_token(app)
    assert header_of(token)["kid"] == first
    await world.oauth.tokens.verify(token, "sandbox", world.clock.now())


async def _gozar(world: Any, *arguments: str) -> Result:
    """`gozar keys ...` on the world's database, in a thread of its own as a command is in a process of its own."""
    loop = asyncio.get_running_loop()

    async def opened(work: keys_cli.Work) -> list[dict[str, Any]]:
        async with transaction(world.maker) as session:
            return await work(session, world.oauth.vault_key, world.clock.now())

    run: Callable[[keys_cli.Work], list[dict[str, Any]]] = lambda work: asyncio.run_coroutine_threadsafe(  # noqa: E731
        opened(work), loop
    ).result(30)
    invoked: Awaitable[Result] = asyncio.to_thread(CliRunner().invoke, keys_cli.commands(run), list(arguments))
    return await invoked


async def test_commands_list_rotate_and_remove(world: Any) -> None:
    app = await world.app()
    old = header_of(await world.client_token(app))["kid"]
    made = json.loads((await _gozar(world, "rotate", "sandbox", "--lead-hours", "48", "--json")).output)
    assert made[0]["state"] == "next" and made[0]["signs_from"] == (NOW + timedelta(hours=48)).isoformat()
    listed = json.loads((await _gozar(world, "list", "--json")).output)
    states = {row["kid"]: row["state"] for row in listed}
    assert len(listed) == 5 and states[old] == "signing" and states[made[0]["kid"]] == "next"
    assert await _kids(world) == {old, made[0]["kid"]}
    world.clock.advance(timedelta(hours=48))
    listed = json.loads((await _gozar(world, "list", "--json")).output)
    states = {row["kid"]: row["state"] for row in listed}
    assert states[made[0]["kid"]] == "signing" and states[old] == "verifying"
    removed = await _gozar(world, "remove", made[0]["kid"], "--yes")
    assert removed.exit_code == 0, removed.output
    assert [line.split()[2] for line in removed.output.splitlines()] == ["removed", "signing"]
    assert made[0]["kid"] not in await _kids(world)
    assert header_of(await world.client_token(app))["kid"] != made[0]["kid"]


async def test_nobody_is_asked_twice_but_everybody_once_before_a_key_is_removed(world: Any) -> None:
    app = await world.app()
    kid = header_of(await world.client_token(app))["kid"]
    assert (await _gozar(world, "remove", kid)).exit_code == 1
    assert kid in await _kids(world)
    assert (await _gozar(world, "rotate", "sandbox", "--lead-hours", "0")).exit_code == 2
