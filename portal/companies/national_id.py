"""The eleven-digit national ID of a legal entity (شناسهٔ ملی) and its check digit.

The tenth digit plus two is added to each of the first ten; the weighted sum modulo eleven (ten counts as zero) is the eleventh.
"""

from __future__ import annotations

from portal.kernel.errors import Invalid
from portal.kernel.text import fold

WEIGHTS = (29, 27, 23, 19, 17, 29, 27, 23, 19, 17)


class InvalidNationalId(Invalid):
    code = "invalid-national-id"
    title = "This is not a national ID of a legal entity: it has 11 digits, the last of which is a check digit"
    title_fa = "شناسهٔ ملی درست نیست؛ شناسهٔ ملی شخص حقوقی ۱۱ رقم دارد و رقم آخر آن رقم کنترل است"

    def __init__(self) -> None:
        super().__init__(field="national_id")


def check_digit(first_ten: str) -> int:
    """The eleventh digit that belongs after `first_ten`."""
    shift = int(first_ten[9]) + 2
    rest = sum((int(digit) + shift) * weight for digit, weight in zip(first_ten, WEIGHTS, strict=True)) % 11
    return 0 if rest == 10 else rest


def clean_national_id(text: str) -> str:
    """The eleven Latin digits of `text` (Persian digits, blanks and hyphens are fine); raises InvalidNationalId."""
    digits = fold(text).replace(" ", "").replace("-", "").replace("\u200c", "")
    well_formed = len(digits) == 11 and digits.isascii() and digits.isdecimal() and digits[3:9] != "000000"
    if not well_formed or check_digit(digits[:10]) != int(digits[10]):
        raise InvalidNationalId
    return digits
