"""The scanner finds what could belong to somebody, however it is written, and nothing in what we make."""

import copy
import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_data import PopulationSpec, generate
from synthetic_data.cli import main
from synthetic_data.safety import clean, luhn, scan
from synthetic_data.world.identifiers import NationalCodes, legal_check_digit, national_check_digit

VALID_CODE = "0084575948"  # satisfies the check; a made-up number used only here
VALID_CARD = next(card for card in (f"603799911122333{digit}" for digit in range(10)) if luhn(card))
PERSIAN, ARABIC = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"), str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")

SMUGGLED = [
    (VALID_CODE, "national code"),
    (f"کد ملی: {VALID_CODE}", "national code"),
    (f"کدملی{VALID_CODE}است", "national code"),
    (f"NID{VALID_CODE}X", "national code"),
    (f"12 {VALID_CODE}", "national code"),
    (f"2026-09-23 {VALID_CODE} 10:00", "national code"),
    (VALID_CODE.translate(PERSIAN), "national code"),
    (VALID_CODE.translate(ARABIC), "national code"),
    (VALID_CODE.translate(WIDE), "national code"),
    ("008-457594-8", "national code"),
    ("008 457 594 8", "national code"),
    ("008.457594/8", "national code"),
    ("008 - 457594 - 8", "national code"),
    ("008\u200c457\u200b594\u200f8", "national code"),
    ("008ـ457594ـ8", "national code"),
    ("008–457594−8", "national code"),
    ("&#48;084575948", "national code"),
    ("%30084575948", "national code"),
    ("کد ملی 84575948", "national code"),
    (f"https://gozar.example/fhir/{VALID_CODE}", "national code"),
    (f"Patient/{VALID_CODE}", "national code"),
    ("14007650912", "legal-entity ID"),
    ("شناسهٔ ملی ۱۴۰۰۷۶۵۰۹۱۲", "legal-entity ID"),
    ("1400-765-0912", "legal-entity ID"),
    ("09121234567", "telephone"),
    ("9121234567", "telephone"),
    ("+989121234567", "telephone"),
    ("+98 (0)912 123 4567", "telephone"),
    ("00989121234567", "telephone"),
    ("tel:+98-912-123-4567", "telephone"),
    ("0912 123 4567", "telephone"),
    ("0912.123.45.67", "telephone"),
    ("۰۹۱۲ ۱۲۳ ۴۵۶۷", "telephone"),
    ("تلفن۰۹۳۵۱۲۳۴۵۶۷تماس", "telephone"),
    ("02188776655", "telephone"),
    ("(021) 8877-6655", "telephone"),
    ("۰۲۱-۸۸۷۷۶۶۵۵", "telephone"),
    ("+98 21 8877 6655", "telephone"),
    (VALID_CARD, "payment card"),
    ("-".join(VALID_CARD[i : i + 4] for i in range(0, 16, 4)), "payment card"),
    (" ".join(VALID_CARD[i : i + 4] for i in range(0, 16, 4)).translate(PERSIAN), "payment card"),
    ("IR820540102680020817909002", "IBAN"),
    ("ir82 0540 1026 8002 0817 9090 02", "IBAN"),
    ("IR۸۲۰۵۴۰۱۰۲۶۸۰۰۲۰۸۱۷۹۰۹۰۰۲", "IBAN"),
    ("820540102680020817909002", "IBAN"),
    ("DE89370400440532013000", "IBAN"),
    ("کد پستی: 1345678913", "postal code"),
    ("کد پستی ۱۳۴۵۶-۷۸۹۱۳", "postal code"),
    ("someone@gmail.com", "e-mail"),
    ("someone@notexample.org", "e-mail"),
    ("someone (at) gmail.com", "e-mail"),
    ("someone＠gmail.com", "e-mail"),
    ("mailto:a@post.ir", "e-mail"),
    ("https://www.digikala.com/x", "web address"),
    ("http://user@hl7.org.attacker.net/", "web address"),
    ("www.tums.ac.ir", "web address"),
    ("به نشانی tums.ac.ir", "web address"),
    ("data:text/plain;base64," + b64encode(f"تماس {VALID_CODE}".encode()).decode(), "national code"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), SMUGGLED)
def test_what_could_belong_to_somebody_is_found(text: str, words: str) -> None:
    resource = {"note": [{"text": text}]}
    assert any(words in found for found in scan(resource)), text
    assert not clean(resource)


@given(
    st.integers(0, 999_999_999),
    st.lists(st.sampled_from(["", "", "-", " ", "\u200c", ". ", "/"]), min_size=9, max_size=9),
)
def test_every_valid_code_is_found_however_it_is_grouped(body: int, signs: list[str]) -> None:
    code = f"{body:09d}"
    code += str(national_check_digit(code))
    written = "".join(digit + sign for digit, sign in zip(code, [*signs, ""], strict=True))
    assert list(scan({"text": f"الف{written}ب"})), written


@given(st.integers(0, 9_999_999_999))
def test_every_valid_legal_entity_id_is_found(body: int) -> None:
    text = f"{body:010d}"
    text += str(legal_check_digit(text))
    # What is written like a telephone number is judged as one; two of its ranges belong to nobody.
    assert list(scan({"text": text})) or text.startswith(("097", "029", "027"))


