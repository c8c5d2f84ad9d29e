"""No company reaches another's things by their ids, on any route that the portal's OpenAPI document lists.

The routes come from the document: a new one is attacked from its first day, and one whose path holds an id that is not known here
fails until somebody says whose id it is.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from portal.conformance.models import Evidence
from portal.demo import ReadyApp
from portal.kernel.database import transaction
from tests.factories.companies import registered
from tests.factories.installation import Installation
from tests.factories.portal_app import PASSWORD

Node = dict[str, Any]
# Ids that belong to nobody: the catalogue's, and parts of a path that are names.
SHARED = {"environment": "sandbox", "product_id": "health-record", "question": "policy_file"}
# Routes without an id in their path. PUBLIC ones say the same to everybody; OWN ones speak of the caller alone; the DESK is the ministry's.
PUBLIC = {
    "/api/v1/confirmations",
    "/api/v1/password-resets", "/api/v1/products", "/api/v1/questionnaire", "/api/v1/register", "/api/v1/requirements",
    "/api/v1/sessions", "/api/v1/signing-keys", "/api/v1/users",
}  # fmt: skip
OWN = {
    "/api/v1/companies", "/api/v1/invitations/acceptance", "/api/v1/me",
    "/api/v1/me/confirmation", "/api/v1/me/password", "/api/v1/me/second-factor",
    "/api/v1/me/second-factor/removal", "/api/v1/me/tokens", "/api/v1/reviews/mine", "/api/v1/sessions/current",
}  # fmt: skip
DESK = {"/api/v1/reviews", "/api/v1/reviews/load", "/api/v1/suspensions"}
# What differs between two answers to the same question: where and when it was asked.
_VARIES = re.compile(r'"(?:instance|request_id|request-id)":"[^"]*",?')


def example(schema: Node, shared: Node, depth: int = 0) -> Any:
    """A small value that fits a JSON schema of the document."""
    if "$ref" in schema:
        return example(shared[schema["$ref"].rpartition("/")[2]], shared, depth)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return example(schema[key][0], shared, depth)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if schema.get("enum"):
        return schema["enum"][0]
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required", ()) if depth else (*schema.get("required", ()), *schema.get("properties", {}))
        return {name: example(schema["properties"][name], shared, depth + 1) for name in dict.fromkeys(wanted)}
    simple = {"array": [], "integer": 1, "number": 1, "boolean": True, "null": None}
    return simple.get(str(kind), "x" * max(int(schema.get("minLength", 0)), 4))


class Victim:
    """Company A with one of everything, and the ids of it all by the name of the path parameter."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api, self.ids = api, dict[str, str]()

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await self.api.request(method, f"/api/v1{path}", **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else {}


async def victim(whole: Installation) -> Victim:
    made = Victim(await whole.demo_account(0))
    ready = await whole.ready_app()
    app = f"/apps/{ready.app_id}"
    company = (await made.ask("GET", app))["app"]["company_id"]
    me = await made.ask("GET", "/me")
    proof = {"kind": "domain", "subject": "example.org"}
    made.ids = {"app_id": ready.app_id, "company_id": company, "user_id": me["id"], "plan_id": "health-record-sandbox"}
    made.ids["proof_id"] = (await made.ask("POST", f"/companies/{company}/proofs", json=proof))["id"]
    invitation = await made.ask("POST", f"/companies/{company}/invitations", json={"email": "new@example.org"})
    made.ids["invitation_id"] = invitation["id"]
    credentials = await made.ask("GET", f"{app}/environments/sandbox/credentials")
    made.ids["credential_id"] = credentials[0]["id"]
    made.ids["subscription_id"] = (await made.ask("GET", f"{app}/environments/sandbox/subscriptions"))[0]["id"]
    made.ids["snapshot"] = (await made.ask("POST", f"{app}/sandbox/snapshots", json={"name": "before"}))["snapshot"]
    made.ids["token_id"] = (await made.ask("POST", "/me/tokens", json={"name": "script"}))["info"]["id"]
    run = await made.ask("POST", f"{app}/conformance/runs", json={"app_version": "1.0"})
    made.ids["run_id"] = run["id"]
    review = await made.ask("POST", f"{app}/reviews", json={})
    made.ids["review_id"] = review["id"]
    pdf = {"content": b"%PDF-1.4\n%%EOF\n", "headers": {"content-type": "application/pdf"}}
    made.ids["attachment_id"] = (await made.ask("POST", f"/reviews/{review['id']}/attachments/policy_file", **pdf))[
        "id"
    ]
    made.ids["call_id"] = await called(whole, ready, made)
    desk = Victim(await whole.demo_account(4))
    order = {
        "target": "app",
        "id": ready.app_id,
        "grade": "limited",
        "reason_code": "abuse",
        "reason": "Being looked at.",
    }
    made.ids["suspension_id"] = (await desk.ask("POST", "/suspensions", json=order))["id"]
    await desk.api.aclose()
    return made


async def called(whole: Installation, ready: ReadyApp, one: Victim) -> str:
    """A call of the App through the gateway, and its number in the request log."""
    token = (await whole.token(ready.client_id, ready.client_secret)).json()["access_token"]
    async with whole.http(token) as client:
        answer = await client.get("/sandbox/fhir/R4/Patient?_count=1")
        assert answer.status_code == 200, answer.text
    for _ in range(100):
        log = await one.ask("GET", f"/apps/{ready.app_id}/requests")
        if log["calls"]:
            return str(log["calls"][0]["id"])
        await asyncio.sleep(0.1)
    raise AssertionError("the call is in no request log")


async def evidence(whole: Installation, one: Victim) -> None:
    row = Evidence(
        id="evd_secret",
        run_id=one.ids["run_id"],
        app_id=one.ids["app_id"],
        company_id=one.ids["company_id"],
        app_version="1.0",
        suite_version="1",
        passes=True,
        jws="a.b.c",
        created_at=datetime.now(UTC),
    )
    async with transaction(whole.gozar.sessions) as session:
        session.add(row)
    one.ids["evidence_id"] = row.id


async def stranger(whole: Installation) -> tuple[httpx.AsyncClient, dict[str, str]]:
    """A developer of another company, and the ids of their own things."""
    person = {"email": "stranger@example.org", "name": "Mallory", "password": PASSWORD}
    async with whole.http() as client:
        assert (await client.post("/api/v1/users", json=person)).status_code == 202
    client = await whole.sign_in(person["email"], PASSWORD)
    company = await registered(client, number=7)
    app = (await client.post(f"/api/v1/companies/{company['id']}/apps", json={"name": "Mallory's"})).json()["app"]
    assert (
        await client.post(f"/api/v1/apps/{app['id']}/sandbox", json={"products": ["health-record"]})
    ).status_code == 201
    return client, {"company_id": company["id"], "app_id": app["id"]}


def routes(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, item in sorted(document["paths"].items()):
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation


def absent(value: str) -> str:
    """An id of the same form that nothing has."""
    return value[:-4] + ("zzzz" if not value.endswith("zzzz") else "yyyy")


def same(one: httpx.Response, other: httpx.Response, ids: dict[str, str]) -> bool:
    """Whether two answers tell the caller the same."""

    def told(answer: httpx.Response) -> str:
        text = answer.text
        for value in ids.values():
            text = text.replace(value, "ID").replace(absent(value), "ID")
        return _VARIES.sub("", text)

    return one.status_code == other.status_code and told(one) == told(other)


async def attacked(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    operation: Node,
    ids: dict[str, str],
    own: dict[str, str],
    shared: Node,
) -> tuple[int, str]:
    """The status of a route called with somebody else's `ids`, and what is wrong with the answer ("": nothing)."""
    content = next(iter(operation.get("requestBody", {}).get("content", {}).items()), None)
    more: Node = {}
    if content is not None and "json" in content[0]:
        more["json"] = example(content[1].get("schema", {}), shared)
    elif content is not None:
        more = {"content": b"x", "headers": {"content-type": content[0]}}
    theirs = await client.request(method, path.format(**ids, **own, **SHARED), **more)
    nobodys = await client.request(
        method, path.format(**{k: absent(v) for k, v in ids.items()}, **own, **SHARED), **more
    )
    if theirs.status_code < 400 or theirs.status_code >= 500:
        return theirs.status_code, f"{method} {path}: {theirs.status_code} {theirs.text[:200]}"
    if not same(theirs, nobodys, ids):
        told = f"{theirs.status_code} {theirs.text[:200]} and of nothing {nobodys.status_code} {nobodys.text[:200]}"
        return theirs.status_code, f"{method} {path}: tells {told}"
    return theirs.status_code, ""


async def test_ids_of_another_company_look_like_ids_of_nothing(whole: Installation) -> None:
    one = await victim(whole)
    await evidence(whole, one)
    foreign, own = await stranger(whole)
    statuses: Counter[int] = Counter()
    faults, unknown = [], []
    async with whole.http() as anybody:
        document = (await anybody.get("/api/v1/openapi.json")).json()
        shared = document["components"]["schemas"]
        for method, path, operation in routes(document):
            names = re.findall(r"\{(\w+)\}", path)
            if not names:
                unknown += [f"{method} {path}"] * (path not in PUBLIC | OWN | DESK)
                continue
            missing = [name for name in names if name not in one.ids and name not in SHARED]
            unknown += [f"{method} {path}: whose is {missing}?"] if missing else []
            ids = {name: one.ids[name] for name in names if name in one.ids}
            if missing or not ids:
                continue
            if method == "GET":
                answer = await one.api.get(path.format(**ids, **SHARED))
                faults += [f"not even its owner reads {path}: {answer.text[:200]}"] * (answer.status_code >= 500)
            deeper = {name: value for name, value in ids.items() if name not in own}
            mixed = {name: own[name] for name in ids if name in own}
            ways = [(foreign, ids, {}), (anybody, ids, {}), *([(foreign, deeper, mixed)] if deeper and mixed else [])]
            for caller, theirs, mine in ways:
                status, wrong = await attacked(caller, method, path, operation, theirs, mine, shared)
                statuses[status] += 1
                faults += [wrong] if wrong else []
    assert not unknown, "say in this file whose these are:\n" + "\n".join(unknown)
    assert not faults, "\n".join(faults)[:6000]
    judged = statuses[401] + statuses[403] + statuses[404]
    assert judged > 0.85 * statuses.total(), f"too many calls end before anybody asks whose it is: {statuses}"
    await one.api.aclose()
    await foreign.aclose()


async def test_lists_of_ones_own_hold_nothing_of_another_company(whole: Installation) -> None:
    one = await victim(whole)
    foreign, _ = await stranger(whole)
    own = json.dumps(sorted(one.ids.values()))
    for path in sorted(PUBLIC | OWN | DESK):
        answer = await foreign.get(path)
        assert answer.status_code in (200, 403, 404, 405), f"{path}: {answer.text}"
        leaked = [name for name, value in one.ids.items() if name != "plan_id" and value in answer.text]
        assert not leaked, f"{path} shows {leaked} of {own}"
        if path in DESK:
            assert answer.status_code in (403, 404), f"{path} is the ministry's"
    await one.api.aclose()
    await foreign.aclose()
