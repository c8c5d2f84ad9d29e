"""The report of a run as one HTML file for people: nothing to load, readable on paper, in either language."""

from __future__ import annotations

from jinja2 import Environment
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App
from portal.conformance import queries, recording, reports
from portal.conformance.models import ConformanceRun
from portal.conformance.verdicts import Result
from portal.web.i18n import Language, language


async def sheet(
    session: AsyncSession, run: ConformanceRun, app: App, *, lang: Language, base: str, templates: Environment
) -> bytes:
    """The whole report of a judged run, with the requests behind every failure; `base` is the portal's public address."""
    report = reports.as_json(run, run.results)
    proof = {
        row["id"]: await recording.proof(session, run, row["calls"]) if row["result"] == Result.FAIL else []
        for row in report["results"]
    }
    language.set(lang)
    text = templates.get_template("conformance/report.html").render(
        run=run, app=app, report=report, proof=proof, evidence=await queries.evidence_of(session, run.id), base=base
    )
    return text.strip().encode()
