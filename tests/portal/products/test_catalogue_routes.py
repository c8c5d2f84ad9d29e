"""The public catalogue, as pages and as JSON."""

from __future__ import annotations

from tests.factories.portal_app import Portal


async def test_anybody_reads_the_catalogue(portal: Portal) -> None:
    async with portal.script() as client:
        found = (await client.get("/api/v1/products")).json()
        assert len(found) == 10 and found[0]["id"] == "health-record"
        one = (await client.get("/api/v1/products/prescriptions")).json()
    assert {plan["environment"] for plan in one["plans"]} == {"sandbox", "production"}
    assert all(scope["meaning_fa"] and scope["meaning_en"] for scope in one["scopes"])
    async with portal.browser() as browser:
        for prefix, word in (("", "نسخه"), ("/en", "rescription")):
            assert word in (await browser.get(f"{prefix}/products")).text
            page = await browser.get(f"{prefix}/products/prescriptions")
            assert page.status_code == 200 and "MedicationRequest" in page.text


async def test_an_absent_product_is_a_problem_in_the_callers_shape(portal: Portal) -> None:
    async with portal.script() as client, portal.browser() as browser:
        answer = await client.get("/api/v1/products/nothing")
        assert answer.status_code == 404 and answer.json()["type"].endswith("#not-found")
        page = await browser.get("/products/nothing")
        assert page.status_code == 404 and "چنین محصولی" in page.text
        page = await browser.get("/en/no/such/page")
        assert page.status_code == 404 and 'lang="en"' in page.text
        assert "content-security-policy" in page.headers
