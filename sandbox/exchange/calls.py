"""One call on the exchange: who, on which Tenant, asking what."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate

from sandbox.exchange.negotiation import FHIR_JSON, Prefer, media_type, need_json, read_body
from sandbox.exchange.services import Services
from sandbox.fhir.outcomes import BadRequestError, Issue, Language, Text
from sandbox.kernel.http import Headers, Request, Response
from sandbox.search.request import pairs
from sandbox.security.access import Access
from sandbox.storage.encoding import parse
from sandbox.storage.repository import Stored, Written
from sandbox.tenants.service import Tenant


@dataclass(slots=True)
class Call:
    """Everything a handler needs; `rtype`, `fid` and `tail` come from the path."""

    services: Services
    request: Request
    access: Access
    tenant: Tenant
    language: Language
    prefer: Prefer
    now: int
    rtype: str = ""
    fid: str = ""
    tail: str = ""
    interaction: str = ""
    """Code of http://hl7.org/fhir/R4/valueset-system-restful-interaction.html, or "operation"."""
    subjects: list[str] = field(default_factory=list)
    """Resources touched, as Type/id: what the audit entry names."""
    remarks: list[Issue] = field(default_factory=list)
    """What validation found and let pass."""

    @property
    def query(self) -> list[tuple[str, str]]:
        return pairs(self.request.query)

    def header(self, name: bytes) -> bytes | None:
        return self.request.headers.get(name)

    async def json_body(self) -> object:
        """The body as JSON. Raises the `FhirError` that fits what is wrong with it."""
        need_json(media_type(self.request))
        return parse(await read_body(self.request))

    async def resource_body(self) -> dict[str, object]:
        """The body as a resource of the path's type."""
        value = await self.json_body()
        return as_resource(value, self.rtype)


def as_resource(value: object, rtype: str) -> dict[str, object]:
    """A JSON value as a resource of type `rtype`. Raises `BadRequestError`."""
    if not isinstance(value, dict):
        raise BadRequestError(
            Text("The body must be a JSON object, a FHIR resource.", "بدنه باید یک شیء JSON، یعنی منبعی از FHIR باشد."),
            code="structure",
        )
    named = value.get("resourceType")
    if named != rtype:
        raise BadRequestError(
            Text(
                f"The body says resourceType {named!r}; {rtype!r} is expected here."
                if named
                else "The body lacks resourceType.",
                f"مقدار resourceType بدنه «{named}» است؛ در اینجا {rtype} لازم است."
                if named
                else "بدنه resourceType ندارد.",
            ),
            code="invalid",
            expression=("resourceType",),
        )
    return value


def http_date(stamp: int) -> bytes:
    return formatdate(stamp // 1_000_000, usegmt=True).encode()


def version_headers(ver: int, updated: int) -> Headers:
    return [(b"content-type", FHIR_JSON), (b"etag", b'W/"%d"' % ver), (b"last-modified", http_date(updated))]


def json_response(body: bytes, status: int = 200) -> Response:
    return Response(status, body, [(b"content-type", FHIR_JSON)])


def stored_response(found: Stored, body: bytes) -> Response:
    return Response(200, body, version_headers(found.ver, found.updated))


def location(base_url: str, written: Written) -> bytes:
    return f"{base_url}/{written.rtype}/{written.fid}/_history/{written.ver}".encode()
