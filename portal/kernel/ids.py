"""Prefixed, sortable-free, unguessable ids: `app_3kTMd…`. The prefix says what a pasted id names."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int, width: int) -> str:
    """`number` in base 62, left-padded with zeros to `width` characters."""
    digits = []
    while number:
        number, rest = divmod(number, 62)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits)).rjust(width, "0")


def new_id(prefix: str) -> str:
    """A new id of 16 base62 characters (95 bits) after `prefix_`."""
    return f"{prefix}_{base62(secrets.randbelow(62**16), 16)}"
