"""XML at the edge: bodies become JSON on the way in and XML on the way out, so that nothing inside knows two formats."""

from __future__ import annotations

from typing import Any, Final

from sandbox.exchange.negotiation import FHIR_JSON, XML, media_type, read_body
from sandbox.fhir.xml import from_xml, to_xml
from sandbox.kernel.http import Request, Response
from sandbox.storage.encoding import dump, load

FHIR_XML: Final = b"application/fhir+xml; charset=utf-8"
_REPLACED: Final = frozenset({b"content-type", b"content-length", b"content-encoding"})


async def as_json(request: Request) -> Request:
    """The request with an XML body turned into JSON; any other as it is. Raises what `from_xml` and `read_body` raise."""
    if b"xml" not in request.headers.get(b"content-type", b"").lower() or media_type(request) not in XML:
        return request
    if b"/Binary" in request.path and b"fhir" not in request.headers[b"content-type"].lower():
        return request  # somebody's XML file, not a resource
    body = dump(from_xml(await read_body(request)))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(k, v) for k, v in request.scope["headers"] if k not in _REPLACED]
    scope = {**request.scope, "headers": [*headers, (b"content-type", FHIR_JSON)]}
    return Request(scope, receive)


def as_xml(response: Response) -> Response:
    """The answer with its FHIR body in XML; files and streams, which are no resources, as they are."""
    if response.stream is not None or not response.body or (b"content-type", FHIR_JSON) not in response.headers:
        return response
    headers = [(k, FHIR_XML if k == b"content-type" else v) for k, v in response.headers]
    return Response(response.status, to_xml(load(response.body)), headers)
