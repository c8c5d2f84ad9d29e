"""Tenant controls by API, page and command over a whole installation: the same exchange feels each of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from portal.demo import ReadyApp
from tests.factories.installation import PUBLIC_URL, Installation, installation
from tests.factories.portal_app import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")
FHIR = "/sandbox/fhir/R4"
OWNER: list[httpx.AsyncClient] = []  # signed in once: sign-ins are throttled
SCOPE = "system/*.cruds"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(seeded_installation: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with installation(seeded_installation, tmp_path_factory.mktemp("controls") / "data") as made:
        OWNER.append(await made.demo_account(0))
        yield made
        OWNER.clear()


async def fresh(running: Installation) -> tuple[ReadyApp, httpx.AsyncClient, httpx.AsyncClient]:
    """A new App of the demo Company, a script of its owner on the portal, and its client at the gateway."""
    app = await running.ready_app(scopes=SCOPE)
    answer = await running.token(app.client_id, app.client_secret)
    assert answer.status_code == 200, answer.text
    return app, OWNER[0], running.http(answer.json()["access_token"])


async def test_the_clock_moves_by_api_and_only_in_that_tenant(running: Installation) -> None:
    app, owner, _ = await fresh(running)
    other, _, _ = await fresh(running)
    base = f"/api/v1/apps/{app.app_id}/sandbox"
    assert (await owner.get(f"{base}/clock")).json()["offset_seconds"] == 0
    moved = await owner.post(f"{base}/clock", json={"advance_seconds": 86_400})
    assert moved.status_code == 200 and moved.json()["timers"] == 0, moved.text
    assert (await owner.get(f"{base}/clock")).json()["offset_seconds"] == 86_400
    assert (await owner.get(f"/api/v1/apps/{other.app_id}/sandbox/clock")).json()["offset_seconds"] == 0
    for body, field in (
        ({"advance_seconds": -1}, "advance_seconds"),
        ({"advance_seconds": 10**12}, "advance_seconds"),
        ({"to": "2001-01-01T00:00:00Z"}, "to"),
        ({"to": "soon"}, "to"),
        ({}, "advance_seconds"),
        ({"advance_seconds": 1, "offset_seconds": 0}, "advance_seconds"),
    ):
        refused = await owner.post(f"{base}/clock", json=body)
        assert refused.status_code == 422, (body, refused.text)
        assert field in {row["field"] for row in refused.json()["errors"]}, refused.text
    assert (await owner.post(f"{base}/clock", json={"advance_seconds": "one"})).status_code in (400, 422)
    assert (await owner.post(f"{base}/clock", json={"minutes": 1})).status_code in (400, 422)


@pytest.mark.parametrize(
    ("plan", "status", "header"),
    [
        ({"kind": "status", "status": 500}, 500, None),
        ({"kind": "burst", "seconds": 3}, 429, ("retry-after", "3")),
        ({"kind": "expired-token"}, 401, ("www-authenticate", 'error="invalid_token"')),
        ({"kind": "down"}, 503, ("retry-after", "1")),
    ],
)
async def test_each_error_passes_the_gateway_as_planned_and_reaches_no_other_app(
    running: Installation, plan: dict[str, Any], status: int, header: tuple[str, str] | None
) -> None:
    app, owner, client = await fresh(running)
    _, _, other = await fresh(running)
    route = f"{FHIR}/Patient/persona-healthy"
    saved = await owner.put(f"/api/v1/apps/{app.app_id}/sandbox/faults", json={"faults": [plan | {"left": 1}]})
    assert saved.status_code == 200 and saved.json()["faults"][0]["left"] == 1, saved.text
    assert (await other.get(route)).status_code == 200
    answer = await client.get(route)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    if header:
        assert header[1] in answer.headers[header[0]]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert (await client.get(route)).status_code == 200, "planned for one call"
    assert (await owner.get(f"/api/v1/apps/{app.app_id}/sandbox/faults")).json()["faults"][0]["left"] == 0


async def test_latency_is_felt_and_a_truncated_body_is_really_cut(running: Installation) -> None:
    app, owner, client = await fresh(running)
    route, faults = f"{FHIR}/Patient/persona-healthy", f"/api/v1/apps/{app.app_id}/sandbox/faults"
    whole = (await client.get(route)).content
    await owner.put(faults, json={"faults": [{"kind": "latency", "seconds": 0.4, "left": 1}]})
    slow = await client.get(route)
    assert slow.elapsed.total_seconds() >= 0.4 and slow.content == whole
    await owner.put(faults, json={"faults": [{"kind": "truncated"}]})
    for encoding in ("identity", "gzip"):
        cut = await client.get(route, headers={"accept-encoding": encoding})
        assert cut.status_code == 200 and cut.content == whole[: len(whole) // 2], encoding


async def test_a_write_whose_answer_was_lost_is_not_doubled_by_a_conditional_retry(running: Installation) -> None:
    app, owner, client = await fresh(running)
    plan = {"kind": "timeout", "route": "Observation", "method": "POST", "left": 1}
    await owner.put(f"/api/v1/apps/{app.app_id}/sandbox/faults", json={"faults": [plan]})
    body = {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:test", "value": "once"}],
        "status": "final",
        "code": {"text": "pulse"},
        "subject": {"reference": "Patient/persona-healthy"},
    }
    headers = {"if-none-exist": "identifier=urn:test|once"}
    assert (await client.post(f"{FHIR}/Observation", json=body, headers=headers)).status_code == 504
    again = await client.post(f"{FHIR}/Observation", json=body, headers=headers)
    assert again.status_code == 200, "it was there already"
    found = (await client.get(f"{FHIR}/Observation?identifier=urn:test|once")).json()
    assert found["total"] == 1 and len(found["entry"]) == 1


async def test_a_plan_that_cannot_be_followed_names_its_field(running: Installation) -> None:
    app, owner, _ = await fresh(running)
    faults = f"/api/v1/apps/{app.app_id}/sandbox/faults"
    for plan, field in (
        ({"kind": "status", "status": 200}, "faults[0].status"),
        ({"kind": "latency", "seconds": 1000}, "faults[0].seconds"),
        ({"kind": "down", "probability": 2}, "faults[0].probability"),
        ({"kind": "down", "starts": "tomorrow"}, "faults[0].starts"),
    ):
        refused = await owner.put(faults, json={"faults": [plan]})
        assert refused.status_code == 422 and field in refused.text, refused.text
    assert (await owner.put(faults, json={"faults": [{"kind": "gremlins"}]})).status_code in (400, 422)
    assert (await owner.get(faults)).json() == {"faults": []}


async def test_counterparts_snapshots_and_timeline_by_api(running: Installation) -> None:
    app, owner, client = await fresh(running)
    base = f"/api/v1/apps/{app.app_id}/sandbox"
    changed = await owner.patch(f"{base}/counterparts", json={"counterparts": {"clinic": {"mode": "decline"}}})
    assert changed.status_code == 200 and changed.json()["counterparts"]["clinic"]["mode"] == "decline", changed.text
    refused = await owner.patch(f"{base}/counterparts", json={"counterparts": {"florist": {"mode": "accept"}}})
    assert refused.status_code == 422 and "florist" in refused.text
    kept = (await owner.post(f"{base}/snapshots", json={"name": "before"})).json()["snapshot"]
    slots = (await client.get(f"{FHIR}/Slot?status=free&_count=1")).json()["entry"]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "slot", "valueReference": {"reference": f"Slot/{slots[0]['resource']['id']}"}},
            {"name": "patient", "valueReference": {"reference": "Patient/persona-healthy"}},
        ],
    }
    booked = await client.post(f"{FHIR}/Appointment/$book", json=parameters)
    assert booked.status_code == 200, booked.text
    seen = (await owner.get(f"{base}/timeline", params={"topic": "appointment", "actor": "counterpart"})).json()
    assert [event["topic"] for event in seen["events"]] == ["appointment-cancelled"], seen
    assert (await owner.get(f"{base}/deliveries")).json()["deliveries"] == []
    assert [row["name"] for row in (await owner.get(f"{base}/snapshots")).json()] == ["before"]
    assert (await owner.post(f"{base}/restore", json={"snapshot": kept})).status_code == 204
    assert (await owner.get(f"{base}/timeline")).json()["events"] == []
    assert (await owner.post(f"{base}/restore", json={"snapshot": "none"})).status_code == 404
    assert (await owner.delete(f"{base}/snapshots/{kept}")).status_code == 204
    assert (await owner.delete(f"{base}/snapshots/{kept}")).status_code == 404
    assert [row["name"] for row in (await owner.get(f"{base}/bases")).json()] == ["default"]
    assert (await owner.post(f"{base}/reset", json={"base": "atlantis"})).status_code == 422
    assert (await owner.post(f"{base}/reset", json={"base": "default"})).status_code == 204
    assert (await owner.post(f"{base}/reset")).status_code == 204


async def test_a_fork_goes_to_another_app_of_the_same_company_only(running: Installation) -> None:
    app, owner, client = await fresh(running)
    sister, _, theirs = await fresh(running)
    made = await client.post(f"{FHIR}/Basic", json={"resourceType": "Basic", "code": {"text": "mine"}})
    base = f"/api/v1/apps/{app.app_id}/sandbox/fork"
    assert (await owner.post(base, json={"into": sister.app_id})).status_code == 204
    assert (await theirs.get(f"{FHIR}/Basic/{made.json()['id']}")).status_code == 200
    for wrong in (app.app_id, "app_nobody"):
        refused = await owner.post(base, json={"into": wrong})
        assert refused.status_code == 422 and "into" in refused.text


async def test_another_company_finds_none_of_it_and_nothing_goes_unrecorded(running: Installation) -> None:
    app, owner, _ = await fresh(running)
    base = f"/api/v1/apps/{app.app_id}/sandbox"
    async with running.http() as stranger:
        person = {"email": "x@example.ir", "name": "X Y", "password": "seven quiet rivers"}
        await stranger.post("/api/v1/users", json=person)
        opened = await stranger.post("/api/v1/sessions", json={k: person[k] for k in ("email", "password")})
    async with running.http(opened.json()["token"]) as stranger, running.http() as nobody:
        for method, path, body in (
            ("GET", "clock", None),
            ("POST", "clock", {"advance_seconds": 1}),
            ("GET", "faults", None),
            ("PUT", "faults", {"faults": []}),
            ("GET", "counterparts", None),
            ("PATCH", "counterparts", {"counterparts": {}}),
            ("GET", "timeline", None),
            ("GET", "deliveries", None),
            ("GET", "bases", None),
            ("GET", "snapshots", None),
            ("POST", "fork", {"into": app.app_id}),
            ("DELETE", "snapshots/x", None),
        ):
            assert (await stranger.request(method, f"{base}/{path}", json=body)).status_code == 404, path
            assert (await nobody.request(method, f"{base}/{path}", json=body)).status_code == 401, path
    await owner.post(f"{base}/clock", json={"advance_seconds": 1})
    await owner.put(f"{base}/faults", json={"faults": [{"kind": "down"}]})
    await owner.patch(f"{base}/counterparts", json={"counterparts": {"citizen": {"mode": "silent"}}})
    async with running.gozar.sessions() as session:
        rows = await session.execute(
            text("SELECT action FROM audit_entries WHERE subject=:app ORDER BY number"), {"app": app.app_id}
        )
        actions = [row[0] for row in rows]
    assert actions[-3:] == ["tenant.clock-moved", "tenant.faults-set", "tenant.counterparts-set"]


async def browser_of(running: Installation) -> Browser:
    """A browser signed in as the owner of the demo Company."""
    from portal import demo

    account = demo.ACCOUNTS[0]
    transport = httpx.ASGITransport(app=running.gozar.asgi, raise_app_exceptions=False)  # type: ignore[arg-type]
    browser = Browser(transport=transport, base_url=PUBLIC_URL, headers={"accept": "text/html"}, timeout=60)
    signed = await browser.submit(
        "/sign-in", email=account.email, password=account.password(running.gozar.shell.keyring)
    )
    assert signed.status_code == 303, signed.text
    return browser


async def test_everything_is_done_on_pages_with_plain_forms_and_errors_stand_at_their_field(
    running: Installation,
) -> None:
    app, owner, _ = await fresh(running)
    browser, page = await browser_of(running), f"/apps/{app.app_id}/sandbox"
    api = f"/api/v1{page}"
    for prefix in ("", "/en"):
        for tab in ("", "/faults", "/counterparts", "/timeline", "/deliveries"):
            assert (await browser.get(f"{prefix}{page}{tab}")).status_code == 200, tab
    assert (await browser.submit(f"{page}/do/clock", on=page, amount="۹۰", unit="minute")).status_code == 303
    assert (await owner.get(f"{api}/clock")).json()["offset_seconds"] == 5400
    wrong = await browser.submit(f"{page}/do/clock", on=page, amount="many", unit="minute")
    assert wrong.status_code == 422 and 'id="clock-amount-error"' in wrong.text and 'value="many"' in wrong.text
    past = await browser.submit(f"{page}/do/clock", on=page, to="1390/01/01 08:00")
    assert past.status_code == 422 and 'id="clock-to-error"' in past.text
    assert (await browser.submit(f"{page}/do/clock", on=page, back="yes")).status_code == 303
    faults = f"{page}/faults"
    added = await browser.submit(faults, kind="status", route="Patient/*", status="۵۰۲", left="2", seconds="0")
    assert added.status_code == 303, added.text
    (plan,) = (await owner.get(f"{api}/faults")).json()["faults"]
    assert (plan["status"], plan["route"], plan["left"]) == (502, "Patient/*", 2)
    for name, value in (("status", "200"), ("seconds", "900"), ("left", "x"), ("probability", "7"), ("starts", "soon")):
        fields = {"kind": "status", "route": "*", "left": "1", "status": "500", "seconds": "0"} | {name: value}
        wrong = await browser.submit(faults, **fields)
        assert wrong.status_code == 422 and f'id="{name}-error"' in wrong.text, name
    assert (await browser.submit(faults, remove=plan["id"])).status_code == 303
    assert (await owner.get(f"{api}/faults")).json()["faults"] == []
    scripts = f"{page}/counterparts"
    assert (await browser.submit(f"{scripts}/clinic", on=scripts, mode="delay", after="600")).status_code == 303
    assert (await owner.get(f"{api}/counterparts")).json()["counterparts"]["clinic"]["after"] == 600
    wrong = await browser.submit(f"{scripts}/clinic", on=scripts, mode="delay", after="0", options="{")
    assert wrong.status_code == 422 and 'id="clinic-options-error"' in wrong.text
    assert (await browser.submit(f"{scripts}/florist", on=scripts, mode="delay")).status_code == 404
    assert (await browser.submit(f"{page}/do/snapshot", on=page, name="نسخهٔ یک")).status_code == 303
    listed = (await browser.get(page)).text
    assert "نسخهٔ یک" in listed
    kept = re.search(r'name="snapshot" value="([^"]+)"', listed)
    assert kept is not None
    assert (await browser.submit(f"{page}/do/restore", on=page, snapshot=kept[1])).status_code == 303
    assert (await browser.submit(f"{page}/do/drop", on=page, snapshot=kept[1])).status_code == 303
    assert (await browser.submit(f"{page}/do/reset", on=page, base="default")).status_code == 303
    assert (await browser.submit(f"{page}/do/dance", on=page)).status_code == 404
    assert (await browser.post(faults, data={"clear": "yes"})).status_code == 403, "no form without its token"
    assert (await browser.get(f"/apps/{app.app_id}/data")).headers["location"] == page
