"""Errors carry their status and read well in both languages."""

import orjson
import pytest

from sandbox.fhir.outcomes import (
    Issue,
    NotFoundError,
    Text,
    outcome,
    preferred_language,
    unknown_type,
    version_conflict,
)

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


def test_both_languages_travel_whichever_is_asked_for() -> None:
    error = NotFoundError(Text("Not here.", "در اینجا نیست."))
    english = orjson.loads(error.body("en"))["issue"][0]["details"]
    persian = orjson.loads(error.body("fa"))["issue"][0]["details"]
    assert english["text"] == "Not here."
    assert persian["text"] == "در اینجا نیست."
    assert english["_text"]["extension"][0] == {
        "url": TRANSLATION,
        "extension": [{"url": "lang", "valueCode": "fa"}, {"url": "content", "valueString": "در اینجا نیست."}],
    }
    assert persian["_text"]["extension"][0]["extension"][0]["valueCode"] == "en"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("fa", "fa"),
        ("fa-IR,fa;q=0.9,en;q=0.8", "fa"),
        ("en-GB, fa;q=0.5", "en"),
        ("de, fa;q=0.1", "fa"),
        ("fa;q=0", "en"),
        ("fa;q=nonsense,en;q=0.2", "en"),
    ],
)
def test_language_follows_accept_language(header: str | None, expected: str) -> None:
    assert preferred_language(header) == expected


def test_issue_names_rule_expression_and_remedy() -> None:
    issue = Issue("error", "invariant", Text("A.", "الف."), ("Observation",), "obs-7", Text("Do B.", "ب."))
    as_json = outcome([issue])["issue"][0]
    assert as_json["expression"] == ["Observation"]
    assert as_json["details"]["coding"][0]["code"] == "obs-7"
    assert as_json["details"]["text"] == "A. Do B."


def test_no_issue_means_all_ok() -> None:
    assert outcome([])["issue"][0]["severity"] == "information"


def test_ready_errors_carry_status_code_and_headers() -> None:
    assert unknown_type("Pateint").status == 404
    conflict = version_conflict("Patient", "1", "2", "3")
    assert conflict.status == 412
    assert conflict.headers["ETag"] == 'W/"3"'
    assert conflict.issues[0].code == "conflict"


def test_an_error_without_a_finding_cannot_be_raised() -> None:
    with pytest.raises(ValueError, match="text or issues"):
        NotFoundError()
