"""A reference string means the same everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.definitions import RESOURCE_TYPES
from sandbox.fhir.references import Reference, is_id, parse, rewrite

IDS = st.from_regex(r"\A[A-Za-z0-9\-.]{1,64}\Z")


@given(st.sampled_from(sorted(RESOURCE_TYPES)), IDS, IDS | st.just(""))
def test_restful_references_round_trip(kind: str, fid: str, version: str) -> None:
    raw = f"{kind}/{fid}" + (f"/_history/{version}" if version else "")
    found = parse(raw)
    assert found == Reference("relative", raw, kind, fid, version)
    assert found.versionless == f"{kind}/{fid}"
    elsewhere = parse("https://other.example/fhir/" + raw)
    assert (elsewhere.kind, elsewhere.base) == ("absolute", "https://other.example/fhir")
    assert parse("https://here.example/fhir/" + raw, own_base="https://here.example/fhir") == found


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("#med", "contained"),
        ("#", "contained"),
        ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "urn"),
        ("urn:oid:1.2.3", "urn"),
        ("Pateint/1", "other"),
        ("Patient", "other"),
        ("Patient/", "other"),
        ("Patient/a b", "other"),
        ("Patient/1\n", "other"),
        ("Patient?identifier=x|1", "other"),
        ("http://example.org/picture.png", "other"),
        ("", "other"),
    ],
)
def test_unusual_references_are_told_apart(raw: str, kind: str) -> None:
    assert parse(raw).kind == kind


def test_base_must_end_at_a_slash() -> None:
    assert parse("https://a.example/fhirx/Patient/1", own_base="https://a.example/fhir").kind == "absolute"


def test_rewrite_reaches_nested_and_contained_references() -> None:
    resource = {
        "subject": {"reference": "urn:uuid:1"},
        "contained": [{"author": [{"reference": "urn:uuid:2"}, {"reference": "#x"}]}],
    }
    rewrite(resource, {"urn:uuid:1": "Patient/1", "urn:uuid:2": "Patient/2"}.get)
    assert resource["subject"] == {"reference": "Patient/1"}
    assert resource["contained"] == [{"author": [{"reference": "Patient/2"}, {"reference": "#x"}]}]


@pytest.mark.parametrize("value", ["", "a" * 65, "a_b", "آ", 5, None, "a\n"])
def test_illegal_ids_are_refused(value: object) -> None:
    assert not is_id(value)
