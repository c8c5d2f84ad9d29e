"""What must never reach the request log: national codes, tokens, secrets."""

from __future__ import annotations

import re

BOUND = 8 * 1024
"""Bytes kept of a body."""
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*")
# Secrets of ours and of others' making: a prefix, an underscore, then at least 32 letters and digits. The underscore comes first, so
# that the search may leap from one to the next.
_SECRET = re.compile(r"_[0-9A-Za-z]{32,}\b")
_NAMES = ("token", "secret", "assertion", "verifier", "password", "authorization")
_NAMED = re.compile(
    r"""(?ix)(\b(?:access_token|refresh_token|id_token|client_secret|client_assertion|code_verifier|password|secret|authorization)
    \b\\*["']?\s*[=:]\s*\\*["']?(?:bearer\s+|basic\s+)?)([^"'\\&\s,}]+)"""
)
_TEN_DIGITS = re.compile(r"(?<![0-9۰-۹٠-٩])[0-9۰-۹٠-٩]{10}(?![0-9۰-۹٠-٩])")
_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
HIDDEN = "[redacted]"


def is_national_code(text: str) -> bool:
    """Whether ten digits (Latin, Persian or Arabic) carry the check digit of an Iranian national code."""
    digits = [int(letter) for letter in text.translate(_LATIN)]
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    rest = sum(digit * (10 - place) for place, digit in enumerate(digits[:9])) % 11
    return digits[9] == (rest if rest < 2 else 11 - rest)


def _code(match: re.Match[str]) -> str:
    return "[national code]" if is_national_code(match.group()) else match.group()


def redact(text: str) -> str:
    """`text` without JWTs, named and prefixed secrets, and national codes."""
    text = _JWT.sub(HIDDEN, text.replace("\x00", "\ufffd"))  # PostgreSQL stores no NUL
    lower = text.lower()
    if any(name in lower for name in _NAMES):
        text = _NAMED.sub(lambda match: match.group(1) + HIDDEN, text)
    text = _SECRET.sub("_" + HIDDEN, text)
    return _TEN_DIGITS.sub(_code, text)


def body(raw: bytes, content_type: str) -> str:
    """A body as the log keeps it: text only, redacted, at most `BOUND` bytes."""
    if not raw:
        return ""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind.startswith("text/") or "json" in kind or "xml" in kind or kind == "application/x-www-form-urlencoded"):
        return f"[{kind or 'unknown type'}, not kept]"
    # Redacted before it is cut: a secret on the edge would otherwise be half shown.
    text = redact(raw.decode("utf-8", "replace"))
    return text if len(text) <= BOUND else text[:BOUND] + " …"


def whole(raw: bytes) -> str:
    """A body of a conformance run: redacted, not cut."""
    return redact(raw.decode("utf-8", "replace"))
