"""The whole passage over HTTP, against both real exchanges: from registration to a production call, and its end."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from portal.reviews.questionnaire import questions
from tests.factories.installation import PUBLIC_URL, Installation

PASSWORD = "seven quiet rivers"
SCOPES = ("system/Patient.rs", "system/Observation.rs")


async def good(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )
    return answer.json() if answer.content else None


def answers() -> dict[str, str]:
    """An accepted answer to every question of the questionnaire."""
    fixed = {
        "email": "safety@example.org",
        "phone": "021 1234 5678",
        "url": "https://example.org/privacy",
        "date": "2026-05-30",
    }
    made: dict[str, str] = {}
    for question in questions().values():
        if question.kind == "yes_no":
            made[question.id] = question.must or "no"
        elif question.kind == "choice":
            made[question.id] = question.choices[0].id
        elif question.kind == "number":
            made[question.id] = str(max(question.min or 0, 1))
        elif question.kind != "file":
            made[question.id] = fixed.get(question.kind, "x" * max(question.min or 0, 10))
    return made


async def sign_up(whole: Installation, email: str) -> httpx.AsyncClient:
    async with whole.http() as client:
        await good(await client.post("/api/v1/users", json={"email": email, "name": "سارا", "password": PASSWORD}), 202)
    return await whole.sign_in(email, PASSWORD)


def assertion(key: ECKey, client_id: str, audience: str) -> str:
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + 120,
        "jti": f"{time.time_ns()}",
    }
    return jwt.encode({"alg": "ES384", "kid": "k1"}, claims, key, algorithms=["ES384"])


async def key_token(whole: Installation, key: ECKey, client_id: str) -> httpx.Response:
    url = f"{PUBLIC_URL}/production/oauth/token"
    async with whole.http() as client:
        return await client.post(
            url,
            data={
                "grant_type": "client_credentials",
                "scope": " ".join(SCOPES),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion(key, client_id, url),
            },
        )


async def sandbox_app(developer: httpx.AsyncClient) -> tuple[str, dict[str, Any], str]:
    """Register a Company and an App and open its sandbox; returns app id, presence and secret."""
    company = await good(
        await developer.post(
            "/api/v1/companies", json={"name": "نبض‌نگار", "national_id": "10380284790", "certificate_number": "DB-77"}
        ),
        201,
    )
    await good(
        await developer.post(
            f"/api/v1/companies/{company['id']}/invitations", json={"email": "omid@example.ir", "role": "developer"}
        ),
        201,
    )
    made = await good(await developer.post(f"/api/v1/companies/{company['id']}/apps", json={"name": "نبض من"}), 201)
    app = made["app"]["id"] if "app" in made else made["id"]
    for plan in ("health-record-sandbox", "appointments-sandbox"):
        await good(await developer.post(f"/api/v1/apps/{app}/subscriptions", json={"plan": plan}), 201)
    shown = await good(await developer.get(f"/api/v1/apps/{app}"))
    presence = next(place for place in shown["environments"] if place["environment"] == "sandbox")
    path = f"/api/v1/apps/{app}/environments/sandbox/credentials"
    secret = (await good(await developer.post(path, json={"kind": "secret"}), 201))["client_secret"]
    assert secret not in (await developer.get(path)).text
    return app, presence, secret


async def test_from_registration_to_a_production_call_and_suspension(whole: Installation) -> None:
    developer = await sign_up(whole, "sara@example.ir")
    app, presence, secret = await sandbox_app(developer)

    # A colleague follows the link in the mail and belongs to the Company.
    invitation = next(message for message in whole.mailer.sent if message.to == "omid@example.ir")
    colleague = await sign_up(whole, "omid@example.ir")
    link = re.search(r"https?://\S+", invitation.text)
    assert link is not None
    token_in_link = link.group(0).rstrip("/").split("/")[-1].split("=")[-1]
    await good(await colleague.post("/api/v1/invitations/acceptance", json={"token": token_in_link}))
    assert (await colleague.get(f"/api/v1/apps/{app}")).status_code == 200

    # A stranger sees nothing of it.
    stranger = await sign_up(whole, "stranger@example.ir")
    assert (await stranger.get(f"/api/v1/apps/{app}")).status_code == 404

    # Sandbox: token, search with paging, create, read, update.
    token = (await good(await whole.token(presence["client_id"], secret, scope="system/*.cruds")))["access_token"]
    sandbox = whole.http(token)
    base = "/sandbox/fhir/R4"
    first = await good(await sandbox.get(f"{base}/Patient", params={"_count": 5}))
    following = next(entry["url"] for entry in first["link"] if entry["relation"] == "next")
    second = await good(await sandbox.get(following))
    ids = [entry["resource"]["id"] for page in (first, second) for entry in page["entry"]]
    assert len(ids) == len(set(ids)) == 10
    created = await sandbox.post(f"{base}/Patient", json={"resourceType": "Patient", "name": [{"family": "آزمون"}]})
    patient = await good(created, 201)
    patient["active"] = True
    updated = await sandbox.put(
        f"{base}/Patient/{patient['id']}", json=patient, headers={"if-match": created.headers["etag"]}
    )
    assert (await good(updated))["meta"]["versionId"] == "2"
    assert (await good(await whole.http().get(f"{base}/metadata")))["fhirVersion"] == "4.0.1"

    # A wrong scope is 403, a wrong token 401, each as OperationOutcome.
    narrow = (await good(await whole.token(presence["client_id"], secret, scope="system/Observation.rs")))[
        "access_token"
    ]
    refused = await whole.http(narrow).get(f"{base}/Patient")
    assert (refused.status_code, refused.json()["resourceType"]) == (403, "OperationOutcome")
    tampered = await whole.http(token[:-6] + "AAAAAA").get(f"{base}/Patient")
    assert (tampered.status_code, tampered.json()["resourceType"]) == (401, "OperationOutcome")

    # The ministry verifies the Company, then decides on the request, per scope.
    admin, reviewer, other = [await whole.demo_account(number) for number in (4, 2, 3)]
    companies = await good(await developer.get("/api/v1/companies"))
    listed = companies["items"] if isinstance(companies, dict) else companies
    company = listed[0]["id"]
    verified = await reviewer.put(
        f"/api/v1/companies/{company}/verification", json={"status": "verified", "reason": "مدارک دیده شد"}
    )
    assert verified.status_code in (200, 204), verified.text
    review = (await good(await developer.post(f"/api/v1/apps/{app}/reviews"), 201))["id"]
    draft = {
        "answers": answers(),
        "scopes": dict.fromkeys(SCOPES, "برای نمایش آزمایش‌ها به خود بیمار لازم است"),
        "app_version": "1.0",
    }
    await good(await developer.patch(f"/api/v1/reviews/{review}", json=draft))
    assert await good(await developer.get(f"/api/v1/reviews/{review}/missing")) == []
    await good(await developer.post(f"/api/v1/reviews/{review}/submit"))
    queue = await good(await reviewer.get("/api/v1/reviews"))
    assert review in [row["id"] for row in queue["items"]]
    await good(await reviewer.post(f"/api/v1/reviews/{review}/assign", json={"reviewer": "me"}))
    verdict = {
        "scopes": {scope: {"approved": True} for scope in SCOPES},
        "evidence_exception": "در جلسهٔ حضوری دیده شد",
    }
    await good(await reviewer.post(f"/api/v1/reviews/{review}/approve", json=verdict))
    shown = await good(await developer.get(f"/api/v1/reviews/{review}"))
    if shown["status"] == "awaiting_second":
        await good(await other.post(f"/api/v1/reviews/{review}/confirm"))

    # Production: a registered key, a token, a call; sandbox tokens are refused there and the reverse.
    key = ECKey.generate_key("P-384")
    path = f"/api/v1/apps/{app}/environments/production/credentials"
    assert (await developer.post(path, json={"kind": "secret"})).status_code == 422
    public = {**key.as_dict(private=False), "kid": "k1", "use": "sig"}
    await good(await developer.post(path, json={"kind": "jwks", "jwks": {"keys": [public]}}), 201)
    place = next(
        p
        for p in (await good(await developer.get(f"/api/v1/apps/{app}")))["environments"]
        if p["environment"] == "production"
    )
    issued = await good(await key_token(whole, key, place["client_id"]))
    live = whole.http(issued["access_token"])
    found = await good(await live.get("/production/fhir/R4/Patient", params={"_count": 3}))
    assert len(found["entry"]) == 3
    assert (await live.get(f"{base}/Patient")).status_code == 401
    assert (await sandbox.get("/production/fhir/R4/Patient")).status_code == 401

    # A reviewer suspends the App: the very next call is refused, also with the token issued before, within a second.
    cut = {"target": "app", "id": app, "grade": "involuntary", "reason_code": "data-leak", "reason": "بررسی نشت داده"}
    await good(await reviewer.post("/api/v1/suspensions", json=cut), 201)
    started = time.monotonic()
    for caller, url in ((live, "/production/fhir/R4/Patient"), (sandbox, f"{base}/Patient")):
        answer = await caller.get(url)
        assert (answer.status_code, answer.json()["resourceType"]) == (403, "OperationOutcome")
    assert time.monotonic() - started < 1
    assert (await key_token(whole, key, place["client_id"])).status_code in (400, 401)

    # Every step lies in the record, and the record is whole.
    record = await good(await developer.get(f"/api/v1/reviews/{review}/record"))
    assert {"review.started", "review.submitted", "review.approved"} <= {entry["action"] for entry in record}
    for client in (developer, colleague, stranger, sandbox, live, admin, reviewer, other):
        await client.aclose()


async def test_limits_are_exact_and_say_so(whole: Installation) -> None:
    ready = await whole.ready_app(per_second=100, per_minute=3, quota=1000)
    token = (await whole.token(ready.client_id, ready.client_secret)).json()["access_token"]
    async with whole.http(token) as client:
        statuses = [(await client.get("/sandbox/fhir/R4/Patient/none")).status_code for _ in range(3)]
        refused = await client.get("/sandbox/fhir/R4/Patient/none")
    assert statuses == [404, 404, 404]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "sustained" in refused.headers["ratelimit"]
    outcome = refused.json()
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", "throttled")


async def test_what_one_app_writes_no_other_app_sees(whole: Installation) -> None:
    first, second = await whole.ready_app(), await whole.ready_app()
    tokens = [(await whole.token(app.client_id, app.client_secret)).json()["access_token"] for app in (first, second)]
    async with whole.http(tokens[0]) as mine, whole.http(tokens[1]) as theirs:
        made = await good(
            await mine.post("/sandbox/fhir/R4/Patient", json={"resourceType": "Patient", "gender": "female"}), 201
        )
        assert (await theirs.get(f"/sandbox/fhir/R4/Patient/{made['id']}")).status_code == 404
        counts = [(await good(await c.get("/sandbox/fhir/R4/Patient?_summary=count")))["total"] for c in (mine, theirs)]
        assert counts[0] == counts[1] + 1
        person = (await good(await theirs.get("/sandbox/fhir/R4/Patient?_count=1")))["entry"][0]["resource"]
        assert (await mine.delete(f"/sandbox/fhir/R4/Patient/{person['id']}")).status_code in (200, 204)
        assert (await mine.get(f"/sandbox/fhir/R4/Patient/{person['id']}")).status_code == 410
        assert (await theirs.get(f"/sandbox/fhir/R4/Patient/{person['id']}")).status_code == 200
