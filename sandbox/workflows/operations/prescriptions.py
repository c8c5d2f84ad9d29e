"""Operations of the e-prescription and pharmacy Products."""

from __future__ import annotations

from typing import Any

from sandbox.fhir.outcomes import Text, UnprocessableError
from sandbox.workflows import claims, dispensing, prescription
from sandbox.workflows.codes import Resource
from sandbox.workflows.dispensing import Line
from sandbox.workflows.operations.declared import Body, Context, Needs, Operation
from sandbox.workflows.operations.parameters import Parameter, answer, needed, optional, several

PRODUCT, PHARMACY, INSURANCE = "e-prescription", "pharmacy", "insurance"
_WRITES: Needs = (("RequestGroup", "u"), ("MedicationRequest", "u"))
_MAKES: Needs = (("RequestGroup", "c"), ("MedicationRequest", "c"))
_DISPENSES: Needs = (("MedicationDispense", "c"),)
_ITEM = (
    needed("medication", "concept"),
    needed("quantity", "decimal"),
    optional("dosage", "dosage"),
    optional("repeats", "integer"),
    optional("days", "integer"),
    optional("substitution", "boolean"),
)
_LINE = (needed("request", "reference"), needed("quantity", "decimal"), optional("product", "concept"))


async def _prescribe(c: Context) -> Resource:
    for number, item in enumerate(c.args["item"]):
        _positive(item, number)
    a = c.args
    return await prescription.draft(
        c.records, patient=a["patient"], prescriber=a["prescriber"], items=a["item"], key=a.get("key", "")
    )


def _positive(item: dict[str, Any], number: int) -> None:
    for name, low, high in (("quantity", 0, 10_000), ("repeats", -1, 24), ("days", 0, 366)):
        value = item.get(name)
        if value is not None and not low < value <= high:
            raise UnprocessableError(
                Text(
                    f"item {number}: {name} must be above {low} and at most {high}.",
                    f"قلم {number}: {name} باید بیش از {low} و حداکثر {high} باشد.",
                ),
                expression=(f"Parameters.parameter.where(name='item')[{number}].part.where(name='{name}')",),
            )


async def _check(c: Context) -> Resource:
    found = [finding.as_issue() for finding in await prescription.findings(c.records, c.subject)]
    nothing = {"severity": "information", "code": "informational", "diagnostics": "No findings. / یافته‌ای نیست."}
    return {"resourceType": "OperationOutcome", "issue": found or [nothing]}


async def _sign(c: Context) -> Resource:
    return await prescription.sign(c.records, c.subject, signer=c.args["signer"], override=c.args.get("override", ""))


async def _withdraw(c: Context) -> Resource:
    return await prescription.withdraw(c.records, c.subject)


async def _issue(c: Context) -> Resource:
    return await prescription.issue(c.records, c.subject)


async def _cancel(c: Context) -> Resource:
    return await prescription.cancel(c.records, c.subject, reason=c.args["reason"])


async def _renew(c: Context) -> Resource:
    return await prescription.renew(c.records, c.subject, key=c.args.get("key", ""))


async def _find(c: Context) -> Resource:
    group, items = await dispensing.find(
        c.records, national_code=c.args["nationalCode"], code=c.args["prescriptionCode"]
    )
    return answer(prescription=group, item=items)


async def _reserve(c: Context) -> Resource:
    return await dispensing.reserve(c.records, c.subject, pharmacy=c.args["pharmacy"])


async def _dispense(c: Context) -> Resource:
    lines = [Line(i["request"], i["quantity"], i.get("product")) for i in c.args["item"]]
    a = c.args
    done = await dispensing.dispense(c.records, c.subject, pharmacy=a["pharmacy"], lines=lines, key=a["key"])
    return answer(dispense=done)


async def _return(c: Context) -> Resource:
    return await dispensing.give_back(c.records, c.subject, reason=c.args["reason"])


async def _submit_new(c: Context) -> Resource:
    claim = c.args["resource"]
    if claim["resourceType"] != "Claim":
        raise UnprocessableError(
            Text("The resource to submit must be a Claim.", "منبع ارسالی باید Claim باشد."), expression=("resource",)
        )
    return await _submitted(c, claim)


async def _submit(c: Context) -> Resource:
    return await _submitted(c, c.subject)


async def _submitted(c: Context, claim: Resource) -> Resource:
    missing = [n for n in ("type", "use", "patient", "provider", "insurance", "item") if not claim.get(n)]
    if missing:
        raise UnprocessableError(
            Text(f"The Claim lacks {', '.join(missing)}.", f"در Claim این عناصر نیست: {'، '.join(missing)}."),
            code="required",
            expression=tuple(f"Claim.{name}" for name in missing),
        )
    return await claims.submit(c.records, claim)


def _group(name: str, body: Body, title: str, *parameters: Parameter) -> Operation:
    return Operation(name, "RequestGroup", "instance", PRODUCT, _WRITES, body, parameters, title=title)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "prescribe",
        "RequestGroup",
        "type",
        PRODUCT,
        _MAKES,
        _prescribe,
        (
            needed("patient", "reference"),
            needed("prescriber", "reference"),
            several("item", "parts", required=True, parts=_ITEM),
            optional("key"),
        ),
        title="Draft a prescription; `key` makes a retry return the first draft",
    ),
    Operation(
        "check",
        "RequestGroup",
        "instance",
        PRODUCT,
        (("MedicationRequest", "r"),),
        _check,
        reads=True,
        title="Interactions, allergy, duplicates, dose, pregnancy, coverage",
    ),
    _group(
        "sign", _sign, "Sign; blocking findings need `override`", needed("signer", "reference"), optional("override")
    ),
    _group("withdraw", _withdraw, "Void the signature"),
    _group("issue", _issue, "Make it dispensable under a prescription code"),
    _group("cancel", _cancel, "Cancel what is left", needed("reason")),
    Operation(
        "renew",
        "RequestGroup",
        "instance",
        PRODUCT,
        _MAKES,
        _renew,
        (optional("key"),),
        title="A new draft of the same items",
    ),
    Operation(
        "find-prescription",
        "RequestGroup",
        "type",
        PHARMACY,
        (("RequestGroup", "r"), ("MedicationRequest", "r")),
        _find,
        (needed("nationalCode"), needed("prescriptionCode")),
        title="Find by national code and prescription code (POST only, so that no log keeps them)",
    ),
    Operation(
        "reserve",
        "RequestGroup",
        "instance",
        PHARMACY,
        _DISPENSES,
        _reserve,
        (needed("pharmacy", "reference"),),
        title="Reserve for thirty minutes",
    ),
    Operation(
        "dispense",
        "RequestGroup",
        "instance",
        PHARMACY,
        _DISPENSES,
        _dispense,
        (needed("pharmacy", "reference"), needed("key"), several("item", "parts", required=True, parts=_LINE)),
        title="Hand over; a repeated `key` returns what was handed over the first time",
    ),
    Operation(
        "return",
        "MedicationDispense",
        "instance",
        PHARMACY,
        (("MedicationDispense", "u"),),
        _return,
        (needed("reason"),),
        title="Take a dispense back",
    ),
    Operation(
        "submit",
        "Claim",
        "type",
        INSURANCE,
        (("Claim", "c"),),
        _submit_new,
        (needed("resource", "resource"),),
        title="Submit a new Claim",
    ),
    Operation("submit", "Claim", "instance", INSURANCE, (("Claim", "u"),), _submit, title="Submit a stored draft"),
)
