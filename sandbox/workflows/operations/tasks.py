"""Operations of the teleconsultation and referral Products: both move a Task, told apart by its code."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.kernel.ids import new_id
from sandbox.workflows import referral, teleconsultation
from sandbox.workflows.codes import Resource
from sandbox.workflows.operations.declared import Body, Context, Needs, Operation
from sandbox.workflows.operations.parameters import Parameter, needed, optional
from sandbox.workflows.records import ref

TELE, REFER = "teleconsultation", "referral"
_WRITES: Needs = (("Task", "u"),)
_MAKES: Needs = (("Task", "c"),)


async def _request(c: Context) -> Resource:
    return await teleconsultation.request(
        c.records, patient=c.args["patient"], practitioner=c.args["practitioner"], reason=c.args["reason"]
    )


async def _refer(c: Context) -> Resource:
    a = c.args
    return await referral.refer(
        c.records, patient=a["patient"], requester=a["requester"], to=a["to"], reason=a["reason"]
    )


def room_link(base_url: str) -> str:
    """A fresh join link: the simulated room page of a teleconsultation."""
    return f"{base_url}/Encounter/$room?room={new_id()}"


def _step(verb: str) -> Body:
    """The verb of whichever Workflow the Task belongs to."""

    async def body(c: Context) -> Resource:
        reason = c.args.get("reason", "")
        if teleconsultation.is_one(c.subject):
            room = room_link(c.base_url) if verb == "accept" else ""
            named = "decline" if verb == "reject" else verb
            return await teleconsultation.step(c.records, c.subject, named, reason=reason, room=room)
        named = "reject" if verb == "decline" else verb
        return await referral.step(c.records, c.subject, named, reason=reason)

    return body


async def _finish(c: Context) -> Resource:
    _must(c.subject, teleconsultation.is_one, TELE)
    return await teleconsultation.finish(
        c.records, c.subject, summary=c.args["summary"], follow_up=c.args.get("followUp", "")
    )


async def _say(c: Context) -> Resource:
    _must(c.subject, teleconsultation.is_one, TELE)
    a = c.args
    return await teleconsultation.say(
        c.records, c.subject, text=a.get("text", ""), sender=a.get("sender", ""), attachment=a.get("attachment")
    )


async def _answer(c: Context) -> Resource:
    _must(c.subject, referral.is_one, REFER)
    return await referral.step(c.records, c.subject, "answer", answer=c.args["answer"])


def _must(task: Resource, test: Callable[[Resource], bool], product: str) -> None:
    if not test(task):
        raise UnprocessableError(
            Text(
                f"{ref(task)} does not belong to the {product} Workflow.", f"«{ref(task)}» از گردش‌کار {product} نیست."
            ),
            expression=("Task.code",),
        )


def _task(name: str, body: Body, product: str, title: str, *parameters: Parameter) -> Operation:
    return Operation(name, "Task", "instance", product, _WRITES, body, parameters, title=title)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "request-teleconsultation",
        "Task",
        "type",
        TELE,
        _MAKES,
        _request,
        (needed("patient", "reference"), needed("practitioner", "reference"), needed("reason")),
        title="Ask a practitioner for a teleconsultation",
    ),
    Operation(
        "refer",
        "Task",
        "type",
        REFER,
        (*_MAKES, ("ServiceRequest", "c")),
        _refer,
        (needed("patient", "reference"), needed("requester", "reference"), needed("to", "reference"), needed("reason")),
        title="Refer a patient to level 2",
    ),
    _task("accept", _step("accept"), TELE, "Accept (practitioner or specialist)"),
    _task("decline", _step("decline"), TELE, "Decline or reject", optional("reason")),
    _task("reject", _step("reject"), REFER, "Reject a referral", optional("reason")),
    _task("start", _step("start"), TELE, "Start the talk"),
    _task("cancel", _step("cancel"), TELE, "Cancel", optional("reason")),
    _task("finish", _finish, TELE, "End with a summary", needed("summary"), optional("followUp")),
    _task(
        "say",
        _say,
        TELE,
        "Send a message",
        optional("text"),
        optional("sender", "reference"),
        optional("attachment", "attachment"),
    ),
    _task("answer", _answer, REFER, "The specialist's answer", needed("answer")),
)