@pytest.mark.parametrize(
    "text",
    [
        "0084575949", "09712345678", "+982912345678", "+98 29 1234 5678", "2026-09-23T10:00:00+03:30", "2026-09-23",
        "دیدار در 2026-09-23T10:00:00+03:30 و 2026-10-01", "SBX-1234567", "a@b.example", "1403", "http://loinc.org",
        "Hemoglobin A1c/Hemoglobin.total in Blood", "85354-9", "https://gozar.example/fhir/sid/national-code", "mm[Hg]", "10*3/uL",
        "خیابان آزادی، کوچهٔ ۱۲، پلاک ۴۵", "۱۵ اسفند ۱۴۰۲", "yvnc-190hyp12", "Slot/sch-000-internal-1-46289-3",
    ],
)  # fmt: skip
def test_what_is_safe_is_left_alone(text: str) -> None:
    assert list(scan({"text": text})) == []
    assert clean({"text": text})


def test_texts_inside_attachments_are_read() -> None:
    hidden = b64encode(f"تماس: {VALID_CODE}".encode()).decode()
    resource = {"content": [{"attachment": {"data": hidden}}]}
    assert list(scan(resource)) and not clean(resource)


@pytest.mark.parametrize("code", ["1345678913", "۱۳۴۵۶۷۸۹۱۳", "13456-78913"])
def test_postal_codes_of_the_post_are_found(code: str) -> None:
    resource = {"address": [{"postalCode": code}]}
    assert list(scan(resource)) and not clean(resource)


def test_postal_codes_that_break_the_rules_of_the_post_are_left_alone() -> None:
    assert not list(scan({"address": [{"postalCode": "0123456780"}]}))


def test_a_practitioner_has_no_number_that_a_council_could_have_given() -> None:
    system = "https://gozar.example/fhir/sid/medical-council-number"
    real, ours = ({"identifier": [{"system": system, "value": value}]} for value in ("123456", "SBX-1234567"))
    assert list(scan(real)) and not clean(real)
    assert not list(scan(ours)) and clean(ours)


def test_a_national_code_without_its_leading_zeros_is_found_where_one_belongs() -> None:
    system = "https://gozar.example/fhir/sid/national-code"
    resource = {"identifier": [{"system": system, "value": "84575948"}]}
    assert list(scan(resource)) and not clean(resource)


def test_the_reserved_block_is_allowed_only_where_it_was_asked_for() -> None:
    resource: dict[str, Any] = {"identifier": [{"value": NationalCodes(1, "B").mint(5)}]}
    assert list(scan(resource, "A")) and not list(scan(resource, "B"))
    assert not clean(resource, "A") and clean(resource, "B")


SPECS = [
    *(PopulationSpec(size=40, seed=seed) for seed in (1, 77, 20_260)),
    PopulationSpec(size=40, seed=3, identifiers="B", surnames="coined", history_years=9, evolve_months=7),
    PopulationSpec(size=40, seed=-5, region=("Tehran",), imperfections={"duplicate_patient": 1, "arabic_letters": 1}),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_nothing_that_is_made_is_taken_for_somebodys(spec: PopulationSpec) -> None:
    for batch in generate(spec):
        for kind, name, content in batch.resources:
            assert clean(json.loads(content), spec.identifiers), (kind, name)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all strings of a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, key))


def test_no_string_of_any_type_is_a_hiding_place() -> None:
    examples = {
        kind: json.loads(content) for batch in generate(PopulationSpec(size=25)) for kind, _, content in batch.resources
    }
    assert len(examples) >= 20
    tried = 0
    for resource in examples.values():
        for number, path in enumerate(_places(resource)):
            spoilt = copy.deepcopy(resource)
            place = spoilt
            for key in path[:-1]:
                place = place[key]
            smuggled, _ = SMUGGLED[(tried + number) % 50]
            if path[-1] == "data":
                place[path[-1]] = b64encode(f"متن {smuggled}".encode()).decode()
            else:
                place[path[-1]] = f"{place[path[-1]]} {smuggled}"
            assert not clean(spoilt), (path, smuggled)
            tried += 1
    assert tried > 500


@pytest.mark.parametrize(
    ("text", "words"), [(VALID_CODE, "national code"), ("۰۹۱۲ ۱۲۳ ۴۵۶۷", "telephone"), ("x@post.ir", "e-mail")]
)
@pytest.mark.parametrize("form", ["ndjson", "bundle", "parquet"])
def test_verify_finds_what_was_smuggled_in_even_when_the_hash_was_mended(
    form: str, text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--patients", "4", "--region", "Yazd", "--format", form, "--out", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    if form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "patients.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(4, "province", pa.array([text] * table.num_rows)), path)
    else:
        path = tmp_path / "Patient.ndjson" if form == "ndjson" else next(tmp_path.glob("????-*.json"))
        content = path.read_bytes()
        assert b'"country":"IR"' in content
        path.write_bytes(content.replace(b'"country":"IR"', f'"country":"{text}"'.encode(), 1))
    manifest["files"][path.name].update(sha256=sha256(path.read_bytes()).hexdigest(), bytes=path.stat().st_size)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verify", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert words in error and "sha256" not in error
