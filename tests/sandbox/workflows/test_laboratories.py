"""Laboratory and imaging orders over REST, on the Tenant's clock."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import DOCTOR, PATIENT, advance, do, found, get, script, text_of, timeline

pytestmark = pytest.mark.asyncio(loop_scope="session")
POTASSIUM, SODIUM = "2823-3", "2951-2"


async def order(app: httpx.AsyncClient, *tests: str) -> dict[str, Any]:
    return await do(app, "ServiceRequest/$order", patient=PATIENT, requester=DOCTOR, test=list(tests))


async def test_an_order_is_collected_reported_and_finalised_by_the_laboratory(clinic: World) -> None:
    async with clinic.client() as app:
        made = await order(app, POTASSIUM, SODIUM)
        path = f"ServiceRequest/{made['id']}"
        await advance(clinic, app, hours=1)
        (specimen,) = await found(app, f"Specimen?subject={PATIENT}")
        assert specimen["request"][0]["reference"] == path
        await advance(clinic, app, hours=1)
        (report,) = await found(app, f"DiagnosticReport?based-on={path}")
        assert report["status"] == "preliminary" and len(report["result"]) == 1
        await advance(clinic, app, hours=2)
        (report,) = await found(app, f"DiagnosticReport?based-on={path}")
        assert report["status"] == "final" and len(report["result"]) == 2
        for item in report["result"]:
            value = await get(app, item["reference"])
            assert value["status"] == "final" and value["referenceRange"][0]["low"]["value"] > 0
            assert value["interpretation"][0]["coding"][0]["code"] == "N"
        assert (await get(app, path))["status"] == "completed"


async def test_a_critical_value_alerts_whoever_ordered_it(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, laboratory={"mode": "accept", "options": {"values": {POTASSIUM: 6.9}}})
        await order(app, POTASSIUM)
        await advance(clinic, app, hours=4)
        alerts = await found(app, f"Communication?recipient={DOCTOR}")
        assert alerts and all(a["priority"] == "stat" and "6.9" in a["payload"][0]["contentString"] for a in alerts)
        assert "laboratory-critical" in await timeline(clinic, app)


async def test_a_result_is_corrected_and_its_earlier_value_stays_in_the_history(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, laboratory="silent")
        made = await order(app, POTASSIUM)
        path = f"ServiceRequest/{made['id']}"
        refused = await do(
            app, f"{path}/$report", 409, stage="corrected", result=[{"parts": {"code": POTASSIUM, "value": 4.0}}]
        )
        assert "'ordered': 'correct' is not possible" in text_of(refused)
        await do(app, f"{path}/$collect")
        await do(app, f"{path}/$report", stage="final", result=[{"parts": {"code": POTASSIUM, "value": 4.0}}])
        report = await do(
            app, f"{path}/$report", stage="corrected", result=[{"parts": {"code": POTASSIUM, "value": 5.6}}]
        )
        value = report["result"][0]["reference"]
        history = await get(app, f"{value}/_history")
        assert [e["resource"]["valueQuantity"]["value"] for e in history["entry"]] == [5.6, 4.0]
        assert (await get(app, value))["interpretation"][0]["coding"][0]["code"] == "H"
        back = await app.put(f"DiagnosticReport/{report['id']}", json=report | {"status": "preliminary"})
        assert back.status_code == 409
        assert "was not ordered" in text_of(
            await do(
                app, f"{path}/$report", 422, stage="corrected", result=[{"parts": {"code": SODIUM, "value": 140.0}}]
            )
        )
        assert (
            "final"
            not in text_of(await do(app, f"{path}/$cancel", 409, reason="late")).split("Allowed")[0].split(":")[0]
        )


async def test_orders_are_cancelled_or_spoiled(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, laboratory="error")
        made = await order(app, POTASSIUM)
        await advance(clinic, app, hours=1)
        gone = await get(app, f"ServiceRequest/{made['id']}")
        assert gone["status"] == "revoked" and "haemolysed" in gone["note"][0]["text"]
        (report,) = await found(app, f"DiagnosticReport?based-on=ServiceRequest/{made['id']}")
        assert report["status"] == "cancelled"
        unknown = await do(app, "ServiceRequest/$order", 422, patient=PATIENT, requester=DOCTOR, test=["0-0"])
        assert "Unknown tests: 0-0" in text_of(unknown)


async def test_an_imaging_study_ends_in_a_report_document(clinic: World) -> None:
    async with clinic.client() as app:
        made = await do(app, "ServiceRequest/$order-imaging", patient=PATIENT, requester=DOCTOR, study="Chest X-ray")
        await advance(clinic, app, hours=2)
        (report,) = await found(app, f"DiagnosticReport?based-on=ServiceRequest/{made['id']}")
        assert report["status"] == "final" and report["presentedForm"][0]["contentType"].startswith("text/plain")
