"""The suite over HTTP against both real applications: the reference client passes, each spoilt one fails what it must."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from click.testing import CliRunner
from joserfc.jwk import ECKey

from portal import demo
from portal.app import Gozar
from portal.audit.verification import findings
from portal.conformance.cli import evidence as evidence_command
from portal.demo import ReadyApp
from portal.kernel.database import create_engine, session_maker, transaction
from tests.factories.live import Live, fresh_settings, prepare, served
from tests.journeys.promotion import call, good, production_token, sandbox_app, sign_up
from tests.portal.reviews.world import WHY, good_answers

sys.path.insert(0, str(Path(__file__).parents[1] / "reference_client"))
from gozar_reference_client.app import App

from tests.journeys.other_client import OtherClient
from tests.journeys.saboteurs import SABOTEURS, SCOPES, Parts

REFERENCE = "reference client"
OTHER = "a client of another make"
RUNNERS = 6
HASTY = ("hammers in an outage", "polls wildly", "ignores Retry-After")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, dict[str, ReadyApp]]]:
    """A served Gozar with one App for each client."""
    settings = fresh_settings(tmp_path_factory.mktemp("live"))

    async def apps(gozar: Gozar) -> dict[str, ReadyApp]:
        made = {}
        async with transaction(gozar.sessions) as session:
            for name in (REFERENCE, OTHER, *SABOTEURS):
                made[name] = await demo.ready_app(
                    session,
                    environment="sandbox",
                    scopes=["system/*.cruds"],
                    # So wide that only rehearsed refusals are met, however fast the machine.
                    per_second=1000,
                    per_minute=60_000,
                    quota=None,
                    tenants=gozar.tenants,
                    pepper=gozar.shell.pepper,
                    now=gozar.shell.clock.now(),
                )
        return made

    ready = prepare(settings, apps)
    with served(settings) as live:
        yield live, ready


def run(live: Live, ready: ReadyApp, parts: Parts | None, api: httpx.Client) -> dict[str, Any]:
    """One whole run of a client (None: the one of another make); returns the report, with the run's id and the scenarios."""
    started = api.post(f"/apps/{ready.app_id}/conformance/runs", json={"app_version": "1.0.0"})
    assert started.status_code == 201, started.text
    state = started.json()
    path = f"/conformance/runs/{state['id']}"
    with httpx.Client(timeout=60) as http:
        app: App | OtherClient = (
            parts.open(live.url, ready.client_id, ready.client_secret, http)
            if parts
            else OtherClient(live.url, ready.client_id, ready.client_secret)
        )
        while state["current"]:
            step = next(row for row in state["steps"] if row["scenario"] == state["current"])
            app.perform(step["scenario"], step["inputs"])
            state = api.post(f"{path}/next").json()
    judged = api.post(f"{path}/judge")
    assert judged.status_code == 200, judged.text
    return {**judged.json(), "path": path, "steps": state["steps"]}


@pytest.fixture(scope="module")
def reports(installation: tuple[Live, dict[str, ReadyApp]]) -> dict[str, dict[str, Any]]:
    """The report of every client; several run at once, for most of their time is waiting.

    Those whose fault is haste go first and alone: beside others a busy machine may slow them down to decency.
    """
    live, ready = installation
    clients: dict[str, Parts | None] = {
        REFERENCE: Parts(),
        OTHER: None,
        **{name: parts for name, (parts, _) in SABOTEURS.items()},
    }
    with live.api("owner") as api, ThreadPoolExecutor(RUNNERS) as pool:
        made = {name: run(live, ready[name], clients.pop(name), api) for name in HASTY}
        futures = {name: pool.submit(run, live, ready[name], parts, api) for name, parts in clients.items()}
        return made | {name: future.result() for name, future in futures.items()}


def failed(report: dict[str, Any]) -> list[str]:
    return [row["id"] for row in report["results"] if row["result"] == "fail"]


def test_the_reference_client_passes_everything(reports: dict[str, dict[str, Any]]) -> None:
    report = reports[REFERENCE]
    assert [row["note"] for row in report["steps"] if row["state"] != "done"] == []
    judged = [row for row in report["results"] if row["proof"] == "check"]
    assert [row["id"] for row in judged if row["result"] not in ("pass", "omit")] == []
    assert report["passes"]
    assert report["counts"]["pass"] >= 45


