"""$import: many resources as NDJSON, one a line, each put under its own id; for filling a Tenant.

Lines go in by groups, each group one transaction. Where a group is refused its lines are tried one by one, so that what is good
gets in and each refusal names its line.
"""

from __future__ import annotations

from typing import Any

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.negotiation import media_type, read_body
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.exchange.transactions import Entry, run_transaction
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import (
    BadRequestError,
    FhirError,
    Issue,
    MethodNotAllowedError,
    Text,
    UnsupportedMediaError,
    outcome,
)
from sandbox.kernel.http import Response
from sandbox.storage.encoding import dump, parse

MAX_BODY = 128 * 1024 * 1024
_GROUP = 200
_TOLD = 100
_KINDS = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")


async def load_lines(call: Call) -> Response:
    """Parameters with how many lines went in and how many were refused, and an OperationOutcome of the refusals."""
    if call.request.method != "POST":
        raise MethodNotAllowedError(
            Text("Send this with POST.", "این عملیات را با POST بفرستید."), headers={"Allow": "POST"}
        )
    kind = media_type(call.request)
    if kind not in _KINDS:
        raise UnsupportedMediaError(Text(f"$import takes {_KINDS[0]}.", f"‎$import تنها {_KINDS[0]} می‌پذیرد."))
    issues: list[Issue] = []
    entries = []
    for number, line in enumerate((await read_body(call.request, MAX_BODY)).split(b"\n"), 1):
        if line.strip():
            try:
                entries.append(_entry(number, parse(line)))
            except FhirError as error:
                issues += _at(number, error)
    born = {entry.url for entry in entries}
    done = 0
    for group in _groups(entries):
        done += await _put(call, group, born, issues)
    return json_response(_answer(call, done, issues))


def _entry(number: int, resource: Any) -> Entry:
    rtype = resource.get("resourceType") if isinstance(resource, dict) else None
    fid = resource.get("id") if isinstance(resource, dict) else None
    if rtype not in definitions.RESOURCE_TYPES or not isinstance(fid, str) or not fid:
        raise BadRequestError(
            Text(
                "Each line must be a resource with resourceType and id.", "هر سطر باید منبعی با resourceType و id باشد."
            ),
            code="required",
        )
    return Entry(number, "PUT", f"{rtype}/{fid}", resource, "", {})


def _groups(entries: list[Entry]) -> list[list[Entry]]:
    """Runs of entries in which no resource comes twice."""
    groups: list[list[Entry]] = [[]]
    seen: set[str] = set()
    for entry in entries:
        if entry.url in seen or len(groups[-1]) == _GROUP:
            groups.append([])
            seen = set()
        seen.add(entry.url)
        groups[-1].append(entry)
    return groups


async def _put(call: Call, group: list[Entry], born: set[str], issues: list[Issue]) -> int:
    if not group:
        return 0
    try:
        return len(await run_transaction(call, group, known=born))
    except FhirError as error:
        if len(group) == 1:
            issues += _at(group[0].number, error)
            return 0
    return sum([await _put(call, [entry], born, issues) for entry in group])


def _at(number: int, error: FhirError) -> list[Issue]:
    """An error's issues, each naming its line."""
    where = Text(f"Line {number}:", f"سطر {number}:")
    return [
        Issue(i.severity, i.code, where + i.text, i.expression, i.rule, i.hint, i.diagnostics) for i in error.issues
    ]


def _answer(call: Call, done: int, issues: list[Issue]) -> bytes:
    refused = len({i.text.en.partition(":")[0] for i in issues})
    told = outcome(issues[:_TOLD], call.language)
    parameters = [
        {"name": "imported", "valueInteger": done},
        {"name": "refused", "valueInteger": refused},
        {"name": "outcome", "resource": told},
    ]
    return dump({"resourceType": "Parameters", "parameter": parameters})


OPERATIONS: dict[OperationKey, Handler] = {("", "system", "import"): load_lines}
