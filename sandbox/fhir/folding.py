"""One spelling for what people mean to be the same: text folded for search, Persian first.

Arabic ي and ك become Persian ی and ک, hamza and madda carriers their letter, digits of every script ASCII; diacritics, tatweel,
half-spaces and other invisible marks vanish, and so do spaces between Persian letters, as «علی رضا», «علی‌رضا» and «علیرضا» are one
name; case and other runs of white space level out. Index and query fold alike.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

MAX_INDEXED: Final = 500
"""Characters of a value that the index keeps; a b-tree row has its limits, and no one types more into a search."""

_LETTERS: Final = {
    "ي": "ی",
    "ى": "ی",
    "ې": "ی",
    "ك": "ک",
    "ڪ": "ک",
    "ة": "ه",
    "ە": "ه",
    "ھ": "ه",
    "ہ": "ه",
    "ۃ": "ه",
    "ٱ": "ا",
}
# Letters with a stroke are letters of their own to Unicode, accented ones to whoever looks for a name.
_STROKES: Final = {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i"}
_HAMZA_AND_TATWEEL: Final = "ءـ"


_BETWEEN_LETTERS: Final = re.compile(r"(?<=[\u0620-\u064a\u066e-\u06d5])\s+(?=[\u0620-\u064a\u066e-\u06d5])")


class _Folder(dict[int, "int | str | None"]):
    """Character -> its folded form (None: removed), worked out when first met."""

    def __missing__(self, point: int) -> int | str | None:
        ch = chr(point)
        category = unicodedata.category(ch)
        folded: int | str | None = point
        if category in {"Mn", "Me", "Cf"} or (category == "Cc" and not ch.isspace()):
            folded = None
        elif category == "Nd":
            folded = str(unicodedata.decimal(ch))
        self[point] = folded
        return folded


_FOLDER: Final = _Folder(
    {ord(a): b for a, b in (_LETTERS | _STROKES).items()} | dict.fromkeys(map(ord, _HAMZA_AND_TATWEEL))
)


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """The search form of a text, at most `MAX_INDEXED` characters. Folding twice changes nothing."""
    if text.isascii() and text.isprintable():
        folded = text.lower()
    else:
        # Case folding can compose what decomposition must take apart again, so it comes on both sides of it.
        apart = unicodedata.normalize("NFKD", text.casefold()).translate(_FOLDER).casefold()
        folded = unicodedata.normalize("NFKD", apart).translate(_FOLDER)
        folded = _BETWEEN_LETTERS.sub("", folded)
    return " ".join(folded.split())[:MAX_INDEXED].rstrip()


@lru_cache(maxsize=8192)
def fold_token(value: str) -> str:
    """The search form of a code or identifier: as R4 advises when in doubt, case does not matter; nor does the script
    of its digits (a national code typed as ۰۰۱۲۳ is the same code)."""
    return value.strip().lower()[:MAX_INDEXED] if value.isascii() and value.isprintable() else fold(value)


def fold_contact(value: str) -> str:
    """A telephone number without its punctuation; anything else as a token."""
    token = fold_token(value)
    bare = token.translate(_PHONE_PUNCTUATION)
    return bare if bare.lstrip("+").isdecimal() else token


_PHONE_PUNCTUATION: Final = str.maketrans("", "", " -()./")
