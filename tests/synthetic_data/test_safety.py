"""The scanner finds what could belong to somebody, however it is written, and nothing in what we make."""

from base64 import b64encode
from typing import Any

import pytest

from synthetic_data.safety import luhn, scan

VALID_CODE = "0084575948"  # satisfies the check; a made-up number used only here
VALID_CARD = next(card for card in (f"603799911122333{digit}" for digit in range(10)) if luhn(card))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (VALID_CODE, "national code"),
        (f"کد ملی: {VALID_CODE}", "national code"),
        ("۰۰۸۴۵۷۵۹۴۸", "national code"),
        ("٠٠٨٤٥٧٥٩٤٨", "national code"),
        ("008-457594-8", "national code"),
        ("14007650912", "legal-entity ID"),
        ("09121234567", "telephone"),
        ("+989121234567", "telephone"),
        ("00989121234567", "telephone"),
        ("0912 123 4567", "telephone"),
        ("02188776655", "telephone"),
        (VALID_CARD, "payment card"),
        ("IR820540102680020817909002", "IBAN"),
        ("someone@gmail.com", "e-mail"),
    ],
)  # fmt: skip
def test_what_could_belong_to_somebody_is_found(text: str, words: str) -> None:
    assert any(words in found for found in scan({"note": [{"text": text}]})), text


@pytest.mark.parametrize(
    "text", ["0084575949", "09712345678", "+982912345678", "2026-09-23T10:00:00+03:30", "SBX-1234567", "a@b.example", "1403"]
)  # fmt: skip
def test_what_is_safe_is_left_alone(text: str) -> None:
    assert list(scan({"text": text})) == []


def test_texts_inside_attachments_are_read() -> None:
    hidden = b64encode(f"تماس: {VALID_CODE}".encode()).decode()
    assert list(scan({"content": [{"attachment": {"data": hidden}}]}))


def test_postal_codes_of_the_post_are_found() -> None:
    assert list(scan({"address": [{"postalCode": "1345678913"}]}))
    assert not list(scan({"address": [{"postalCode": "0123456780"}]}))


def test_the_reserved_block_is_allowed_only_where_it_was_asked_for() -> None:
    from synthetic_data.world.identifiers import NationalCodes

    resource: dict[str, Any] = {"identifier": [{"value": NationalCodes(1, "B").mint(5)}]}
    assert list(scan(resource, "A")) and not list(scan(resource, "B"))
