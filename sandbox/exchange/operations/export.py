"""$export of the Tenant, its patients, or a Group: FHIR Bulk Data Access 2.0.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html. Nothing is written to disk: a file is a query, pinned to the version number
at which the export was asked for, and streamed when it is downloaded; versions are kept, so it says the same each time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson

from sandbox.exchange.calls import Call, http_date
from sandbox.exchange.operations import inputs, masking
from sandbox.exchange.operations.export_files import Job, bodies, file_of, lines, measure, part_of, zipped
from sandbox.exchange.own_terms import compiler_for
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.exchange.searching import held_types
from sandbox.fhir import dates, definitions
from sandbox.fhir.outcomes import (
    BadRequestError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    RangeError,
    Text,
    ThrottledError,
    unknown_resource,
)
from sandbox.kernel.clock import instant
from sandbox.kernel.database import Transaction
from sandbox.kernel.http import Response
from sandbox.kernel.ids import new_id
from sandbox.search import service
from sandbox.search.request import pairs, understand
from sandbox.security.access import Limit
from sandbox.storage.encoding import load

LIFETIME = 24 * 3600 * 1_000_000
MAX_OPEN = 20
_PATIENCE = 0.5
_NAMES = ("_since", "_until", "_type", "_typeFilter", "_outputFormat", "patient", "includeAssociatedData", "_elements")
_FORMATS = ("", "application/fhir+ndjson", "application/ndjson", "ndjson")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_NDJSON = b"application/fhir+ndjson"


async def start(call: Call) -> Response:
    """Kick-off: 202 with the address of the status."""
    if not call.prefer.asynchronous:
        raise BadRequestError(
            Text(
                "An export is asynchronous: send 'Prefer: respond-async'.",
                "برون‌بری ناهم‌زمان است؛ «Prefer: respond-async» بفرستید.",
            ),
            code="invalid",
        )
    given = await inputs.read(call)
    given.allow(_NAMES)
    if given.one("_outputFormat").replace(" ", "+") not in _FORMATS:
        raise inputs.bad("_outputFormat", "must be application/fhir+ndjson", "باید application/fhir+ndjson باشد")
    job = await _job(call, given)
    await _keep(call, job)
    _count_behind(call, job)
    where = f"{call.services.base_url}/$export-status?job={job.job}"
    return Response(202, b"", [(b"content-location", where.encode())])


async def _job(call: Call, given: inputs.Inputs) -> Job:
    level = "group" if call.rtype == "Group" else "patient" if call.rtype == "Patient" else "system"
    masked = masking.asked(call)
    patients: tuple[str, ...] = ()
    if level == "group":
        patients = await _members(call, masked=masked)
    if masked:
        call = masking.admit(call, set(given.values), patients if level == "group" else None)
    named = [p.rpartition("/")[2] for p in (*given.words("patient"), *given.references("patient"))]
    if named:
        if level == "system":
            raise inputs.bad("patient", "applies to patient and group exports", "برای برون‌بری بیمار یا گروه است")
        patients = tuple(p for p in named if not patients or p in patients)
        level = "group"
    types = _types(call, given, level)
    since, until = given.moment("_since"), given.moment("_until")
    rows = await call.services.store.database.rows(
        "SELECT COALESCE(MAX(vid), 0) FROM version WHERE layer IN (?1, ?2)", (call.tenant.layer, call.tenant.base_layer)
    )
    query = f"?{call.request.query.decode('latin-1')}" if call.request.query else ""
    path = "/".join(p for p in (call.services.base_url, call.rtype, call.fid, "$export") if p)
    return Job(
        new_id(), path + query, level, types, since.lo if since else dates.EARLIEST, until.hi if until else dates.LATEST,
        await _filters(call, given, types), patients, rows[0][0], call.now, call.tenant.revision,
        tuple(given.words("_elements")), masked,
    )  # fmt: skip


def _types(call: Call, given: inputs.Inputs, level: str) -> tuple[str, ...]:
    named = service.types_of([("_type", v) for v in given.values.get("_type", [])])
    inside = definitions.compartment_types("Patient")
    for rtype in named:
        call.access.need(rtype, "r")
        if level != "system" and rtype not in inside:
            raise inputs.bad(
                "_type", f"names {rtype}, which is in no patient's record", f"نوع {rtype} در پروندهٔ بیمار نیست"
            )
    every = inside if level != "system" else tuple(sorted(definitions.RESOURCE_TYPES))
    types = named or tuple(t for t in every if t != "AuditEvent" and call.access.limits(t, "r"))
    if not types:
        raise ForbiddenError(
            Text("The access token reads nothing that could be exported.", "توکن دسترسی چیزی برای برون‌بری نمی‌خواند.")
        )
    return types


async def _filters(call: Call, given: inputs.Inputs, types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(type, query) of `_typeFilter`, compiled once here so that a bad one is refused at once."""
    found = []
    for text in given.values.get("_typeFilter", []):
        for part in re.split(r",(?=[A-Z][A-Za-z]+\?)", text):
            rtype, mark, query = part.partition("?")
            if not mark or rtype not in types:
                raise inputs.bad(
                    "_typeFilter",
                    "must be Type?query of an exported type",
                    "باید به شکل Type?query از نوع‌های برون‌بری باشد",
                )
            request = understand((rtype,), pairs(query))
            (await compiler_for(call, request.criteria, letter="r")).conjunction(rtype, request.criteria)
            found.append((rtype, query))
    return tuple(found)


