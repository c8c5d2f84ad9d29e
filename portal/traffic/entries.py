"""A call's record on its way from the hot path to the database: one line of a journal."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, array_like=True, gc=False):
    """As `models.CallRecord`; `at_us` is Unix microseconds, `charged` whether the call counts for Quota and invoice."""

    id: str
    request_id: str
    at_us: int
    environment: str
    company_id: str
    app_id: str
    client_id: str
    product_id: str
    subscription_id: str
    method: str
    template: str
    interaction: str
    target: str
    status: int
    code: str
    detail: str
    violated: str
    shadowed: str
    limits: str
    gateway_us: int
    upstream_us: int
    duration_us: int
    bytes_in: int
    bytes_out: int
    charged: bool


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(Entry)
_many = msgspec.json.Decoder(list[Entry])
# The values of an Entry in the order of its fields, without the cost of making one.
Values = tuple[
    str, str, int, str, str, str, str, str, str, str, str, str, str,
    int, str, str, str, str, str, int, int, int, int, int, bool,
]  # fmt: skip


def encode(entry: Entry | Values) -> bytes:
    """One line, its newline included (JSON has none inside)."""
    return encoder.encode(entry) + b"\n"


def decode_all(text: bytes) -> list[Entry]:
    """Entries of a journal; a last line torn by a crash is left out."""
    whole = text.rstrip(b"\n").replace(b"\n", b",")
    try:
        return _many.decode(b"[" + whole + b"]")
    except msgspec.DecodeError:
        return _decode_each(text)


def _decode_each(text: bytes) -> list[Entry]:
    entries = []
    for line in text.split(b"\n"):
        if line:
            try:
                entries.append(decoder.decode(line))
            except msgspec.DecodeError:
                continue
    return entries
