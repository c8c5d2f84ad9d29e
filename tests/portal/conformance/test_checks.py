"""Checks see what clients do, and only that: each wrong habit fails its own check, and careful clients of another make pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from portal.conformance.calls import Call, Event, Recording
from portal.conformance.verdicts import Result, checks

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PATIENT = {"resourceType": "Patient", "id": "p1"}
NUMBER = "0012345679"
_ids = count()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(seconds: float, method: str, target: str, status: int = 200, **more: Any) -> Call:
    return Call(
        id=f"c{next(_ids)}",
        at=at(seconds),
        method=method,
        target=target,
        status=status,
        **{"token": "t1", "milliseconds": 10, **more},
    )


def get(seconds: float, target: str = "Patient/p1", status: int = 200, **more: Any) -> Call:
    return call(seconds, "GET", target, status, **more)


def limited(seconds: float, target: str = "Patient/p1", wait: int = 2) -> Call:
    return get(seconds, target, 429, answered={"retry-after": str(wait)})


def create(seconds: float, status: int = 201, *, value: str = "1", condition: bool = True, **more: Any) -> Call:
    body = {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": "https://a.example", "value": value}],
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "استامینوفن"},
        **more,
    }
    sent = {"if-none-exist": f"identifier=https://a.example|{value}"} if condition else {}
    return call(seconds, "POST", "MedicationRequest", status, body=body, sent=sent)


def update(seconds: float, answer: int = 200, *, match: str = 'W/"1"', **body: Any) -> Call:
    whole = {"resourceType": "MedicationRequest", "id": "m1", **body}
    return call(seconds, "PUT", "MedicationRequest/m1", answer, body=whole, sent={"if-match": match} if match else {})


def page(seconds: float, target: str, following: str = "", *resources: dict[str, Any]) -> Call:
    link = [{"relation": "next", "url": following}] if following else []
    reply = {"resourceType": "Bundle", "link": link, "entry": [{"resource": row} for row in resources]}
    return get(seconds, target, reply=reply)


def refused_search(seconds: float, target: str) -> Call:
    coding = [{"system": "urn:gozar:fhir-rule", "code": "search-parameter"}]
    return get(seconds, target, 400, reply={"issue": [{"code": "not-supported", "details": {"coding": coding}}]})


def emergency(reason: str) -> Call:
    body = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": reason}] if reason else []}
    return call(1, "POST", "Patient/p1/$break-glass", body=body)


REVOKED = Event("consent-revoked", at(10), {"patient": "p1"})
PARTLY = Event("partly-dispensed", at(10), {"resource": "MedicationRequest/m1"})
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "subject": {"reference": "Patient/p1"},
    "medicationCodeableConcept": {"text": "استامینوفن"},
}
BASE = "http://gozar.example/sandbox/fhir/R4"
UUID = "0b2f3a4c-e123-4567-8900-1234567890ab"

# (check, what makes the case, calls, events, scopes)
Case = tuple[str, str, list[Call], list[Event], set[str]]

WRONG: list[Case] = [
    ("honours-retry-after", "repeats at once", [limited(0), get(0.02)], [], set()),
    ("honours-retry-after", "asks for others of the type", [limited(0), get(0.5, "Patient/p2")], [], set()),
    ("honours-retry-after", "waits half", [limited(0), get(1.0)], [], set()),
    (
        "honours-retry-after",
        "a thread goes on",
        [limited(0), get(0.05, "Patient/p2"), get(0.9, "Patient/p3")],
        [],
        set(),
    ),
    ("backs-off-on-outage", "hammers", [get(0, status=503), get(0.02, status=503), get(0.04)], [], set()),
    ("gives-up-in-time", "never stops", [get(n, status=503) for n in range(8)], [], set()),
    ("recovers-after-outage", "forgets the work", [get(0, status=503)], [], set()),
    ("no-blind-retry", "repeats a 422", [create(0, 422), create(1, 422)], [], set()),
    ("no-blind-retry", "loops over a 404", [get(0, "Patient/x", 404), get(0.1, "Patient/x", 404)], [], set()),
    ("polite-polling", "polls", [get(n / 10) for n in range(8)], [], set()),
    ("token-reuse", "a token each", [get(n, token=f"t{n}") for n in range(6)], [], set()),
    ("new-token-after-401", "keeps it", [get(0, status=401), get(0.02)], [], set()),
    ("new-token-after-401", "keeps it elsewhere", [get(0, status=401), get(1, "Patient/p2")], [], set()),
    ("least-scope", "a type too many", [get(0)], [], {"system/Patient.rs", "system/Immunization.rs"}),
    ("least-scope", "writes nothing", [get(0)], [], {"system/Patient.cruds"}),
    ("least-scope", "reads nothing", [create(0)], [], {"system/MedicationRequest.rs"}),
    ("no-wildcard-scope", "everything", [get(0)], [], {"system/*.cruds"}),
    (
        "respects-scope-refusal",
        "tries again",
        [get(n, "Procedure/1", 403, code="insufficient-scope") for n in (0, 1)],
        [],
        set(),
    ),
    ("no-national-code-in-url", "in the query", [get(0, f"Patient?identifier=a|{NUMBER}")], [], set()),
    ("no-national-code-in-url", "in the path", [get(0, f"Patient/{NUMBER}")], [], set()),
    ("no-national-code-in-url", "Persian digits", [get(0, "Patient?identifier=۰۰۱۲۳۴۵۶۷۹")], [], set()),
    ("no-national-code-in-url", "escaped twice", [get(0, "Patient?identifier=%2530012345679")], [], set()),
    ("no-national-code-in-url", "written with hyphens", [get(0, "Patient?identifier=001-234567-9")], [], set()),
    ("no-contact-in-url", "a mobile number", [get(0, "Patient?telecom=09121234567")], [], set()),
    ("no-contact-in-url", "a name", [get(0, "Patient?family:exact=کریمی")], [], set()),
    ("no-token-in-url", "a token", [get(0, "Patient/p1?access_token=x")], [], set()),
    ("identifier-has-system", "bare", [call(0, "POST", "Patient/_search", form={"identifier": [NUMBER]})], [], set()),
    ("paging-to-the-end", "first page", [page(0, "Observation?patient=p1", f"{BASE}/Observation?_page=x")], [], set()),
    (
        "paging-by-link",
        "own addresses",
        [page(0, "Observation?patient=p1"), page(1, "Observation?patient=p1&_page=2")],
        [],
        set(),
    ),
    ("selective-search", "a whole type", [get(0, "Patient?_count=200")], [], set()),
    ("selective-search", "by POST", [call(0, "POST", "Patient/_search", form={"_count": ["200"]})], [], set()),
    ("selective-search", "everybody's results", [get(0, "Observation?code=8480-6&date=ge2020")], [], set()),
    ("known-search-parameters", "made up", [refused_search(0, "Observation?patientid=p1")], [], set()),
    ("update-with-if-match", "without", [update(0, match="")], [], set()),
    ("update-with-if-match", "any version", [update(0, match="*")], [], set()),
    ("reread-after-conflict", "forces", [update(0, 412), update(1)], [], set()),
    ("conditional-create", "unconditional", [create(0, condition=False)], [], set()),
    ("no-duplicate-after-timeout", "again", [create(0, 504), create(1, value="2")], [], set()),
    (
        "no-duplicate-after-timeout",
        "again without a condition",
        [create(0, 504), create(1, condition=False)],
        [],
        set(),
    ),
    ("retry-finishes", "never asks", [create(0, 504), get(1)], [], set()),
    ("stops-after-revocation", "goes on", [get(1), get(11, status=403), get(12, status=403)], [REVOKED], set()),
    (
        "stops-after-revocation",
        "by another way",
        [get(11, status=403), get(12, "Observation?patient=Patient/p1")],
        [REVOKED],
        set(),
    ),
    (
        "stops-after-revocation",
        "by whole address",
        [get(11, status=403), get(12, f"Observation?subject={BASE}/Patient/p1")],
        [REVOKED],
        set(),
    ),
    ("emergency-with-reason", "without", [emergency("")], [], set()),
    ("emergency-with-reason", "a word", [emergency("x")], [], set()),
    ("persian-letters", "Arabic yeh", [update(0, note=[{"text": "ميل شود"}])], [], set()),
    ("persian-letters", "Arabic digits", [update(0, note=[{"text": "روزی ٣ بار"}])], [], set()),
    (
        "keeps-what-it-does-not-know",
        "drops",
        [get(0, "MedicationRequest/m1", reply={**ORDER, "extension": [{"url": "u"}]}), update(1, **ORDER)],
        [],
        set(),
    ),
    (
        "partial-dispense",
        "closes",
        [get(11, "MedicationRequest/m1", reply=ORDER), update(12, **{**ORDER, "status": "completed"})],
        [PARTLY],
        set(),
    ),
    (
        "partial-dispense",
        "writes it once more",
        [get(11, "MedicationRequest/m1", reply=ORDER), create(12, value="9")],
        [PARTLY],
        set(),
    ),
    ("no-future-authoring", "a fast clock", [create(0, authoredOn="2026-11-22T13:00:00+00:00")], [], set()),
]

RIGHT: list[Case] = [
    ("honours-retry-after", "waits", [limited(0), get(2.0)], [], set()),
    ("honours-retry-after", "calls under way", [limited(0), get(0.03, "Patient/p2"), get(2.1)], [], set()),
    ("honours-retry-after", "another product", [limited(0), get(0.5, "Slot/s1"), get(2.1)], [], set()),
    ("honours-retry-after", "gives up", [limited(0)], [], set()),
    ("backs-off-on-outage", "steady", [get(0, status=503), get(0.5, status=503), get(1.0)], [], set()),
    (
        "backs-off-on-outage",
        "two writes at once",
        [create(0, 503), create(0.01, 503, value="2"), create(1), create(1.1, value="2")],
        [],
        set(),
    ),
    ("no-blind-retry", "two at once", [get(0, "Patient/x", 404), get(0.003, "Patient/x", 404)], [], set()),
    ("no-blind-retry", "mended", [create(0, 422), create(1, status=201, note=[])], [], set()),
    (
        "no-blind-retry",
        "a scope is another matter",
        [get(n, "Procedure/1", 403, code="insufficient-scope") for n in (0, 1)],
        [],
        set(),
    ),
    ("token-reuse", "one token", [get(n) for n in range(9)], [], set()),
    (
        "new-token-after-401",
        "in parallel",
        [get(0, status=401), get(0.02, "Patient/p2"), get(0.5, token="t2")],
        [],
        set(),
    ),
    (
        "least-scope",
        "reads and writes",
        [get(0, "MedicationRequest/m1"), create(1)],
        [],
        {"system/MedicationRequest.cruds"},
    ),
    ("least-scope", "by search alone", [get(0, "Patient?_id=p1")], [], {"system/Patient.rs"}),
    (
        "no-national-code-in-url",
        "ids of machines",
        [get(0, f"Patient/{UUID}"), get(1, "Patient/a1234567890b1234567890")],
        [],
        set(),
    ),
    (
        "no-national-code-in-url",
        "the server's own link",
        [
            page(0, "Observation?patient=p1", f"{BASE}/Observation?_page={NUMBER}"),
            page(1, f"Observation?_page={NUMBER}"),
        ],
        [],
        set(),
    ),
    (
        "no-national-code-in-url",
        "times",
        [get(0, "Observation?patient=p1&_lastUpdated=gt2026-11-22T09:00:00.123456Z")],
        [],
        set(),
    ),
    (
        "identity-by-search",
        "$match",
        [call(0, "POST", "Patient/$match", body={"resourceType": "Parameters"})],
        [],
        set(),
    ),
    (
        "paging-to-the-end",
        "escaped otherwise",
        [page(0, "Observation?patient=p1", f"{BASE}/Observation?_page=a%2Cb"), page(1, "Observation?_page=a,b")],
        [],
        set(),
    ),
    (
        "paging-by-link",
        "escaped otherwise",
        [page(0, "Observation?patient=p1", f"{BASE}/Observation?_page=a%2Cb"), page(1, "Observation?_page=a,b")],
        [],
        set(),
    ),
    ("selective-search", "for one patient", [get(0, "Observation?patient=p1&code=8480-6")], [], set()),
    ("selective-search", "by POST", [call(0, "POST", "Observation/_search", form={"patient": ["p1"]})], [], set()),
    ("selective-search", "changes", [get(0, "Observation?_lastUpdated=gt2026-11-22T09:00:00Z")], [], set()),
    ("selective-search", "free slots", [get(0, "Slot?status=free&start=ge2026-11-22")], [], set()),
    ("selective-search", "a prescription's dispenses", [get(0, "MedicationDispense?prescription=m1")], [], set()),
    (
        "known-search-parameters",
        "a wrong value is another matter",
        [get(0, "Observation?patient=p1"), get(1, "Observation?date=x", 400)],
        [],
        set(),
    ),
    ("reread-after-conflict", "reads", [update(0, 412), get(1, "MedicationRequest/m1"), update(2)], [], set()),
    (
        "reread-after-conflict",
        "by search",
        [update(0, 412), page(1, "MedicationRequest?_id=m1", "", ORDER), update(2)],
        [],
        set(),
    ),
    (
        "conditional-create",
        "by conditional update",
        [call(0, "PUT", "MedicationRequest?identifier=a|1", 201, body={})],
        [],
        set(),
    ),
    ("conditional-create", "the repeat is judged apart", [create(0, 504), create(1, 200, condition=False)], [], set()),
    ("no-duplicate-after-timeout", "finds it", [create(0, 504), create(1, 200)], [], set()),
    (
        "no-duplicate-after-timeout",
        "the next box, later",
        [create(0, 504), create(1, 200), create(900, value="2")],
        [],
        set(),
    ),
    ("retry-finishes", "searches", [create(0, 504), get(1, "MedicationRequest?identifier=a|1")], [], set()),
    ("stops-after-revocation", "one refusal", [get(1), get(11, status=403), get(12, "Patient/p2")], [REVOKED], set()),
    (
        "stops-after-revocation",
        "two under way",
        [get(1), get(11, status=403), get(11.01, "Observation?patient=p1", 403)],
        [REVOKED],
        set(),
    ),
    ("emergency-with-reason", "says why", [emergency("Unconscious in the emergency ward")], [], set()),
    (
        "persian-letters",
        "sends back what it was given",
        [
            get(0, "MedicationRequest/m1", reply={**ORDER, "note": [{"text": "ميل شود"}]}),
            update(1, note=[{"text": "ميل شود"}, {"text": "پس از غذا"}]),
        ],
        [],
        set(),
    ),
    ("keeps-what-it-does-not-know", "patches", [call(0, "PATCH", "MedicationRequest/m1", body=[])], [], set()),
    (
        "partial-dispense",
        "another medicine",
        [
            get(11, "MedicationRequest/m1", reply=ORDER),
            create(12, value="9", medicationCodeableConcept={"text": "ایبوپروفن"}),
        ],
        [PARTLY],
        set(),
    ),
]


def verdict(case: Case) -> Any:
    name, _, made, events, scopes = case
    recording = Recording(tuple(made), events=tuple(events), scopes=frozenset(scopes))
    return checks()[name](recording)


def named(case: Case) -> str:
    return f"{case[0]}: {case[1]}"


@pytest.mark.parametrize("case", WRONG, ids=named)
def test_a_wrong_habit_fails_with_its_proof_and_words_in_both_languages(case: Case) -> None:
    found = verdict(case)
    assert found.result == Result.FAIL
    assert found.fa
    assert found.en
    if "scope" not in case[0] or case[0] == "respects-scope-refusal":
        assert set(found.calls) <= {each.id for each in case[2]}
        assert found.calls


@pytest.mark.parametrize("case", RIGHT, ids=named)
def test_a_careful_client_of_another_make_passes(case: Case) -> None:
    found = verdict(case)
    assert found.result == Result.PASS, found.en


TELLING: dict[str, Callable[[], list[Call]]] = {
    "emergency-with-reason": lambda: [get(0)],
}


@pytest.mark.parametrize("name", TELLING)
def test_what_was_not_used_does_not_apply(name: str) -> None:
    assert checks()[name](Recording(tuple(TELLING[name]()))).result == Result.OMIT