async def _members(call: Call, *, masked: bool) -> tuple[str, ...]:
    """Patients of the Group; for a masked export the Group itself need not be readable: it names people."""
    if masked:
        call = replace(call, access=replace(call.access, grants={("Group", "r"): (Limit(),)}, withheld=None))
    call.access.need("Group", "r")
    group = await visible(call)
    if group is None or group.deleted:
        raise unknown_resource("Group", call.fid)
    references = [
        m.get("entity", {}).get("reference", "") for m in load(group.body).get("member", []) if not m.get("inactive")
    ]
    return tuple(r.removeprefix("Patient/") for r in references if r.startswith("Patient/"))


async def _keep(call: Call, job: Job) -> None:
    async def write(tx: Transaction) -> None:
        await tx.run("DELETE FROM export_job WHERE tenant=?1 AND expires<?2", (call.tenant.tenant, call.now))
        rows = await tx.rows("SELECT COUNT(*) FROM export_job WHERE tenant=?1", (call.tenant.tenant,))
        if rows[0][0] >= MAX_OPEN:
            raise ThrottledError(
                Text(
                    f"A Tenant may keep {MAX_OPEN} exports; delete one.",
                    f"هر فضای آزمایشی حداکثر {MAX_OPEN} برون‌بری نگه می‌دارد.",
                ),
                headers={"Retry-After": "60"},
            )
        await tx.run(
            "INSERT INTO export_job (job, tenant, client, state, created, expires, request, manifest) "
            "VALUES (?1, ?2, ?3, 'counting', ?4, ?5, ?6, ?7)",
            (job.job, call.tenant.tenant, call.access.client, call.now, call.now + LIFETIME, orjson.dumps(job), b""),
        )

    await call.services.store.database.write(write, lock=call.tenant.lock)


# --- status -----------------------------------------------------------------------------------------------------------


async def _find(call: Call) -> tuple[Job, str, int, bytes]:
    """The caller's own job; anybody else's does not exist."""
    wanted = dict(call.query).get("job", "")
    rows = await call.services.store.database.rows(
        "SELECT request, state, expires, manifest FROM export_job WHERE job=?1 AND tenant=?2 AND client=?3",
        (wanted, call.tenant.tenant, call.access.client),
    )
    if not rows or rows[0][2] < call.now:
        raise NotFoundError(
            Text("There is no such export, or it has expired.", "چنین برون‌بری‌ای نیست یا مهلت آن گذشته است.")
        )
    request = orjson.loads(rows[0][0])
    lists = {k: tuple(request[k]) for k in ("types", "patients", "elements")}
    filters = tuple((rtype, query) for rtype, query in request["filters"])
    job = Job(**{**request, **lists, "filters": filters})
    if job.masked:
        call.access = masking.limited(call).access
    if job.revision != call.tenant.revision:
        raise NotFoundError(
            Text("The Tenant was reset since; export again.", "فضای آزمایشی بازنشانی شده است؛ دوباره برون‌بری کنید.")
        )
    return job, rows[0][1], rows[0][2], rows[0][3]


async def status(call: Call) -> Response:
    """GET: 202 while the files are counted, then 200 with the manifest. DELETE: forget the export."""
    job, state, expires, manifest = await _find(call)
    if call.request.method == "DELETE":
        await _forget(call, job)
        return Response(202)
    if call.request.method not in ("GET", "HEAD"):
        raise MethodNotAllowedError(
            Text("Use GET or DELETE.", "از GET یا DELETE استفاده کنید."), headers={"Allow": "GET, DELETE"}
        )
    if state != "ready":
        counting = call.services.background.get(job.job) or _count_behind(call, job)
        done, _ = await asyncio.wait([counting], timeout=_PATIENCE)
        if not done:
            return Response(202, b"", [(b"x-progress", b"counting"), (b"retry-after", b"1")])
        manifest = counting.result()
    headers = [(b"content-type", b"application/json"), (b"expires", http_date(expires))]
    return Response(200, manifest, headers)


