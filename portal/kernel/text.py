"""What people type: folded to one form of digits and letters, checked, and its errors gathered so that a form shows all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portal.kernel.errors import Invalid

# Both digit families of Persian and Arabic keyboards, and the two Arabic letters that look like Persian ones.
FOLDED = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩يك", "01234567890123456789یک")


def fold(text: str) -> str:
    """What a person typed, with Latin digits, Persian ی and ک, and without surrounding blanks: the form that is stored."""
    return text.translate(FOLDED).strip()


def clean_text(value: str, *, field: str, fa: str, en: str, longest: int, shortest: int = 1) -> str:
    """A line of text without control characters; raises Invalid that names the field (`fa`, `en`: what it is called)."""
    text = " ".join(fold(value).split())
    if not shortest <= len(text) <= longest:
        if not text:
            raise Invalid(f"Enter {en}", fa=f"{fa} را بنویسید", field=field)
        raise Invalid(
            f"{en.capitalize()} must have between {shortest} and {longest} characters",
            fa=f"{fa} باید بین {shortest} تا {longest} نویسه داشته باشد".translate(
                str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
            ),
            field=field,
        )
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise Invalid(
            f"{en.capitalize()} holds characters that cannot be used", fa=f"{fa} نویسهٔ ناپذیرفتنی دارد", field=field
        )
    return text


def gather(*checks: Callable[[], Any]) -> list[Any]:
    """Results of every check; raises their `Invalid` errors together, so that a form shows them at once."""
    results: list[Any] = []
    errors: list[Invalid] = []
    for check in checks:
        try:
            results.append(check())
        except Invalid as error:
            errors.append(error)
    if errors:
        errors[0].others = tuple(errors[1:])
        raise errors[0]
    return results
