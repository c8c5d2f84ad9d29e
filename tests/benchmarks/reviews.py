"""The review desk at size: 10,000 open requests and 1,000,000 rows of traffic on SQLite.

Times are taken at the server (request in, rendered page out, in process), signed in, every page from the database. A page over
200 ms at its 95th percentile, or a query that walks a whole large table, makes the benchmark fail.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from portal.conformance import pages as conformance_pages
from portal.conformance.dependencies import Ports, conformance_dependency
from portal.conformance.requirements import by_id, suite_version
from portal.kernel.blobs import MemoryBlobs
from portal.kernel.database import create_engine, transaction
from portal.kernel.migrations import upgrade
from portal.kernel.signing import PortalSigner
from portal.reviews import desk_pages, pages
from portal.reviews.dependencies import blobs_dependency
from portal.users import pages as users_pages
from portal.users.passwords import hash_password
from tests.factories.portal_app import PASSWORD, Portal, portal_app
from tests.portal.reviews.test_pages import NoHand
from tests.portal.reviews.world import NOW, PLAIN, SENSITIVE, WHY, build, good_answers

REQUESTS, CALLS, CLIENTS, COMPANIES, REVIEWERS = 10_000, 1_000_000, 1_000, 500, 20
LIMIT_MS, ROUNDS = 200.0, 40
# A search for part of a name walks the names of Apps and Companies; its time is measured, and no index would help.
LARGE = ("call_records", "witnessed_calls", "review_requests", "review_scopes", "audit_entries")


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def insert(raw: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    """Fill a table from dictionaries of one shape; columns that are left out must have defaults."""
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    marks = ", ".join(f":{name}" for name in first)
    raw.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", first)  # noqa: S608 -- our own names
    raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


def companies() -> Iterator[dict[str, Any]]:
    for number in range(COMPANIES):
        yield {
            "id": f"cmp_{number}", "name": f"شرکت {number}", "national_id": f"{number:011d}", "certificate_number": "",
            "status": "verified", "created_at": stamp(NOW), "website": "", "status_reason": "",
        }  # fmt: skip


def reviewers() -> Iterator[dict[str, Any]]:
    for number in range(REVIEWERS):
        yield {
            "id": f"rv_{number}", "email": f"rv{number}@example.org", "name": f"کارشناس {number}", "password_hash": "-",
            "role": "reviewer", "language": "fa", "created_at": stamp(NOW),
        }  # fmt: skip


def apps() -> Iterator[dict[str, Any]]:
    for number in range(REQUESTS):
        yield {
            "id": f"a_{number}", "company_id": f"cmp_{number % COMPANIES}", "name": f"برنامه {number}", "description": "",
            "homepage": "", "public": 0, "status": "active", "status_reason": "", "created_by": "usr_owner",
            "created_at": stamp(NOW),
        }  # fmt: skip


def requests() -> Iterator[dict[str, Any]]:
    snapshot = json.dumps({"answers": good_answers(), "scopes": {PLAIN: WHY}, "redirects": [], "keys": [], "app": {}})
    for number in range(REQUESTS):
        moment = NOW - timedelta(minutes=number * 3)
        yield {
            "id": f"rev_{number:05d}", "reference": f"GZ-{number:08d}", "app_id": f"a_{number}",
            "company_id": f"cmp_{number % COMPANIES}", "kind": ("production", "change", "appeal")[number % 3],
            "status": ("submitted", "in_review", "awaiting_second")[number % 3], "app_version": "1.0.0",
            "answers": json.dumps(good_answers()), "snapshot": snapshot, "checklist": "{}",
            "evidence_id": "ev_1" if number == 0 else "", "created_by": "usr_owner", "created_at": stamp(moment),
            "updated_at": stamp(moment), "submitted_at": stamp(moment), "days_left": 0,
            "due_at": stamp(moment + timedelta(days=14)),
            "assigned_to": f"rv_{number % REVIEWERS}" if number % 3 else None,
        }  # fmt: skip


def scopes() -> Iterator[dict[str, Any]]:
    for number in range(REQUESTS):
        for scope, product, sensitive in ((PLAIN, "health-record", 0), (SENSITIVE, "prescriptions", 1)):
            if sensitive and number % 4:
                continue
            yield {
                "request_id": f"rev_{number:05d}", "scope": scope, "product_id": product, "sensitive": sensitive,
                "justification": WHY, "decision": "pending", "reason_code": "", "reason": "",
            }  # fmt: skip


def places() -> Iterator[dict[str, Any]]:
    for number in range(CLIENTS):
        yield {
            "client_id": f"c_{number}", "app_id": f"a_{number}", "environment": "sandbox", "tenant": f"t_{number}",
            "status": "active", "scopes": json.dumps([PLAIN, SENSITIVE]), "epoch": 1, "created_at": stamp(NOW),
        }  # fmt: skip


def calls() -> Iterator[dict[str, Any]]:
    for number in range(CALLS):
        client = number % CLIENTS
        yield {
            "id": f"call-{number}", "request_id": f"r-{number}", "at": stamp(NOW - timedelta(seconds=number)),
            "environment": "sandbox", "company_id": f"cmp_{client % COMPANIES}", "app_id": f"a_{client}",
            "client_id": f"c_{client}", "product_id": "health-record", "subscription_id": "s", "method": "GET",
            "template": "/Patient/{id}", "interaction": "read", "target": f"/sandbox/fhir/R4/Patient/{number}",
            "status": 200, "code": "admitted", "detail": "", "violated": "", "shadowed": "", "limits": "",
            "gateway_us": 300, "upstream_us": 900, "duration_us": 1300, "bytes_in": 0, "bytes_out": 900,
        }  # fmt: skip


def witnessed() -> Iterator[dict[str, Any]]:
    body = json.dumps({"resourceType": "Patient", "id": "x", "name": [{"family": "احمدی"}] * 20})
    for number in range(0, CALLS, CLIENTS):
        yield {
            "call_id": f"call-{number}", "at": stamp(NOW - timedelta(seconds=number)), "token": "at_1",
            "scopes": PLAIN, "sent": json.dumps({"accept": "application/fhir+json", "user-agent": "a/1"}),
            "answered": json.dumps({"etag": 'W/"1"'}), "request": "", "response": body,
        }  # fmt: skip


def runs() -> Iterator[dict[str, Any]]:
    proof = [f"call-{number}" for number in range(0, 20 * CLIENTS, CLIENTS)]
    verdict = {"result": "pass", "level": "must", "proof": "check", "calls": proof, "fa": "", "en": ""}
    results = {name: {**verdict, "proof": "check" if row.check else "attestation"} for name, row in by_id().items()}
    for name, status in (("run_done", "judged"), ("run_live", "running")):
        yield {
            "id": name, "app_id": "a_0", "company_id": "cmp_0", "client_id": "c_0", "tenant": "t_0",
            "app_version": "1.0.0", "suite_version": suite_version(), "products": '["health-record"]',
            "scopes": json.dumps([PLAIN]), "status": status, "results": json.dumps(results if status == "judged" else {}),
            "passes": 1, "calls": 1000, "traffic_digest": "0" * 64, "started_by": "usr_owner",
            "started_at": stamp(NOW - timedelta(days=12)), "expires_at": stamp(NOW + timedelta(hours=4)),
        }  # fmt: skip


def audit() -> Iterator[dict[str, Any]]:
    for number in range(30_000):
        yield {
            "number": number + 1, "at": stamp(NOW), "actor": "usr_owner", "action": "review.submitted",
            "subject": f"rev_{number % REQUESTS:05d}", "company_id": "cmp_0", "details": "{}", "previous_hash": "-",
            "hash": f"{number:064d}",
        }  # fmt: skip


def fill(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA synchronous=OFF")
        for table, rows in (
            ("companies", companies()), ("users", reviewers()), ("apps", apps()), ("review_requests", requests()),
            ("review_scopes", scopes()), ("app_environments", places()), ("call_records", calls()),
            ("witnessed_calls", witnessed()), ("conformance_runs", runs()), ("audit_entries", audit()),
        ):  # fmt: skip
            insert(raw, table, rows)
        raw.execute(
            "INSERT INTO evidence (id, run_id, app_id, company_id, app_version, suite_version, passes, jws, created_at) "
            "VALUES ('ev_1', 'run_done', 'a_0', 'cmp_0', '1.0.0', ?, 1, 'x', ?)",
            (suite_version(), stamp(NOW)),
        )
        raw.execute("UPDATE audit_head SET number = 30000, hash = '-'")
        raw.execute("ANALYZE")


PAGES = {
    "queue": "/desk",
    "queue, sensitive": "/desk?sensitive=1",
    "queue, one product": "/desk?product=prescriptions",
    "queue, overdue": "/desk?overdue=1",
    "queue, search": "/desk?text=9876",
    "request with evidence": "/desk/rev_00000",
    "request without": "/desk/rev_05000",
    "run, judged": "/conformance/run_done",
    "run, live (1,000 calls)": "/conformance/run_live/progress",
    "requests behind a verdict": "/conformance/run_done/requirements/id-1",
}


async def measure(portal: Portal) -> int:
    """Time every page; returns how many failed."""
    worst = 0
    statements: dict[str, set[str]] = {}
    browser = portal.browser()
    signed = await browser.submit("/sign-in", email="first@example.org", password=PASSWORD)
    assert signed.status_code == 303, signed.text
    print(f"{'page':<28}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'queries':>9}")
    for name, path in PAGES.items():
        seen: list[str] = []

        def note(_c: Any, _u: Any, statement: str, _p: Any, _x: Any, _m: Any, kept: list[str] = seen) -> None:
            kept.append(statement)

        event.listen(portal.engine.sync_engine, "before_cursor_execute", note)
        answer = await browser.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        event.remove(portal.engine.sync_engine, "before_cursor_execute", note)
        statements[name] = {text for text in seen if text.lstrip().startswith("SELECT")}
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            await browser.get(path)
            times.append((time.perf_counter() - start) * 1000)
        times.sort()
        p95 = times[int(len(times) * 0.95)]
        print(f"{name:<28}{times[len(times) // 2]:>9.1f}{p95:>9.1f}{times[-1]:>9.1f}{len(seen):>9}")
        worst += p95 > LIMIT_MS
    await browser.aclose()
    return worst + plans(portal, statements)


def plans(portal: Portal, statements: dict[str, set[str]]) -> int:
    """Look at every query plan; prints and counts those that walk a large table without an index."""
    bad = 0
    path = str(portal.engine.url.database)
    with sqlite3.connect(path) as raw:
        for name, texts in statements.items():
            for text in sorted(texts):
                rows = raw.execute(f"EXPLAIN QUERY PLAN {text}", [""] * text.count("?")).fetchall()
                walks = [row[3] for row in rows if row[3].startswith("SCAN") and "INDEX" not in row[3]]
                walks = [step for step in walks if any(table in step for table in LARGE)]
                if walks:
                    print(f"whole table walked for {name}: {walks}\n  {' '.join(text.split())[:300]}")
                    bad += 1
    print(f"query plans: {sum(map(len, statements.values()))} looked at, {bad} walk a large table")
    return bad


async def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = create_engine(f"sqlite+aiosqlite:///{folder / 'empty.sqlite3'}")
        await upgrade(engine)
        await engine.dispose()
        ports = Ports(NoHand(), PortalSigner(b"s" * 32))
        routes = [*users_pages.routes, *pages.routes, *desk_pages.routes, *conformance_pages.routes]
        given = {**conformance_dependency(ports), **blobs_dependency(MemoryBlobs())}
        (folder / "data").mkdir()
        async with portal_app(folder / "empty.sqlite3", folder / "data", routes, dependencies=given) as portal:
            async with transaction(portal.sessions) as session:
                world = await build(session)
                world.first.password_hash = await hash_password(PASSWORD)
            started = time.perf_counter()
            await asyncio.to_thread(fill, folder / "data" / "portal.sqlite3")
            print(f"{REQUESTS:,} open requests, {CALLS:,} calls; filled in {time.perf_counter() - started:.0f} s")
            return await measure(portal)


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main()), 1))
