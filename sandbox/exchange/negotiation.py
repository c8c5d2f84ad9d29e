"""What the caller sends and wants back: media types, `_format`, `Prefer`, versions, compressed bodies.

http://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Literal

from sandbox.fhir.outcomes import (
    BadRequestError,
    NotAcceptableError,
    PreconditionError,
    Text,
    TooLargeError,
    UnsupportedMediaError,
)
from sandbox.kernel.http import BodyTooLarge, Request

MAX_BODY = 16 * 1024 * 1024
FHIR_JSON = b"application/fhir+json; charset=utf-8"
_JSON = frozenset({"application/fhir+json", "application/json", "text/json", "json", "application/json+fhir"})
XML = frozenset({"application/fhir+xml", "application/xml", "text/xml", "xml", "application/xml+fhir"})
NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"})
Format = Literal["json", "xml"]
_ANY = frozenset({"*/*", "application/*", "text/*"})
PATCH_JSON = "application/json-patch+json"
PATCH_MERGE = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
_SPOKEN = Text("This exchange speaks JSON and XML.", "این تبادل با JSON و XML کار می‌کند.")
_SEND_JSON = Text("Use application/fhir+json.", "از application/fhir+json استفاده کنید.")
# Quoted as RFC 9110 asks, or bare, as several FHIR clients send it.
_VERSION = re.compile(r'(?:W/)?("?)([A-Za-z0-9\-.]{1,64})\1\Z')
_VERSIONS = ("4.0", "4.0.1", "4")


@dataclass(frozen=True, slots=True)
class Prefer:
    """RFC 7240 preferences of a FHIR request."""

    returning: Literal["", "minimal", "representation", "OperationOutcome"] = ""
    handling: Literal["", "strict", "lenient"] = ""
    asynchronous: bool = False


def prefer(header: bytes | None) -> Prefer:
    if header is None:
        return Prefer()
    words = {part.strip().replace('"', "") for part in header.decode("latin-1").replace(";", ",").split(",")}
    returning: Literal["", "minimal", "representation", "OperationOutcome"] = ""
    if "return=minimal" in words:
        returning = "minimal"
    elif "return=OperationOutcome" in words:
        returning = "OperationOutcome"
    elif "return=representation" in words:
        returning = "representation"
    handling: Literal["", "strict", "lenient"] = ""
    if "handling=strict" in words:
        handling = "strict"
    elif "handling=lenient" in words:
        handling = "lenient"
    return Prefer(returning, handling, "respond-async" in words)


def answer_format(accept: bytes | None, formats: list[str], *, lines: bool = False) -> Format:
    """The format to answer in: `_format` outweighs the header, JSON wins ties. Raises `NotAcceptableError`.

    `lines` says that the path may answer with NDJSON (a file of `$export`); whatever else it says comes as JSON.
    """
    for value in formats:
        found = _format_of(value.replace(" ", "+").partition(";")[0].strip().lower())
        if found is None:
            raise NotAcceptableError(
                Text(f"_format={value} cannot be answered.", f"پاسخ با ‎_format={value} ممکن نیست.") + _SPOKEN,
                hint=_SEND_JSON,
            )
        return found
    if accept is None or accept in (b"*/*", b"application/fhir+json", b"application/json"):
        return "json"
    best: tuple[float, Format] = (0.0, "json")
    for part in accept.decode("latin-1").split(",")[:50]:
        name, *parameters = [p.strip().lower() for p in part.split(";")]
        version = next((p.partition("=")[2].strip('"') for p in parameters if p.startswith("fhirversion=")), "4.0")
        offered = "json" if lines and name in NDJSON else _format_of(name)
        if offered is not None and version in _VERSIONS:
            # A browser lists application/xml among what it can show; a person reading there wants JSON.
            offered = "json" if name == "application/xml" and b"text/html" in accept else offered
            best = max(best, (_weight(parameters), offered), key=lambda choice: choice[0])
    if best[0] > 0:
        return best[1]
    raise NotAcceptableError(
        Text("No format named in Accept can be answered.", "هیچ‌یک از قالب‌های Accept پشتیبانی نمی‌شود.") + _SPOKEN,
        hint=_SEND_JSON,
    )


def weighed(accept: bytes) -> dict[str, float]:
    """Media ranges of an Accept header with their weights."""
    found = {}
    for part in accept.decode("latin-1").split(",")[:50]:
        name, *parameters = [p.strip().lower() for p in part.split(";")]
        found[name] = _weight(parameters)
    return found


def names_fhir(accept: bytes) -> bool:
    """Whether a format of resources is named outright, not by a wildcard."""
    return any(weight > 0 and name in _JSON | XML for name, weight in weighed(accept).items())


def _format_of(name: str) -> Format | None:
    if name in _JSON or name in _ANY:
        return "json"
    return "xml" if name in XML else None


def _weight(parameters: list[str]) -> float:
    value = next((p.partition("=")[2] for p in parameters if p.startswith("q=")), "1")
    return min(float(value), 1.0) if re.fullmatch(r"\d(\.\d{0,3})?", value) else 0.0


def media_type(request: Request) -> str:
    """The body's media type, JSON when none is named. Raises `UnsupportedMediaError` for a charset that is not UTF-8."""
    header = request.headers.get(b"content-type", b"").decode("latin-1")
    name, *parameters = [part.strip().lower() for part in header.split(";")]
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaError(
                Text(f"Charset {value} is not read; send UTF-8.", f"نویسه‌گان {value} خوانده نمی‌شود؛ UTF-8 بفرستید.")
            )
        if key == "fhirversion" and value.strip('"') not in _VERSIONS:
            raise UnsupportedMediaError(
                Text(f"FHIR {value} is not read here; send 4.0.", f"نسخهٔ {value} از FHIR خوانده نمی‌شود؛ 4.0 بفرستید.")
            )
    return name or "application/fhir+json"