async def _forget(call: Call, job: Job) -> None:
    async def write(tx: Transaction) -> None:
        await tx.run("DELETE FROM export_job WHERE job=?1", (job.job,))

    await call.services.store.database.write(write, lock=call.tenant.lock)


def _count_behind(call: Call, job: Job) -> asyncio.Task[bytes]:
    """Count in the background; a worker that starts anew takes up what another left."""
    task = asyncio.create_task(_count(call, job))
    call.services.background[job.job] = task
    task.add_done_callback(lambda _: call.services.background.pop(job.job, None))
    return task


async def _count(call: Call, job: Job) -> bytes:
    if job.masked:
        call = masking.limited(call)
    output: list[dict[str, Any]] = []
    names = call.services.store.dictionary.type_names
    changed = await call.services.store.database.rows(
        "SELECT DISTINCT rtype FROM version WHERE layer=?1 AND vid>?2", (call.tenant.layer, job.last)
    )
    held = {*await held_types(call), *(names[row[0]] for row in changed)}
    for rtype in (t for t in job.types if t in held):
        count = await measure(await file_of(call, job, rtype))
        if count:
            url = f"{call.services.base_url}/$export-file?job={job.job}&type={rtype}"
            # A mask may leave lines out, so that it promises no number.
            output.append({"type": rtype, "url": url} | ({} if job.masked else {"count": count}))
    made = orjson.dumps(
        {
            "transactionTime": instant(job.at),
            "request": job.request_url,
            "requiresAccessToken": True,
            "output": output,
            "error": [],
        }
    )

    async def write(tx: Transaction) -> None:
        await tx.run("UPDATE export_job SET state='ready', manifest=?2 WHERE job=?1", (job.job, made))

    await call.services.store.database.write(write, lock=call.tenant.lock)
    return made


# --- files ------------------------------------------------------------------------------------------------------------


async def download(call: Call) -> Response:
    """One file, whole or a range of it."""
    job, *_ = await _find(call)
    rtype = dict(call.query).get("type", "")
    if rtype not in job.types:
        raise NotFoundError(Text("The export has no such file.", "این برون‌بری چنین پرونده‌ای ندارد."))
    call.access.need(rtype, "r")
    if job.masked:
        return Response(200, b"", [(b"content-type", _NDJSON)], await _masked(call, job, rtype))
    file = await file_of(call, job, rtype)
    headers = [(b"content-type", _NDJSON), (b"accept-ranges", b"bytes")]
    asked = call.header(b"range")
    if asked is None:
        if b"gzip" in (call.header(b"accept-encoding") or b""):
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
            return Response(200, b"", headers, zipped(lines(file)))
        return Response(200, b"", headers, lines(file))
    size = 0
    async for chunk in lines(file):
        size += len(chunk)
    first, last = _range(asked.decode("latin-1"), size)
    headers += [
        (b"content-range", b"bytes %d-%d/%d" % (first, last, size)),
        (b"content-length", b"%d" % (last - first + 1)),
    ]
    return Response(206, b"", headers, part_of(lines(file), first, last))


async def _masked(call: Call, job: Job, rtype: str) -> AsyncIterator[bytes]:
    """The file's lines, de-identified. How many are alike, and who opted out, is looked up in the whole record, not since a day."""
    whole = replace(job, since=dates.EARLIEST, until=dates.LATEST)

    async def resources(kind: str) -> AsyncIterator[dict[str, Any]]:
        limited = replace(call, access=replace(call.access, grants={(kind, "r"): (Limit(),)}))
        async for body in bodies(await file_of(limited, whole, kind)):
            yield load(body)

    line = await masking.mask(call, rtype, job.at, resources)
    file = await file_of(call, job, rtype)

    async def masked() -> AsyncIterator[bytes]:
        async for body in bodies(file):
            if made := line(body):
                yield made

    return masked()


def _range(text: str, size: int) -> tuple[int, int]:
    """First and last byte (RFC 9110 §14.1.2). Raises `RangeError` for what cannot be satisfied."""
    match = _RANGE.match(text)
    if match is not None and (match[1] or match[2]):
        if match[1]:
            first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        else:
            first, last = max(size - int(match[2]), 0), size - 1
        if first <= last and first < size:
            return first, last
    raise RangeError(
        Text(
            f"The range {text!r} cannot be satisfied: the file has {size} bytes.",
            f"بازهٔ خواسته‌شده ممکن نیست؛ پرونده {size} بایت است.",
        ),
        headers={"Content-Range": f"bytes */{size}"},
    )


OPERATIONS: dict[OperationKey, Handler] = {
    ("", "system", "export"): start,
    ("Patient", "type", "export"): start,
    ("Group", "instance", "export"): start,
    ("", "system", "export-status"): status,
    ("", "system", "export-file"): download,
}
