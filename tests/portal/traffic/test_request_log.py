"""The request log as its App's people see it, and nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, select

from portal.kernel.database import transaction
from portal.traffic import service
from portal.traffic.models import CallBody, CallRecord
from portal.traffic.service import Bodies
from tests.factories.portal_app import NOW, Portal
from tests.factories.rooms import app_of, sandbox_of
from tests.factories.traffic import entry, logged


async def an_app(portal: Portal) -> tuple[httpx.AsyncClient, str, str]:
    client = await portal.signed_in_script("owner@example.ir")
    app = await app_of(client)
    opened = await sandbox_of(client, app["id"])
    return client, app["id"], opened["environment"]["client_id"]


async def test_calls_come_newest_first_in_pages_without_gaps(portal: Portal) -> None:
    client, app_id, client_id = await an_app(portal)
    # Three at the same microsecond: the cursor must not skip or repeat one of them.
    times = [0, 1, 1, 1, 2, 3, 4]
    made = [
        entry(f"c{number}", NOW + timedelta(seconds=second), app_id=app_id, client_id=client_id)
        for number, second in enumerate(times)
    ]
    await logged(portal.sessions, *made)
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await client.get(f"/api/v1/apps/{app_id}/requests", params={"limit": 2, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        seen += [call["id"] for call in answer.json()["calls"]]
        cursor = answer.json()["next"]
        if not cursor:
            break
    assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]


async def test_filters_narrow_and_bad_ones_are_named(portal: Portal) -> None:
    client, app_id, client_id = await an_app(portal)
    about: dict[str, Any] = {"app_id": app_id, "client_id": client_id}
    await logged(
        portal.sessions,
        entry("ok", NOW, **about),
        entry("slow", NOW, **about, status=429, code="quota-exceeded", violated="burst, sustained"),
        entry("no", NOW, **about, status=403, code="insufficient-scope"),
        entry("down", NOW, **about, status=502, code="upstream-failed"),
        entry("live", NOW, **about, environment="production"),
    )

    async def found(**asked: Any) -> set[str]:
        answer = await client.get(f"/api/v1/apps/{app_id}/requests", params=asked)
        assert answer.status_code == 200, answer.text
        return {call["id"] for call in answer.json()["calls"]}

    assert await found(verdict="admitted") == {"ok", "live"}
    assert await found(verdict="limited") == {"slow"}
    assert await found(verdict="refused") == {"no"}
    assert await found(verdict="failed") == {"down"}
    assert await found(status=403) == {"no"}
    assert await found(environment="production") == {"live"}
    assert await found(request_id="r-no") == {"no"}
    for bad in ({"verdict": "maybe"}, {"status": "abc"}, {"limit": 0}, {"cursor": "***"}):
        assert (await client.get(f"/api/v1/apps/{app_id}/requests", params=bad)).status_code in (400, 422)


async def test_a_part_of_the_path_finds_calls_and_is_taken_literally(portal: Portal) -> None:
    client, app_id, client_id = await an_app(portal)
    about: dict[str, Any] = {"app_id": app_id, "client_id": client_id}
    await logged(
        portal.sessions,
        entry("p", NOW, **about, template="/Patient", target="/sandbox/fhir/R4/Patient?name=a_b"),
        entry("o", NOW, **about, template="/Observation/{id}", target="/sandbox/fhir/R4/Observation/o1"),
        entry("live", NOW, **about, environment="production", template="/Observation/{id}"),
    )

    async def found(text: str) -> set[str]:
        answer = await client.get(f"/api/v1/apps/{app_id}/requests", params={"text": text})
        assert answer.status_code == 200, answer.text
        return {call["id"] for call in answer.json()["calls"]}

    assert await found("Observation") == {"o", "live"}
    assert await found("o1") == {"o"}
    assert await found("a_b") == {"p"} and await found("a%b") == set() and await found("%") == set()
    assert await found("\0Patient") == {"p"}
    page = await client.get(f"/apps/{app_id}/requests", params={"text": "Observation"})
    assert page.status_code == 200 and page.text.count("/requests/") == 2
    assert (await client.get(f"/api/v1/apps/{app_id}/requests", params={"text": "x" * 201})).status_code == 400


async def test_a_refusal_tells_the_same_policies_as_the_answer_did(portal: Portal) -> None:
    client, app_id, client_id = await an_app(portal)
    limited = {
        "status": 429,
        "code": "quota-exceeded",
        "violated": "burst, sustained",
        "detail": "There are more calls",
    }
    await logged(portal.sessions, entry("slow", NOW, app_id=app_id, client_id=client_id, **limited))
    told = (await client.get(f"/api/v1/apps/{app_id}/requests/slow")).json()
    assert told["call"]["violated_policies"] == ["burst", "sustained"]
    assert "never charged" in told["explanation"]
    browser = await portal.signed_in_browser("owner2@example.ir")
    assert (await browser.get(f"/apps/{app_id}/requests/slow")).status_code == 404


async def test_sandbox_calls_can_be_repeated_with_curl_and_production_keeps_no_content(portal: Portal) -> None:
    client, app_id, client_id = await an_app(portal)
    about: dict[str, Any] = {"app_id": app_id, "client_id": client_id}
    body = Bodies(b'{"note":"it\'s"}', "application/fhir+json", b'{"ok":1}', "application/fhir+json")
    await logged(
        portal.sessions,
        entry("post", NOW, **about, method="POST", target="/sandbox/fhir/R4/Slot"),
        entry("live", NOW, **about, environment="production", target="/production/fhir/R4/Patient/secret-id"),
        bodies={"post": body},
    )
    told = (await client.get(f"/api/v1/apps/{app_id}/requests/post")).json()
    assert told["curl"] == (
        "curl -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/fhir+json' "
        """--data-raw '{"note":"it'"'"'s"}' http://gozar.test/sandbox/fhir/R4/Slot"""
    )
    assert told["bodies"]["response"] == '{"ok":1}'
    live = await client.get(f"/api/v1/apps/{app_id}/requests/live")
    assert "secret-id" not in live.text
    assert live.json()["curl"] == ""


