"""Binary as what it is: bytes of any type in and out, and as a resource to whoever asks for one.

http://hl7.org/fhir/R4/binary.html. A Binary with a security context is guarded as the resource that it names.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from sandbox.exchange.calls import Call, as_resource
from sandbox.exchange.negotiation import is_json, media_type, names_fhir, read_body, weighed
from sandbox.fhir.outcomes import BadRequestError, InternalError, NotAcceptableError, Text, UnsupportedMediaError
from sandbox.kernel.http import Headers, Response
from sandbox.storage.encoding import load, parse

_FHIR: Final = ("application/fhir+json", "application/fhir+xml", "application/json+fhir", "application/xml+fhir")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,100}\Z", re.ASCII)


async def body_of(call: Call) -> dict[str, Any]:
    """The resource that a write brings: JSON, or for a Binary the bytes themselves."""
    if call.rtype != "Binary":
        return await call.resource_body()
    named = (call.header(b"content-type") or b"").decode("latin-1").strip()
    kind = named.partition(";")[0].strip().lower()
    if not kind or kind in _FHIR:
        return await call.resource_body()
    if not _MEDIA_TYPE.match(kind):
        raise UnsupportedMediaError(Text(f"{kind!r} is no media type.", f"«{kind}» نوع رسانه نیست."))
    if is_json(kind):
        media_type(call.request)
        raw = await read_body(call.request)
        value = parse(raw)
        if isinstance(value, dict) and value.get("resourceType") == "Binary":
            return as_resource(value, "Binary")
    else:
        raw = await read_body(call.request)
    made: dict[str, Any] = {"resourceType": "Binary"}
    if call.fid:
        made["id"] = call.fid
    made["contentType"] = named
    context = call.header(b"x-security-context")
    if context is not None:
        made["securityContext"] = {"reference": context.decode("latin-1").removeprefix(call.services.base_url + "/")}
    return made | ({"data": base64.b64encode(raw).decode()} if raw else {})


def wants_bytes(call: Call) -> bool:
    """Whether the bytes themselves are asked for: an Accept that names no FHIR format."""
    accept = call.header(b"accept")
    if call.rtype != "Binary" or accept is None or any(name == "_format" for name, _ in call.query):
        return False
    return not names_fhir(accept)


def as_bytes(call: Call, body: bytes, headers: Headers) -> Response:
    """A stored Binary as its bytes. Raises `NotAcceptableError` when Accept rules their type out."""
    resource = load(body)
    kind = str(resource.get("contentType") or "application/octet-stream")
    name = kind.partition(";")[0].strip().lower()
    wanted = weighed(call.header(b"accept") or b"*/*")
    if not any(wanted.get(form, 0) > 0 for form in (name, f"{name.partition('/')[0]}/*", "*/*")):
        raise NotAcceptableError(
            Text(f"This Binary is {kind}, which Accept does not name.", f"نوع این Binary «{kind}» در Accept نیست."),
            hint=Text(
                "Ask for */*, or for application/fhir+json to get it as a resource.",
                "با */* یا برای دریافت منبع با application/fhir+json درخواست کنید.",
            ),
        )
    try:
        data = base64.b64decode(resource.get("data", ""))
    except (binascii.Error, ValueError):
        raise InternalError(Text("The stored data is damaged.", "دادهٔ ذخیره‌شده آسیب دیده است.")) from None
    kept = [(k, v) for k, v in headers if k != b"content-type"]
    context = (resource.get("securityContext") or {}).get("reference")
    if context:
        kept.append((b"x-security-context", str(context).encode("ascii", "replace")))
    # What a caller uploaded must not run as a page of this exchange.
    kept += [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
    try:
        return Response(200, data, [(b"content-type", kind.encode("ascii")), *kept])
    except UnicodeEncodeError:
        raise BadRequestError(Text("Its contentType is no media type.", "contentType آن نوع رسانه نیست.")) from None
