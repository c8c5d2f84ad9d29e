"""Mails at 80 and 100 per cent of a Quota."""

from __future__ import annotations

from datetime import timedelta

from portal.kernel.database import transaction
from portal.usage import notices
from portal.usage.quota import DatabaseQuotaStore
from portal.usage.windows import window
from tests.factories.portal_app import NOW, Portal
from tests.factories.rooms import app_of, sandbox_of


async def test_owner_is_told_once_at_80_and_once_at_100_percent_of_each_window(portal: Portal) -> None:
    client = await portal.signed_in_script("owner@example.ir")
    app = await app_of(client, name="Noskhe")
    opened = await sandbox_of(client, app["id"])
    subscription = opened["subscriptions"][0]
    limit = subscription["limits"]["quota"]
    store = DatabaseQuotaStore(portal.sessions)

    async def told() -> list[tuple[str, bool]]:
        async with transaction(portal.sessions) as session:
            return [(mail.to, "100" in mail.subject) for mail in await notices.due(session, now=NOW)]

    month = window(subscription["limits"]["quota_period"], NOW)
    await store.reserve(subscription["id"], month.name, limit=limit, units=limit * 4 // 5 - 1)
    assert await told() == []
    await store.reserve(subscription["id"], month.name, limit=limit, units=1)
    assert await told() == [("owner@example.ir", False)]
    assert await told() == []
    await store.reserve(subscription["id"], month.name, limit=limit, units=limit)
    assert await told() == [("owner@example.ir", True)]
    assert await told() == []
    async with transaction(portal.sessions) as session:
        assert await notices.due(session, now=month.end + timedelta(hours=1)) == []
