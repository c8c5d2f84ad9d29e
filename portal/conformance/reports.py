"""A run's results in the forms that tools read: JSON for scripts, JUnit XML for CI servers."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from portal.conformance.judging import counts
from portal.conformance.models import ConformanceRun
from portal.conformance.requirements import by_id
from portal.conformance.verdicts import Result


def rows(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every result with its Requirement's words: failed ones first, then skipped, passed, omitted."""
    order = {Result.FAIL: 0, Result.SKIP: 1, Result.PASS: 2, Result.OMIT: 3}
    known = by_id()
    made = []
    for name, row in results.items():
        found = known.get(name)
        made.append(
            {
                "id": name,
                **row,
                "title": {"fa": found.title_fa, "en": found.title_en} if found else {"fa": name, "en": name},
                "text": {"fa": found.text_fa, "en": found.text_en} if found else {"fa": "", "en": ""},
                "hint": {"fa": found.hint_fa, "en": found.hint_en} if found else {"fa": "", "en": ""},
                "source": found.source if found else "",
                "product": found.product if found else "",
            }
        )
    return sorted(made, key=lambda row: (order[Result(row["result"])], row["level"] != "must", row["proof"] != "check"))


def as_json(run: ConformanceRun, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The whole report."""
    return {
        "run": run.id,
        "app": run.app_id,
        "app_version": run.app_version,
        "suite_version": run.suite_version,
        "status": str(run.status),
        "passes": run.passes,
        "calls": run.calls,
        "traffic_sha256": run.traffic_digest,
        "scopes": list(run.scopes),
        "counts": counts(results),
        "results": rows(results),
    }


def as_junit(run: ConformanceRun, results: dict[str, dict[str, Any]]) -> bytes:
    """JUnit XML: one test case per Requirement that a check proves. A failed `should` is reported as skipped, with its words."""
    judged = [row for row in rows(results) if row["proof"] == "check"]
    failed = [row for row in judged if row["result"] == Result.FAIL and row["level"] == "must"]
    passed = [row for row in judged if row["result"] == Result.PASS]
    suite = ElementTree.Element(
        "testsuite",
        name=f"Gozar conformance {run.suite_version}",
        tests=str(len(judged)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(judged) - len(failed) - len(passed)),
        timestamp=run.started_at.isoformat(timespec="seconds"),
    )
    for row in judged:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"gozar.{row['product']}", name=f"{row['id']} {row['title']['en']}", time="0"
        )
        if row["result"] == Result.PASS:
            continue
        proof = f"{row['en']}\n{row['hint']['en']}\nsource: {row['source']}\ncalls: {' '.join(row['calls'])}"
        if row in failed:
            ElementTree.SubElement(case, "failure", message=row["en"], type=row["id"]).text = proof
        else:
            ElementTree.SubElement(case, "skipped", message=row["en"] or row["result"])
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
