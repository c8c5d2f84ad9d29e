"""Operations of the appointments Product."""

from __future__ import annotations

from sandbox.workflows import booking
from sandbox.workflows.codes import Resource
from sandbox.workflows.operations.declared import Body, Context, Needs, Operation
from sandbox.workflows.operations.parameters import Parameter, needed, optional
from sandbox.workflows.records import ref
from sandbox.workflows.task_machine import Machine

PRODUCT = "appointments"
_WRITES: Needs = (("Appointment", "u"),)
_MAKES: Needs = (("Appointment", "c"),)


async def _hold(c: Context) -> Resource:
    return await booking.hold(
        c.records, slot=ref(c.subject), patient=c.args["patient"], reason=c.args.get("reason", "")
    )


async def _take(c: Context) -> Resource:
    return await booking.take(
        c.records, slot=c.args["slot"], patient=c.args["patient"], reason=c.args.get("reason", "")
    )


async def _book(c: Context) -> Resource:
    return await booking.book(c.records, c.subject)


async def _confirm(c: Context) -> Resource:
    return await booking.confirm(c.records, c.subject)


async def _reschedule(c: Context) -> Resource:
    return await booking.reschedule(c.records, c.subject, slot=c.args["slot"])


async def _wait(c: Context) -> Resource:
    return await booking.wait(
        c.records, schedule=ref(c.subject), patient=c.args["patient"], reason=c.args.get("reason", "")
    )


def _ending(verb: str) -> Body:
    async def body(c: Context) -> Resource:
        return await booking.end(c.records, c.subject, verb, reason=c.args.get("reason", ""))

    return body


def _attending(verb: str) -> Body:
    async def body(c: Context) -> Resource:
        return await booking.attend(c.records, c.subject, verb)

    return body


def _step(name: str, body: Body, title: str, *parameters: Parameter) -> Operation:
    return Operation(name, "Appointment", "instance", PRODUCT, _WRITES, body, parameters, title=title)


MACHINE: Machine = booking.MACHINE
_PATIENT = (needed("patient", "reference"), optional("reason"))
OPERATIONS: tuple[Operation, ...] = (
    Operation("hold", "Slot", "instance", PRODUCT, _MAKES, _hold, _PATIENT, title="Hold a free Slot for ten minutes"),
    Operation(
        "book",
        "Appointment",
        "type",
        PRODUCT,
        _MAKES,
        _take,
        (needed("slot", "reference"), *_PATIENT),
        title="Hold and book a Slot in one step",
    ),
    Operation("wait", "Schedule", "instance", PRODUCT, _MAKES, _wait, _PATIENT, title="Join the waiting list"),
    _step("book", _book, "Ask the clinic for the held Slot"),
    _step("confirm", _confirm, "The clinic confirms"),
    _step("reschedule", _reschedule, "Move to another free Slot", needed("slot", "reference")),
    _step("cancel", _ending("cancel"), "Cancel and free the Slot", optional("reason")),
    _step("decline", _ending("decline"), "The clinic declines", optional("reason")),
    _step("arrive", _attending("arrive"), "The patient is there"),
    _step("check-in", _attending("check-in"), "The patient is admitted"),
    _step("fulfil", _attending("fulfil"), "The visit took place"),
    _step("no-show", _attending("no-show"), "The patient did not come"),
)
