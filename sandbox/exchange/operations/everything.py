"""Patient/[id]/$everything: the compartment in pages, and what it refers to.

http://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.operations import inputs
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import Issue, Text, deleted_resource, unknown_resource
from sandbox.kernel.http import Response
from sandbox.search import includes, service
from sandbox.search.compile import Compiler, member
from sandbox.search.criteria import Criterion, Dated
from sandbox.search.includes import Found, Included
from sandbox.search.request import Include, SearchRequest
from sandbox.storage.dictionary import Dictionary
from sandbox.storage.repository import Stored

_DEFAULT = 100
_NAMES = ("start", "end", "_since", "_type", "_count", "_cursor")
_ANYTHING = Include("*", "*", "", iterate=False)


async def everything(call: Call) -> Response:
    """The patient first, then its record, newest first; referenced resources come with the page that refers to them."""
    call.access.need("Patient", "r")
    patient = await visible(call)
    if patient is None:
        raise unknown_resource("Patient", call.fid)
    if patient.deleted:
        raise deleted_resource("Patient", call.fid, str(patient.ver))
    given = await inputs.read(call)
    given.allow(_NAMES)
    request, extra = await _asked(call, given)
    compiler = call.services.compiler(call.access, call.now, letter="r")
    path = f"Patient/{call.fid}/$everything"
    store = call.services.store
    question = service.compile_question(compiler, request, path, extra)
    page = await service.find(store, call.tenant, request, question, call.services.cursors, call.now)
    if not request.cursor and _wants_patient(given, patient):
        page.rows.insert(0, (patient.vid, patient.rtype, patient.fid, patient.body))
        page.total = None if page.total is None else page.total + 1
    if page.following is not None or request.cursor:
        page.total = None
    included = await _referenced(call, compiler, page.rows)
    warnings = [_CUT] if included.cut else []
    rendering = service.Rendering(call.services.base_url, path, call.language)
    links = service.cursor_links(call.services.cursors, call.tenant, page, question, call.now)
    names = store.dictionary.type_names
    return json_response(service.bundle(page, included, request, rendering, names, links, warnings))


_CUT = Issue(
    "warning",
    "too-costly",
    Text("Some referenced resources were left out.", "برخی منابع ارجاع‌شده کنار گذاشته شد."),
)


def _wants_patient(given: inputs.Inputs, patient: Stored) -> bool:
    types, since = given.words("_type"), given.moment("_since")
    return (not types or "Patient" in types) and (since is None or patient.updated >= since.lo)


async def _asked(call: Call, given: inputs.Inputs) -> tuple[SearchRequest, list[Criterion]]:
    named = service.types_of([("_type", value) for value in given.values.get("_type", [])])
    held = await _held(call)
    types = tuple(
        t
        for t in held
        if t != "Patient"
        and (t in named if named else t != "AuditEvent")
        and (call.access.limits(t, "s") or call.access.limits(t, "r"))
    )
    request = SearchRequest(types=types, count=given.number("_count", _DEFAULT, least=1, most=1000))
    request.cursor = given.one("_cursor")
    since = given.moment("_since")
    if since is not None:
        request.criteria.append(("_lastUpdated", f"ge{given.one('_since')}"))
    extra = [member("Patient", call.fid)]
    start, end = given.moment("start"), given.moment("end")
    if start is not None or end is not None:
        low = start.lo if start else -(2**62)
        high = end.hi if end else 2**62
        extra.append(Criterion(Dated(), (*member("Patient", call.fid).args, low, high)))
    request.used = [(n, v) for n in _NAMES if n != "_cursor" for v in given.values.get(n, [])]
    return request, extra


async def _held(call: Call) -> list[str]:
    """Types that the compartment holds anything of."""
    dictionary: Dictionary = call.services.store.dictionary
    rows = await call.services.store.database.rows(
        "SELECT DISTINCT rtype FROM idx_compartment WHERE layer IN (?1, ?2) AND kind=1 AND owner=?3",
        (call.tenant.layer, call.tenant.base_layer, call.fid),
    )
    return sorted(dictionary.type_names[row[0]] for row in rows)


async def _referenced(call: Call, compiler: Compiler, rows: list[Found]) -> Included:
    """What the page refers to outside the compartment: practitioners, organizations, medications."""
    members = set(definitions.compartment_types("Patient"))
    store = call.services.store
    request = SearchRequest(includes=[_ANYTHING])
    found = await includes.collect(store.database, call.tenant, compiler, request, rows)
    names = store.dictionary.type_names
    return Included([row for row in found.rows if names[row[1]] not in members], found.cut)


OPERATIONS: dict[OperationKey, Handler] = {("Patient", "instance", "everything"): everything}
