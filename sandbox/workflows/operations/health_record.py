"""Operations of the integrated record: `$summary` (International Patient Summary) and `$merge` of duplicates; the room page.

http://hl7.org/fhir/uv/ips/OperationDefinition/summary, http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir.outcomes import ConflictError, Text, UnprocessableError, deleted_resource, unknown_resource
from sandbox.kernel.clock import instant
from sandbox.kernel.http import Response
from sandbox.kernel.ids import new_id
from sandbox.search import service
from sandbox.search.request import understand
from sandbox.storage.encoding import dump, load, plain
from sandbox.workflows.codes import LOINC, Resource, concept
from sandbox.workflows.operations.declared import Context, Needs, Operation
from sandbox.workflows.operations.parameters import needed
from sandbox.workflows.records import copy, need, pointer, ref

PRODUCT: Final = "integrated-record"
_IPS: Final = "http://hl7.org/fhir/uv/ips/StructureDefinition"
_MOST: Final = 200
# Title in both languages, LOINC code, type and search of each section; the first three are required by the guide.
_SECTIONS: Final = (
    ("Active problems", "مشکلات فعال", "11450-4", "Condition", "clinical-status=active"),
    ("Allergies and intolerances", "حساسیت‌ها", "48765-2", "AllergyIntolerance", ""),
    ("Medications", "داروها", "10160-0", "MedicationRequest", "status=active"),
    ("Immunizations", "واکسن‌ها", "11369-6", "Immunization", "status=completed"),
    ("Results", "نتایج", "30954-2", "Observation", "category=laboratory&_sort=-date"),
    ("Vital signs", "علائم حیاتی", "8716-3", "Observation", "category=vital-signs&_sort=-date"),
    ("Procedures", "اقدامات", "47519-4", "Procedure", ""),
)
_REQUIRED: Final = frozenset({"11450-4", "48765-2", "10160-0"})


async def summary(call: Call) -> Response:
    """The Patient's summary as a document Bundle, holding what the caller may see and nothing else."""
    call.access.need("Patient", "r")
    found = await visible(call)
    if found is None:
        raise unknown_resource("Patient", call.fid)
    if found.deleted:
        raise deleted_resource("Patient", call.fid, str(found.ver))
    sections, entries = [], []
    for title, title_fa, code, kind, query in _SECTIONS:
        resources = await _seen(call, kind, query) if call.access.limits(kind, "s") else []
        if resources or code in _REQUIRED:
            sections.append(_section(f"{title_fa} / {title}", code, resources))
            entries += resources
    patient = load(found.body)
    composition = _composition(call, sections)
    bundle: Resource = {
        "resourceType": "Bundle",
        "id": new_id(),
        "meta": {"profile": [f"{_IPS}/Bundle-uv-ips"]},
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{new_id()}"},
        "type": "document",
        "timestamp": instant(call.now),
        "entry": [_entry(call, one) for one in (composition, patient, *_unique(entries))],
    }
    call.subjects.append(f"Patient/{call.fid}")
    return json_response(dump(bundle))


async def _seen(call: Call, kind: str, query: str) -> list[Resource]:
    """Resources of one type of the patient, through the one search builder and its limits."""
    parameters = [("patient", f"Patient/{call.fid}")]
    parameters += [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    request = understand((kind,), parameters)
    request.count = _MOST
    compiler = call.services.compiler(call.access, call.now)
    question = service.compile_question(compiler, request, "$summary")
    page = await service.find(call.services.store, call.tenant, request, question, call.services.cursors, call.now)
    return [load(row[3]) for row in page.rows]


def _unique(resources: list[Resource]) -> list[Resource]:
    return list({ref(one): one for one in resources}.values())


def _entry(call: Call, resource: Resource) -> Resource:
    return {"fullUrl": f"{call.services.base_url}/{ref(resource)}", "resource": resource}


def _section(title: str, code: str, resources: list[Resource]) -> Resource:
    lines = "".join(f"<li>{escape(_words(one))}</li>" for one in resources) or "<li>—</li>"
    section: Resource = {
        "title": title,
        "code": concept(LOINC, code),
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="fa" dir="rtl"><ul>{lines}</ul></div>',
        },
    }
    if resources:
        return section | {"entry": [pointer(ref(one)) for one in resources]}
    reason = concept("http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable")
    return section | {"emptyReason": reason}


