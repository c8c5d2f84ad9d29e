"""Signing keys: rotation with notice, emergency removal, storage."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.kernel.database import transaction
from portal.kernel.errors import NotFound
from portal.oauth import keys
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
