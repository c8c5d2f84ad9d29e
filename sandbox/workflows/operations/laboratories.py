"""Operations of the laboratory and imaging Product."""

from __future__ import annotations

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows import laboratory
from sandbox.workflows.codes import Resource
from sandbox.workflows.laboratory import Result
from sandbox.workflows.operations.declared import Context, Needs, Operation
from sandbox.workflows.operations.parameters import needed, optional, several
from sandbox.workflows.records import ref

PRODUCT = "laboratory"
_WRITES: Needs = (("ServiceRequest", "u"),)
_RESULTS: Needs = (("DiagnosticReport", "c"), ("Observation", "c"))


async def _order(c: Context) -> Resource:
    a = c.args
    return await laboratory.order(c.records, patient=a["patient"], requester=a["requester"], codes=a["test"])


async def _image(c: Context) -> Resource:
    a = c.args
    return await laboratory.order(
        c.records, patient=a["patient"], requester=a["requester"], codes=(), kind=laboratory.IMAGING, text=a["study"]
    )


def _mine(order: Resource) -> Resource:
    if not laboratory.is_one(order):
        raise UnprocessableError(
            Text(
                f"{ref(order)} is no laboratory or imaging order.", f"«{ref(order)}» سفارش آزمایش یا تصویربرداری نیست."
            )
        )
    return order


async def _collect(c: Context) -> Resource:
    return await laboratory.collect(c.records, _mine(c.subject))


async def _report(c: Context) -> Resource:
    results = [Result(r["code"], r["value"]) for r in c.args["result"]]
    return await laboratory.report(
        c.records, _mine(c.subject), stage=c.args["stage"], results=results, text=c.args.get("text", "")
    )


async def _cancel(c: Context) -> Resource:
    return await laboratory.cancel(c.records, _mine(c.subject), reason=c.args["reason"])


_PEOPLE = (needed("patient", "reference"), needed("requester", "reference"))
_RESULT = (needed("code", "code"), needed("value", "decimal"))
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "order",
        "ServiceRequest",
        "type",
        PRODUCT,
        (("ServiceRequest", "c"),),
        _order,
        (*_PEOPLE, several("test", "code", required=True)),
        title="Order laboratory tests by LOINC code",
    ),
    Operation(
        "order-imaging",
        "ServiceRequest",
        "type",
        PRODUCT,
        (("ServiceRequest", "c"),),
        _image,
        (*_PEOPLE, needed("study")),
        title="Order an imaging study",
    ),
    Operation("collect", "ServiceRequest", "instance", PRODUCT, _WRITES, _collect, title="Specimen taken"),
    Operation(
        "report",
        "ServiceRequest",
        "instance",
        PRODUCT,
        _RESULTS,
        _report,
        (needed("stage", "code"), several("result", "parts", parts=_RESULT), optional("text")),
        title="Preliminary, final or corrected results",
    ),
    Operation(
        "cancel", "ServiceRequest", "instance", PRODUCT, _WRITES, _cancel, (needed("reason"),), title="Cancel an order"
    ),
)