def _words(resource: Resource) -> str:
    """One line for a narrative: what it is, its value, its date."""
    node: Resource = next(
        (resource[n] for n in ("code", "vaccineCode", "medicationCodeableConcept") if n in resource), {}
    )
    name = node.get("text") or next((c.get("display") or c.get("code", "") for c in node.get("coding", ())), "")
    quantity = resource.get("valueQuantity", {})
    value = f"{quantity.get('value')} {quantity.get('unit', '')}".strip() if quantity else ""
    dates = ("effectiveDateTime", "occurrenceDateTime", "authoredOn", "onsetDateTime", "recordedDate")
    when = next((str(resource[n])[:10] for n in dates if n in resource), "")
    return " · ".join(part for part in (str(name), value, when) if part)


def _composition(call: Call, sections: list[Resource]) -> Resource:
    return {
        "resourceType": "Composition",
        "id": new_id(),
        "meta": {"profile": [f"{_IPS}/Composition-uv-ips"]},
        "status": "final",
        "type": concept(LOINC, "60591-5", "Patient summary Document"),
        "subject": pointer(f"Patient/{call.fid}"),
        "date": instant(call.now),
        "author": [{"display": "Gozar sandbox exchange"}],
        "title": "خلاصهٔ پروندهٔ بیمار / International Patient Summary",
        "section": sections,
    }


async def _merge(c: Context) -> Resource:
    """Mark the Patient of the URL as replaced by another: links both ways, the duplicate inactive. Its records stay its own."""
    duplicate = copy(c.subject)
    survivor = await need(c.records, c.args["into"], "Patient", where="into")
    if survivor["id"] == duplicate["id"]:
        raise UnprocessableError(
            Text("A Patient cannot be merged into itself.", "بیمار در خودش ادغام نمی‌شود."), expression=("into",)
        )
    for one in (duplicate, survivor):
        if any(link.get("type") == "replaced-by" for link in one.get("link", ())):
            raise ConflictError(
                Text(f"{ref(one)} has been merged away already.", f"«{ref(one)}» پیش‌تر ادغام شده است."),
                code="business-rule",
            )
    gone = {"other": pointer(ref(survivor)), "type": "replaced-by"}
    kept = {"other": pointer(ref(duplicate)), "type": "replaces"}
    await c.records.save(duplicate | {"active": False, "link": [*duplicate.get("link", ()), gone]})
    saved = await c.records.save(survivor | {"link": [*survivor.get("link", ()), kept]})
    c.records.tell("record-merged", saved, {"duplicate": ref(duplicate)})
    return saved


_WRITES: Needs = (("Patient", "u"),)
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "merge",
        "Patient",
        "instance",
        PRODUCT,
        _WRITES,
        _merge,
        (needed("into", "reference"),),
        title="Merge a duplicate into another Patient",
    ),
)


async def room(call: Call) -> Response:
    """The simulated room of a teleconsultation: a page that says who meets whom, and that no camera is involved."""
    call.access.need("Encounter", "s")
    wanted = next((value for name, value in call.query if name == "room"), "")
    for encounter in await _virtual(call):
        if any(str(e.get("valueUrl", "")).endswith(f"room={wanted}") for e in encounter.get("extension", ()) if wanted):
            return Response(200, _page(encounter).encode(), [(b"content-type", b"text/html; charset=utf-8")])
    raise unknown_resource("Encounter", "$room")


async def _virtual(call: Call) -> list[Resource]:
    request = understand(("Encounter",), [("class", "VR"), ("_sort", "-_lastUpdated")])
    request.count = 1_000
    question = service.compile_question(call.services.compiler(call.access, call.now), request, "$room")
    page = await service.find(call.services.store, call.tenant, request, question, call.services.cursors, call.now)
    found: list[Any] = [plain(load(row[3])) for row in page.rows]
    return found


def _page(encounter: Resource) -> str:
    state = escape(str(encounter.get("status", "")))
    people = [encounter.get("subject", {}).get("reference", "")]
    people += [p.get("individual", {}).get("reference", "") for p in encounter.get("participant", ())]
    shown = "".join(f'<li><bdi dir="ltr">{escape(name)}</bdi></li>' for name in people if name)
    return (
        '<!doctype html><html lang="fa" dir="rtl"><meta charset="utf-8"><title>اتاق مشاوره</title>'
        f'<h1>اتاق شبیه‌سازی‌شدهٔ مشاوره</h1><p>وضعیت: <bdi dir="ltr">{state}</bdi></p><ul>{shown}</ul>'
        "<p>این صفحه جای تماس تصویری را در محیط آزمایشی می‌گیرد. / This page stands in for the video call.</p></html>"
    )


HANDLERS: Final[dict[OperationKey, Handler]] = {
    ("Patient", "instance", "summary"): summary,
    ("Encounter", "type", "room"): room,
}