def test_a_careful_client_of_another_make_passes_too(reports: dict[str, dict[str, Any]]) -> None:
    report = reports[OTHER]
    assert [(row["id"], row["en"]) for row in report["results"] if row["result"] == "fail"] == []
    judged = [row for row in report["results"] if row["proof"] == "check" and row["level"] == "must"]
    assert [(row["id"], row["en"]) for row in judged if row["result"] not in ("pass", "omit")] == []
    assert report["passes"]


@pytest.mark.parametrize("name", SABOTEURS)
def test_each_spoilt_client_fails_exactly_the_right_requirement(reports: dict[str, dict[str, Any]], name: str) -> None:
    report = reports[name]
    assert failed(report) == [SABOTEURS[name][1]]
    row = report["results"][0]
    assert row["fa"] and row["en"] and row["hint"]["fa"], "a refusal says what was wrong and how to mend it"
    assert report["passes"] == (row["level"] == "should")


def test_a_verdict_shows_the_very_requests(
    installation: tuple[Live, dict[str, ReadyApp]], reports: dict[str, dict[str, Any]]
) -> None:
    live, _ = installation
    report = reports["leaks the national code"]
    with live.api("owner") as api:
        calls = api.get(f"{report['path']}/calls", params={"requirement": "id-1"}).json()
        assert [(row["method"], row["status"]) for row in calls] == [("GET", 200)]
        assert "Patient?identifier=" in calls[0]["target"]
        assert calls[0]["response"]["resourceType"] == "Bundle"
        for lang, words in (("fa", "کد ملی در نشانی درخواست آمده است."), ("en", "How to mend it:")):
            sheet = api.get(f"{report['path']}/html", params={"lang": lang})
            assert sheet.headers["content-disposition"].startswith("attachment; ")
            assert words in sheet.text
            assert "Patient?identifier=" in sheet.text, "the very request"
            assert not re.search(
                r"<(script|link|img|iframe)|https?://(?!127\.0\.0\.1)[^\s<]*\.(css|js|woff)", sheet.text
            )
        junit = ElementTree.fromstring(api.get(f"{report['path']}/junit").content)  # noqa: S314 -- our own
        assert (junit.get("failures"), junit.find(".//failure").get("type")) == ("1", "id-1")  # type: ignore[union-attr]
    with live.api("reviewer") as api:
        assert api.get(f"{report['path']}/report").json()["counts"] == report["counts"]
    with live.api() as api:
        assert api.get(f"{report['path']}/report").status_code == 401