async def test_another_companys_calls_are_not_found(portal: Portal) -> None:
    _, app_id, client_id = await an_app(portal)
    await logged(portal.sessions, entry("mine", NOW, app_id=app_id, client_id=client_id))
    stranger = await portal.signed_in_script("stranger@example.ir")
    other = await app_of(stranger, number=2)
    assert (await stranger.get(f"/api/v1/apps/{app_id}/requests")).status_code == 404
    assert (await stranger.get(f"/api/v1/apps/{app_id}/requests/mine")).status_code == 404
    assert (await stranger.get(f"/api/v1/apps/{other['id']}/requests/mine")).status_code == 404
    assert (await portal.script().get(f"/api/v1/apps/{app_id}/requests")).status_code == 401


async def test_pages_open_in_both_languages_with_every_kind_of_call(portal: Portal) -> None:
    browser = await portal.signed_in_browser("pages@example.ir")
    script = await portal.script().post(
        "/api/v1/sessions", json={"email": "pages@example.ir", "password": "seven quiet rivers"}
    )
    client = portal.script(script.json()["token"])
    app = await app_of(client)
    opened = await sandbox_of(client, app["id"])
    about: dict[str, Any] = {"app_id": app["id"], "client_id": opened["environment"]["client_id"]}
    root = f"/apps/{app['id']}/requests"
    assert "هنوز هیچ فراخوانی‌ای نیست" in (await browser.get(root)).text
    await logged(
        portal.sessions,
        entry("ok", NOW, **about, shadowed="burst"),
        entry("slow", NOW, **about, status=429, code="quota-exceeded", violated="month", detail="used <up>"),
        entry("odd", NOW, **about, status=418, code="something-new", detail="a teapot"),
        bodies={"ok": Bodies(b"", "", b"<script>alert(1)</script>", "text/plain")},
    )
    for prefix in ("", "/en"):
        for path in (
            "",
            "/ok",
            "/slow",
            "/odd",
            "?verdict=limited&status=429",
            "?cursor=bad&status=x",
            "?verdict=none",
        ):
            page = await browser.get(f"{prefix}{root}{path}")
            assert page.status_code == 200, (path, page.text[:600])
            assert "<script>alert" not in page.text
    assert "سهمیهٔ ماه" in (await browser.get(f"{root}/slow")).text
    assert "quota of the month" in (await browser.get(f"/en{root}/slow")).text


async def test_records_and_bodies_are_forgotten_in_time(portal: Portal) -> None:
    about: dict[str, Any] = {"app_id": "a", "client_id": "c"}
    body = Bodies(b"x", "text/plain", b"y", "text/plain")
    await logged(
        portal.sessions,
        entry("new", NOW, **about),
        entry("week", NOW - timedelta(days=8), **about),
        entry("month", NOW - timedelta(days=31), **about),
        entry("live", NOW - timedelta(days=31), **about, environment="production"),
        entry("old", NOW - timedelta(days=91), **about, environment="production"),
        bodies={"new": body, "week": body},
    )
    async with transaction(portal.sessions) as session:
        await service.forget(session, now=NOW)
    async with portal.sessions() as session:
        assert set(await session.scalars(select(CallRecord.id))) == {"new", "week", "live"}
        assert await session.scalar(select(func.count()).select_from(CallBody)) == 1
