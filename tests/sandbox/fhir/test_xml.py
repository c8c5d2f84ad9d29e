"""XML says what JSON says, both ways, and nothing hostile gets through."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from sandbox.fhir.outcomes import BadRequestError
from sandbox.fhir.validation import errors, validate
from sandbox.fhir.xml import FHIR, from_xml, to_xml
from tests.sandbox.fhir.examples import official_examples


def plain(value: Any) -> Any:
    """Numbers by value, narratives apart: their white space and quotes may change."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "div"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float(value) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value


def test_every_official_example_survives_the_round_trip() -> None:
    for resource in official_examples():
        back = from_xml(to_xml(resource))
        assert plain(back) == plain(resource), resource["id"]


def test_narratives_stay_valid_through_the_round_trip() -> None:
    for resource in official_examples()[::5]:
        if not errors(validate(resource)):
            back = orjson.loads(orjson.dumps(from_xml(to_xml(resource)), default=float))
            assert not [i for i in errors(validate(back)) if i.rule == "txt-1"], resource["id"]


def test_elements_stand_in_the_order_of_the_definition() -> None:
    text = to_xml(
        {"birthDate": "1990", "name": [{"given": ["a"], "family": "b"}], "resourceType": "Patient", "id": "1"}
    ).decode()
    assert text.index("<id") < text.index("<family") < text.index("<given") < text.index("<birthDate")


def test_primitives_carry_their_companions() -> None:
    absent = {"extension": [{"url": "u", "valueCode": "x"}]}
    resource = {
        "resourceType": "Patient", "_birthDate": {"id": "b", **absent},
        "name": [{"given": ["a", None], "_given": [None, absent]}],
    }  # fmt: skip
    assert from_xml(to_xml(resource)) == resource


def test_decimals_keep_their_digits_and_text_its_characters() -> None:
    quantity = '<valueQuantity><value value="1.00"/><unit value="&lt;&quot;&amp; آ&#10;ب"/></valueQuantity>'
    body = f'<Observation xmlns="{FHIR}">{quantity}</Observation>'
    found = from_xml(body.encode())
    assert str(found["valueQuantity"]["value"]) == "1.00"
    assert found["valueQuantity"]["unit"] == '<"& آ\nب'
    assert from_xml(to_xml(found)) == found
    assert b'value="1.00"' in to_xml(found)


def test_values_of_the_wrong_kind_are_left_for_the_validator_to_name() -> None:
    found = from_xml(
        f'<Patient xmlns="{FHIR}"><active value="maybe"/><multipleBirthInteger value="2.5"/></Patient>'.encode()
    )
    assert {i.expression[0] for i in errors(validate(found))} == {"Patient.active", "Patient.multipleBirthInteger"}


@pytest.mark.parametrize("div", ["<div>a&nbsp;b</div>", "<div><p>never closed</div>", "no markup < at all"])
def test_no_narrative_breaks_the_document(div: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert "div" in from_xml(to_xml(resource))["text"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<Patient",
        "<Patient/>",
        '<Patient xmlns="urn:other"/>',
        f'<Pateint xmlns="{FHIR}"/>',
        f'<Patient xmlns="{FHIR}"><gendre value="male"/></Patient>',
        f'<Patient xmlns="{FHIR}"><gender value="male"/><gender value="male"/></Patient>',
        f'<Patient xmlns="{FHIR}"><gender wert="male"/></Patient>',
        f'<Patient xmlns="{FHIR}">text</Patient>',
        f'<?xml version="1.0" encoding="UTFJ8"?><Patient xmlns="{FHIR}"><nothing/></Patient>',
        f'<Patient xmlns="{FHIR}"><gender value="male"/>text</Patient>',
        f'<Patient xmlns="{FHIR}"><contained/></Patient>',
        f'<!DOCTYPE x [<!ENTITY a "b">]><Patient xmlns="{FHIR}"><gender value="&a;"/></Patient>',
        f'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Patient xmlns="{FHIR}"/>',
        f'<Patient xmlns="{FHIR}">' + '<extension url="u">' * 100 + "</extension>" * 100 + "</Patient>",
        f'<Patient xmlns="{FHIR}"><text><div xmlns="urn:x"/></text></Patient>',
    ],
)
def test_what_is_not_fhir_xml_is_refused(body: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        from_xml(body.encode())
    assert caught.value.issues[0].rule == "xml"


@pytest.mark.parametrize(
    "body", [b"\xff\xfe<\x00P\x00", b"<Patient xmlns='http://hl7.org/fhir'><id value='\xe9'/></Patient>"]
)
def test_other_encodings_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        from_xml(body)
