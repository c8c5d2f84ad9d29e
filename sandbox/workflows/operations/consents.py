"""Operations of the consent and access record Product."""

from __future__ import annotations

from sandbox.workflows import consent
from sandbox.workflows.codes import Resource
from sandbox.workflows.operations.declared import Body, Context, Needs, Operation
from sandbox.workflows.operations.parameters import Parameter, needed, optional, several
from sandbox.workflows.records import ref

PRODUCT = "consent"
_WRITES: Needs = (("Consent", "u"),)


async def _request(c: Context) -> Resource:
    a = c.args
    return await consent.ask(
        c.records,
        patient=a["patient"],
        app=a.get("app") or c.app,
        purpose=a.get("purpose", "TREAT"),
        withhold=a["withhold"],
        days=a.get("days", 0),
    )


def _step(verb: str) -> Body:
    async def body(c: Context) -> Resource:
        return await consent.step(c.records, c.subject, verb, withhold=c.args.get("withhold", ()))

    return body


async def _break_glass(c: Context) -> Resource:
    return await consent.break_glass(c.records, patient=ref(c.subject), app=c.app, reason=c.args["reason"])


def _consent(verb: str, title: str, *parameters: Parameter) -> Operation:
    return Operation(verb, "Consent", "instance", PRODUCT, _WRITES, _step(verb), parameters, title=title)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "request",
        "Consent",
        "type",
        PRODUCT,
        (("Consent", "c"),),
        _request,
        (
            needed("patient", "reference"),
            optional("app"),
            optional("purpose", "code"),
            several("withhold", "code"),
            optional("days", "integer"),
        ),
        title="Ask a citizen for consent",
    ),
    _consent("grant", "The citizen grants, less what `withhold` names", several("withhold", "code")),
    _consent("reject", "The citizen rejects"),
    _consent("revoke", "The citizen takes it back"),
    Operation(
        "break-glass",
        "Patient",
        "instance",
        PRODUCT,
        (("Consent", "c"),),
        _break_glass,
        (needed("reason"),),
        title="Emergency access for four hours, with a reason",
    ),
)