def need_json(kind: str) -> None:
    """Raises `UnsupportedMediaError` unless the body is JSON."""
    if kind not in _JSON:
        raise UnsupportedMediaError(
            Text(f"A body of type {kind} is not read here.", f"بدنه از نوع {kind} در اینجا خوانده نمی‌شود.") + _SPOKEN,
            hint=_SEND_JSON,
        )


def is_json(kind: str) -> bool:
    return kind in _JSON


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, decompressed within the same bound. Raises `TooLargeError`, `UnsupportedMediaError`, `BadRequestError`."""
    try:
        raw = await request.body(limit)
    except BodyTooLarge:
        raise _too_large(limit) from None
    coding = request.headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaError(
            Text(f"Content-Encoding {coding} is not read.", f"فشرده‌سازی {coding} خوانده نمی‌شود."),
            headers={"Accept-Encoding": "gzip, deflate"},
        )
    return _inflate(raw, limit)


def _inflate(raw: bytes, limit: int) -> bytes:
    """Decompress, stopping at the bound: a small body may unfold into gigabytes."""
    unpacker = zlib.decompressobj(wbits=47)
    try:
        body = unpacker.decompress(raw, limit + 1)
    except zlib.error as error:
        raise BadRequestError(
            Text("The compressed body is damaged.", "بدنهٔ فشرده آسیب دیده است."), code="structure"
        ) from error
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise BadRequestError(Text("The compressed body is cut short.", "بدنهٔ فشرده ناقص است."), code="structure")
    return body


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        Text(
            f"The body is larger than {limit // 1024 // 1024} MiB.",
            f"بدنهٔ درخواست از {limit // 1024 // 1024} مبی‌بایت بزرگ‌تر است.",
        ),
        hint=Text("Send it in several requests.", "آن را در چند درخواست بفرستید."),
    )


def version_of(header: bytes, name: str) -> str:
    """The version id of an ETag in `If-Match` or `If-None-Match`. Raises `PreconditionError`."""
    match = _VERSION.match(header.decode("latin-1").strip())
    if match is None:
        raise PreconditionError(
            Text(f'{name} must be a version such as W/"3".', f'سرآیند {name} باید نسخه‌ای مانند W/"3" باشد.')
        )
    return match[2]