def test_evidence_is_verified_offline_with_the_key_set_alone(
    installation: tuple[Live, dict[str, ReadyApp]], reports: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    live, ready = installation
    with live.api("owner") as api:
        signed = api.get(f"/evidence/{reports[REFERENCE]['evidence']}").json()
        (tmp_path / "keys.json").write_text(api.get("/signing-keys").text)
    (tmp_path / "evidence.jws").write_text(signed["jws"])
    arguments = ["verify", str(tmp_path / "evidence.jws"), "--keys", str(tmp_path / "keys.json")]
    held = CliRunner().invoke(evidence_command, arguments)
    assert held.exit_code == 0, held.output
    assert ready[REFERENCE].app_id in held.output
    head, body, signature = signed["jws"].split(".")
    (tmp_path / "evidence.jws").write_text(f"{head}.{body[:-4]}AAAA.{signature}")
    assert CliRunner().invoke(evidence_command, arguments).exit_code == 1
    other = json.loads((tmp_path / "keys.json").read_text())
    other["keys"][0]["x"] = "OiaOMz08c7JYSlEZiRCnadENZ8CcPK-mOcj6hg9jGLQ"
    (tmp_path / "keys.json").write_text(json.dumps(other))
    (tmp_path / "evidence.jws").write_text(signed["jws"])
    assert CliRunner().invoke(evidence_command, arguments).exit_code == 1


def test_from_sign_up_to_production_and_back(installation: tuple[Live, dict[str, ReadyApp]], tmp_path: Path) -> None:
    live, _ = installation
    developer = sign_up(live, "sara@nabz.example.ir")
    company, app, client_id, secret = sandbox_app(developer)
    first, second = live.api("reviewer"), live.api("second")

    # The App proves itself by its own traffic.
    ready = ReadyApp(app_id=app, client_id=client_id, client_secret=secret, scopes=[], tenant="")
    report = run(live, ready, Parts(), developer)
    assert report["passes"], failed(report)

    # The request carries the evidence; an unverified company gets no decision.
    review = good(developer.post(f"/apps/{app}/reviews"), 201)["id"]
    draft = {
        "answers": good_answers(),
        "scopes": dict.fromkeys(SCOPES, WHY),
        "app_version": "1.0.0",
        "evidence": report["evidence"],
    }
    good(developer.patch(f"/reviews/{review}", json=draft))
    good(developer.post(f"/reviews/{review}/submit"))
    good(first.post(f"/reviews/{review}/assign", json={"reviewer": "me"}))
    verdict = {"scopes": {scope: {"approved": True} for scope in SCOPES}}
    assert first.post(f"/reviews/{review}/approve", json=verdict).status_code == 409
    good(first.put(f"/companies/{company}/verification", json={"status": "verified"}))
    pending = good(first.post(f"/reviews/{review}/approve", json=verdict))
    assert pending["status"] == "awaiting_second", "writing prescriptions takes two reviewers"
    assert len(good(developer.get(f"/apps/{app}"))["environments"]) == 1
    good(second.post(f"/reviews/{review}/confirm"))

    # Production answers under the first step of the ramp, and neither Environment takes the other's tokens.
    places = {row["environment"]: row for row in good(developer.get(f"/apps/{app}"))["environments"]}
    key = ECKey.generate_key("P-384", {"kid": "k1"}, private=True)
    jwks = {"keys": [{**key.as_dict(private=False), "kid": "k1", "use": "sig", "alg": "ES384"}]}
    path = f"/apps/{app}/environments/production/credentials"
    good(developer.post(path, json={"kind": "jwks", "jwks": jwks}), 201)
    token = production_token(live, key, places["production"]["client_id"], SCOPES[:2])
    answer = call(live, "production", token)
    assert good(answer)["resourceType"] == "Bundle"
    assert '"sustained";q=15' in answer.headers["ratelimit-policy"], "a tenth of the plan's 150 a minute"
    assert call(live, "sandbox", token).status_code == 401
    listed = good(developer.get("/register"))
    assert [row["state"] for row in listed if row["app_id"] == app] == ["approved"]

    # A kill switch acts on the next call, also with a token issued before; two reviewers lift it.
    cut = {"target": "app", "id": app, "grade": "involuntary", "reason_code": "data-leak"}
    row = good(first.post("/suspensions", json=cut), 201)
    began = time.monotonic()
    while call(live, "production", token).status_code != 403:
        assert time.monotonic() - began < 1, "the next call must be refused within a second"
    assert time.monotonic() - began < 1
    good(first.post(f"/suspensions/{row['id']}/lift", json={"reason": "the leak is closed"}))
    good(second.post(f"/suspensions/{row['id']}/confirm-lift"))
    assert (
        call(live, "production", production_token(live, key, places["production"]["client_id"], SCOPES[:2])).status_code
        == 200
    )

    # The applicant reads its own case; the log is whole until somebody edits a row.
    record = [row["action"] for row in good(developer.get(f"/reviews/{review}/record"))]
    assert record[-1] == "review.approved"
    database = live.settings.data_dir / "portal.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as raw:
        assert found(live) == []
        change = "UPDATE audit_entries SET actor = 'nobody' WHERE number = 5"
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(change)
        raw.execute("DROP TRIGGER audit_entries_no_update")
        raw.execute(change)
        raw.commit()
        assert found(live) == [(5, "edited")]
    for client in (developer, first, second):
        client.close()


def found(live: Live) -> list[tuple[int, str]]:
    """What verification of the audit log finds."""

    async def work() -> list[tuple[int, str]]:
        engine = create_engine(live.settings.portal_database_url)
        async with session_maker(engine)() as session:
            rows = await findings(session)
        await engine.dispose()
        return [(row.number, row.kind) for row in rows]

    return asyncio.run(work())
