"""Apps and Credentials through the JSON API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from portal.apps import secrets
from portal.apps.models import AppEnvironment, Credential
from tests.factories.portal_app import Portal
from tests.factories.rooms import app_of, sandbox_of

CREDENTIALS = "/api/v1/apps/{app}/environments/sandbox/credentials"


def public_keys() -> dict[str, object]:
    key = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
    return {"keys": [key.as_dict(private=False)]}


async def test_an_app_goes_from_nothing_to_a_secret_in_two_calls(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    opened = await sandbox_of(owner, app["id"], "appointments", "prescriptions")
    secret, place = opened["client_secret"], opened["environment"]
    assert secrets.is_well_formed(secret) and secrets.environment_of(secret) == "sandbox"
    assert place["token_url"] == "http://gozar.test/sandbox/oauth/token"
    assert place["fhir_base_url"] == "http://gozar.test/sandbox/fhir/R4"
    assert "system/MedicationRequest.rs" in place["scopes"] and "system/Appointment.rs" in place["scopes"]
    assert place["tenant"] in portal.extras["tenants"].made
    assert {row["product"] for row in opened["subscriptions"]} == {"appointments", "prescriptions"}
    again = await sandbox_of(owner, app["id"], "laboratory")
    assert again["client_secret"] == "" and again["environment"]["client_id"] == place["client_id"]
    async with portal.sessions() as session:
        stored = (await session.scalars(select(Credential))).one()
    assert stored.secret_hash == secrets.digest(secret, b"p" * 32) and secret not in str(vars(stored))


async def test_secrets_rotate_with_overlap_and_revoking_raises_the_epoch(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    path = CREDENTIALS.format(app=app["id"])
    first = (await owner.get(path)).json()[0]
    rotated = await owner.post(f"{path}/{first['id']}/rotation", json={"overlap_hours": 2})
    assert rotated.status_code == 201 and secrets.is_well_formed(rotated.json()["client_secret"])
    assert [row["active"] for row in (await owner.get(path)).json()] == [True, True]
    portal.clock.advance(timedelta(hours=2))
    listed = {row["id"]: row["active"] for row in (await owner.get(path)).json()}
    assert listed == {first["id"]: False, rotated.json()["credential"]["id"]: True}
    async with portal.sessions() as session:
        before = await session.scalar(select(AppEnvironment.epoch))
    assert (await owner.delete(f"{path}/{rotated.json()['credential']['id']}")).status_code == 204
    async with portal.sessions() as session:
        assert await session.scalar(select(AppEnvironment.epoch)) == (before or 0) + 1
    for hours in (-1, 169):
        bad = await owner.post(f"{path}/{first['id']}/rotation", json={"overlap_hours": hours})
        assert bad.status_code == 422 and bad.json()["errors"][0]["field"] == "overlap_hours"


async def test_public_keys_are_registered_and_private_ones_refused(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    path = CREDENTIALS.format(app=app["id"])
    made = await owner.post(path, json={"kind": "jwks", "jwks": public_keys()})
    assert made.status_code == 201 and made.json()["credential"]["kids"] == ["one"]
    private = ECKey.generate_key("P-256", {"kid": "two"}).as_dict(private=True)
    for body in (
        {"kind": "jwks", "jwks": {"keys": [private]}},
        {"kind": "jwks", "jwks": {"keys": []}},
        {"kind": "jwks", "jwks": {"nothing": 1}},
        {"kind": "jwks"},
        {"kind": "jwks_uri", "jwks_uri": "http://example.ir/jwks"},
        {"kind": "jwks_uri", "jwks_uri": "https://u:p@example.ir/jwks"},
        {"kind": "password"},
        {"kind": "secret", "lifetime_days": 0},
    ):
        answer = await owner.post(path, json=body)
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"], (body, answer.text)


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.ir/cb#part",
        "http://app.example.ir/cb",
        "https://*.example.ir/cb",
        "https://user@app.example.ir/cb",
        "javascript:alert(1)",
        "//app.example.ir",
        "https://app.example.ir\\@evil.example",
        "",
    ],
)
async def test_redirect_uris_are_exact_and_safe(portal: Portal, uri: str) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner, public=True)
    await sandbox_of(owner, app["id"])
    path = f"/api/v1/apps/{app['id']}/environments/sandbox/redirect-uris"
    good = await owner.put(path, json={"redirect_uris": ["https://app.example.ir/cb", "http://127.0.0.1:9/cb"]})
    assert good.status_code == 200 and len(good.json()["redirect_uris"]) == 2
    if uri:
        bad = await owner.put(path, json={"redirect_uris": [uri]})
        assert bad.status_code == 422 and bad.json()["errors"][0]["field"] == "redirect_uris"
        kept = (await owner.get(f"/api/v1/apps/{app['id']}")).json()["environments"][0]["redirect_uris"]
        assert len(kept) == 2


async def test_another_companys_app_looks_absent_on_every_route(portal: Portal) -> None:
    owner, stranger = await portal.signed_in_script("a@example.ir"), await portal.signed_in_script("b@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    credential = (await owner.get(CREDENTIALS.format(app=app["id"]))).json()[0]["id"]
    mine = await app_of(stranger, number=2)
    await sandbox_of(stranger, mine["id"])
    base, place = f"/api/v1/apps/{app['id']}", f"/api/v1/apps/{app['id']}/environments/sandbox"
    calls = [
        ("GET", f"/api/v1/companies/{app['company_id']}/apps", None),
        ("POST", f"/api/v1/companies/{app['company_id']}/apps", {"name": "Mine"}),
        ("GET", base, None),
        ("PATCH", base, {"name": "Mine"}),
        ("POST", f"{base}/sandbox", {"products": ["consent"]}),
        ("POST", f"{base}/subscriptions", {"plan": "consent-sandbox"}),
        ("DELETE", f"{base}/subscriptions/sub_x", None),
        ("GET", f"{place}/subscriptions", None),
        ("GET", f"{place}/credentials", None),
        ("POST", f"{place}/credentials", {"kind": "secret"}),
        ("POST", f"{place}/credentials/{credential}/rotation", {}),
        ("DELETE", f"{place}/credentials/{credential}", None),
        ("PUT", f"{place}/redirect-uris", {"redirect_uris": []}),
        ("POST", f"{base}/sandbox/reset", None),
        ("GET", f"{base}/sandbox/snapshots", None),
        ("POST", f"{base}/sandbox/snapshots", {}),
        ("POST", f"{base}/sandbox/restore", {"snapshot": "snap_1"}),
    ]
    for method, path, body in calls:
        hidden = await stranger.request(method, path, json=body)
        assert hidden.status_code == 404, (method, path, hidden.text)
        async with portal.script() as nobody:
            assert (await nobody.request(method, path, json=body)).status_code == 401, (method, path)
    # A credential of one's neighbour is absent under one's own App too.
    foreign = f"/api/v1/apps/{mine['id']}/environments/sandbox/credentials/{credential}"
    assert (await stranger.delete(foreign)).status_code == 404
    assert (await owner.get(CREDENTIALS.format(app=app["id"]))).json()[0]["active"]


async def test_production_is_not_opened_by_its_owner(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    plans = (await owner.get("/api/v1/products/appointments")).json()["plans"]
    production = next(plan["id"] for plan in plans if plan["environment"] == "production")
    refused = await owner.post(f"/api/v1/apps/{app['id']}/subscriptions", json={"plan": production})
    assert refused.status_code == 409 and refused.json()["type"].endswith("#review-first")
    place = f"/api/v1/apps/{app['id']}/environments/production/credentials"
    assert (await owner.post(place, json={"kind": "jwks", "jwks": public_keys()})).status_code == 404


async def test_a_viewer_reads_and_changes_nothing(portal: Portal) -> None:
    owner, viewer = await portal.signed_in_script("a@example.ir"), await portal.signed_in_script("v@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    await owner.post(
        f"/api/v1/companies/{app['company_id']}/invitations", json={"email": "v@example.ir", "role": "viewer"}
    )
    token = portal.mailer.sent[-1].text.split("/invitations/")[1].split()[0]
    await viewer.post("/api/v1/invitations/acceptance", json={"token": token})
    path = CREDENTIALS.format(app=app["id"])
    assert (await viewer.get(path)).status_code == 200
    for method, where, body in (
        ("POST", path, {"kind": "secret"}),
        ("PATCH", f"/api/v1/apps/{app['id']}", {"name": "Other"}),
        ("POST", f"/api/v1/apps/{app['id']}/sandbox", {"products": ["consent"]}),
        ("POST", f"/api/v1/apps/{app['id']}/sandbox/reset", None),
    ):
        assert (await viewer.request(method, where, json=body)).status_code == 403


async def test_sandbox_data_is_reset_kept_and_restored(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    base = f"/api/v1/apps/{app['id']}"
    assert (await owner.post(f"{base}/sandbox/reset")).status_code == 204
    kept = (await owner.post(f"{base}/sandbox/snapshots", json={"name": "before the test"})).json()["snapshot"]
    assert [row["snapshot"] for row in (await owner.get(f"{base}/sandbox/snapshots")).json()] == [kept]
    assert (await owner.post(f"{base}/sandbox/restore", json={"snapshot": kept})).status_code == 204
    assert (await owner.post(f"{base}/sandbox/restore", json={"snapshot": "snap_absent"})).status_code == 404
