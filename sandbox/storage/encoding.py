"""Between JSON text and the bytes that are stored: exact numbers, bounded depth, server-owned `meta`.

A FHIR decimal keeps its precision (`1.00` is not `1.0`: http://hl7.org/fhir/R4/datatypes.html#decimal), so a body that holds
such a number is kept with its own digits; every other body takes the fast path.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import orjson

from sandbox.fhir.outcomes import BadRequestError, Text, TooLargeError
from sandbox.kernel.clock import instant

MAX_DEPTH = 64
MAX_DIGITS = 60
# Numbers that a float would rewrite: trailing zeros after the point, exponents, or more digits than a double holds.
_INEXACT = re.compile(rb"[:\[,]\s*-?(?:\d+\.\d*0(?=[,\s}\]])|[\d.]+[eE][+-]?\d+|\d[\d.]{15,})")
_KEY = re.compile(rb'"\s*:')


def parse(raw: bytes) -> Any:
    """JSON value of a request body. Raises `BadRequestError` on what is not strict JSON, `TooLargeError` past the depth bound."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_json(raw, error) from error
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH and orjson.dumps(value) == raw:
        return value  # the same bytes again: no key twice, every digit kept, too few brackets to nest too deep
    keys = _count_keys(value)
    if keys != len(_KEY.findall(raw)):
        _refuse_duplicates(raw)
    if _INEXACT.search(raw):
        value = json.loads(raw, parse_float=_decimal, parse_int=_integer)
    return value


def _not_json(raw: bytes, error: orjson.JSONDecodeError) -> BadRequestError:
    if not raw.strip():
        return BadRequestError(
            Text("The body is empty; a JSON resource is needed.", "بدنهٔ درخواست خالی است؛ یک منبع JSON لازم است.")
        )
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        return BadRequestError(
            Text(
                f"The body is not valid UTF-8 (byte {bad.start}).", f"بدنهٔ درخواست UTF-8 معتبر نیست (بایت {bad.start})."
            ),
            code="structure",
        )
    return BadRequestError(
        Text(
            f"The body is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}.",
            f"بدنهٔ درخواست JSON معتبر نیست: سطر {error.lineno}، ستون {error.colno}.",
        ),
        code="structure",
    )


def _count_keys(value: Any) -> int:
    """Keys of all objects, walking without recursion; refuses what nests deeper than `MAX_DEPTH`."""
    total = 0
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                total += len(node)
                following += [v for v in node.values() if isinstance(v, (dict, list))]
            elif isinstance(node, list):
                following += [v for v in node if isinstance(v, (dict, list))]
        if not following:
            return total
        level = following
    raise TooLargeError(
        Text(f"The body nests deeper than {MAX_DEPTH} levels.", f"ساختار بدنه بیش از {MAX_DEPTH} سطح تودرتو است."),
        code="structure",
    )


def _refuse_duplicates(raw: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadRequestError(
                Text(f"The key {twice!r} appears twice in one object.", f"کلید «{twice}» در یک شیء دو بار آمده است."),
                code="structure",
            )
        return made

    json.loads(raw, object_pairs_hook=check)


def _decimal(digits: str) -> Decimal:
    if len(digits) > MAX_DIGITS or abs(Decimal(digits).adjusted()) > 308:
        raise BadRequestError(
            Text("A number in the body is too long to be kept exactly.", "عددی در بدنه بیش از اندازه بلند است."),
            code="value",
        )
    return Decimal(digits)


def _integer(digits: str) -> int:
    if len(digits) > 18:
        raise BadRequestError(
            Text("An integer in the body is out of range.", "عدد صحیحی در بدنه بیرون از بازهٔ مجاز است."), code="value"
        )
    return int(digits)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def dump(value: Any) -> bytes:
    """Compact JSON; decimals with the digits they came with."""
    return orjson.dumps(value, default=_exact)


def indented(body: bytes) -> bytes:
    """The same JSON for people to read, decimals exact."""
    return orjson.dumps(load(body), default=_exact, option=orjson.OPT_INDENT_2)


def load(body: bytes) -> Any:
    """A stored body as Python values, decimals exact."""
    value = orjson.loads(body)
    if orjson.dumps(value) == body:
        return value  # every digit comes back
    if _INEXACT.search(body):
        return json.loads(body, parse_float=Decimal)
    return value


def plain(value: Any) -> Any:
    """A copy with floats for decimals: what validation and indexing read."""
    return orjson.loads(dump(value))


def floated(value: Any) -> Any:
    """As `plain` for who only looks: the value itself when it holds no decimals."""
    try:
        orjson.dumps(value)
    except TypeError:
        return plain(value)
    return value


def stamped(resource: dict[str, Any], *, fid: str, ver: int, stamp: int) -> bytes:
    """The bytes to store and serve: `id`, `meta.versionId` and `meta.lastUpdated` are the server's."""
    given = resource.get("meta")
    meta: dict[str, Any] = {"versionId": str(ver), "lastUpdated": instant(stamp)}
    if isinstance(given, dict):
        meta |= {k: v for k, v in given.items() if k not in meta}
    whole = {"resourceType": resource["resourceType"], "id": fid, "meta": meta}
    whole |= {k: v for k, v in resource.items() if k not in whole}
    return dump(whole)


def same_content(stored: bytes, resource: dict[str, Any]) -> bool:
    """Whether `resource` says nothing new: equal but for what the server owns in `meta`."""
    return _content(load(stored)) == _content(resource)


def _content(resource: dict[str, Any]) -> bytes:
    meta = {k: v for k, v in (resource.get("meta") or {}).items() if k not in ("versionId", "lastUpdated")}
    rest = {k: v for k, v in resource.items() if k not in ("meta", "id")}
    if meta:
        rest["meta"] = meta
    return orjson.dumps(rest, default=_exact, option=orjson.OPT_SORT_KEYS)
