"""An operation as a handler of the exchange: admit, read the input, run the body in one transaction, answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sandbox.exchange.calls import Call
from sandbox.exchange.checking import check
from sandbox.exchange.negotiation import FHIR_JSON
from sandbox.exchange.reading import permitted, visible
from sandbox.exchange.seams import Handler, Level, OperationKey
from sandbox.fhir.outcomes import ForbiddenError, MethodNotAllowedError, Text, deleted_resource, unknown_resource
from sandbox.kernel.http import Response
from sandbox.security.access import Letter, Limit
from sandbox.storage import repository
from sandbox.storage.encoding import dump, load, plain
from sandbox.workflows.codes import Resource
from sandbox.workflows.engine import Engine
from sandbox.workflows.operations import (
    appointments,
    consents,
    health_record,
    laboratories,
    parameters,
    prescriptions,
    subscriptions,
    tasks,
)
from sandbox.workflows.operations.declared import Context, Operation
from sandbox.workflows.records import complete, copy
from sandbox.workflows.tx_records import ExchangeRecords

_WHOLE: Final = (Limit(),)
OPERATIONS: Final[tuple[Operation, ...]] = (
    *appointments.OPERATIONS,
    *tasks.OPERATIONS,
    *prescriptions.OPERATIONS,
    *laboratories.OPERATIONS,
    *consents.OPERATIONS,
    *subscriptions.OPERATIONS,
    *health_record.OPERATIONS,
)


def handlers(engine: Engine) -> dict[OperationKey, Handler]:
    """Every operation's handler. Operations of one path (two Products on Task) may not share a name."""
    made: dict[OperationKey, Handler] = dict(health_record.HANDLERS)
    for operation in OPERATIONS:
        level: Level = operation.level
        key = (operation.kind, level, operation.name)
        if key in made:
            raise ValueError(f"two operations at {key}")
        made[key] = handler(engine, operation)
    return made


def handler(engine: Engine, operation: Operation) -> Handler:
    """The handler of one operation."""

    async def answer(call: Call) -> Response:
        for kind, letter in operation.needs:
            call.access.need(kind, letter)
        entries = await _entries(call, operation)
        args = parameters.read(entries, operation.parameters)
        for value in args.values():
            if isinstance(value, dict) and isinstance(value.get("resourceType"), str):
                await check(call, value)
        await _subject(call, operation)

        async def verb(records: ExchangeRecords) -> Resource:
            subject = await records.find_one(call.rtype, call.fid) if call.fid else {}
            if subject is None:
                raise unknown_resource(call.rtype, call.fid)
            context = Context(records, subject, args, call.access.app or call.access.client, call.services.base_url)
            with complete(f"${operation.name}"):
                return await operation.body(context)

        async def then(records: ExchangeRecords, made: Resource) -> Resource:
            await _check_limits(call, records, operation)
            return await _latest(records, made)

        made = await engine.run(call.tenant.tenant, verb, then=then)
        if "id" in made:
            call.subjects.append(f"{made['resourceType']}/{made['id']}")
        return _response(made)

    return answer


async def _entries(call: Call, operation: Operation) -> list[Resource]:
    if call.request.method == "POST":
        length = call.header(b"content-length")
        empty = length == b"0" or (length is None and call.header(b"transfer-encoding") is None)
        body = [] if empty else parameters.listed(plain(await call.json_body()))
        return [*body, *parameters.from_query(call.query)] if operation.reads else body
    if not operation.reads:
        raise MethodNotAllowedError(
            Text(
                f"${operation.name} changes things: POST it.", f"عملیات ${operation.name} تغییر می‌دهد؛ با POST بفرستید."
            ),
            headers={"Allow": "POST"},
        )
    return parameters.from_query(call.query)


async def _subject(call: Call, operation: Operation) -> None:
    """The resource of the URL must be there and readable by the caller; hidden and absent look the same."""
    if operation.level != "instance":
        return
    found = await visible(call)
    if found is None:
        raise unknown_resource(call.rtype, call.fid)
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))


async def _check_limits(call: Call, records: ExchangeRecords, operation: Operation) -> None:
    """A token bound to a compartment writes only inside it: what the operation made is looked at before the commit."""
    types = call.services.store.dictionary.types
    needs: Mapping[str, Letter] = dict(operation.needs)
    for kind, rid in records.written:
        letter = needs.get(kind)
        limits = call.access.limits(kind, letter) if letter else _WHOLE
        if limits == _WHOLE:
            continue
        stored = await repository.read(records.tx, records.tenant, types[kind], rid)
        if stored is None or not await permitted(call, stored, limits, source=records.tx):
            raise ForbiddenError(
                Text(f"The access token does not reach {kind}/{rid}.", f"توکن دسترسی به {kind}/{rid} نمی‌رسد.")
            )


async def _latest(records: ExchangeRecords, made: Resource) -> Resource:
    """What the operation returns as it stands at the end, Counterparts' answers included."""
    if made["resourceType"] == "Parameters":
        entries: list[Resource] = made["parameter"]
        latest = [await _latest(records, e["resource"]) if "resource" in e else None for e in entries]
        shown = [e if new is None else e | {"resource": new} for e, new in zip(entries, latest, strict=True)]
        return made | {"parameter": shown}
    if "id" not in made:
        return made
    written = records.written.get((made["resourceType"], made["id"]))
    return copy(made) if written is None else plain(load(written.body))


def _response(made: Resource) -> Response:
    headers = [(b"content-type", FHIR_JSON)]
    version = made.get("meta", {}).get("versionId")
    if version:
        headers.append((b"etag", f'W/"{version}"'.encode()))
    return Response(200, dump(made), headers)
