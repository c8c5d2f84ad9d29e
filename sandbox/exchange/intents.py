"""One write as it is meant, and whom its condition is about.

http://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.exchange.calls import Call
from sandbox.exchange.checking import Key
from sandbox.exchange.own_terms import compiler_for
from sandbox.fhir.outcomes import (
    PreconditionError,
    Text,
)
from sandbox.kernel.database import Database, Transaction
from sandbox.search.request import pairs, understand
from sandbox.search.service import Question, compile_question
from sandbox.search.sql import page_sql
from sandbox.storage.repository import Written
from sandbox.storage.rows import IndexRows
from sandbox.tenants.service import Tenant

Kind = Literal["create", "update", "patch", "delete"]


class StaleError(Exception):
    """What the write was prepared on has moved."""


@dataclass(slots=True)
class Intent:
    """One write, ready for its transaction."""

    kind: Kind
    rtype: str
    fid: str
    resource: dict[str, Any] | None = None
    rows: IndexRows | None = None
    condition: Question | None = None
    expected: str = ""
    """Whom the condition met when the write was prepared; "" for nobody."""
    if_match: str = ""
    must_be_new: bool = False
    prepared_on: int | None = None
    """Version that a patch was applied to."""
    needed: Sequence[Key] = ()
    """References still to be looked for when the write is committed."""

    @property
    def content(self) -> tuple[dict[str, Any], IndexRows]:
        """The resource and its rows; every kind but a deletion has them."""
        if self.resource is None or self.rows is None:
            raise ValueError(f"a {self.kind} needs a resource")
        return self.resource, self.rows


@dataclass(slots=True)
class Result:
    """HTTP status and what is now stored; `written` is None when nothing was there to delete."""

    status: int
    written: Written | None


async def meet(source: Database | Transaction, tenant: Tenant, question: Question) -> list[str]:
    """Ids of at most two resources that meet a condition."""
    sql = page_sql(question.query, source.dialect)
    rows = await source.rows(sql, [tenant.layer, tenant.base_layer, 2, *question.args])
    return [row[2] for row in rows]


async def condition_of(call: Call, rtype: str, query: str) -> Question:
    """A search that picks the target of a conditional interaction. Raises `PreconditionError` when it asks nothing."""
    request = understand((rtype,), pairs(query.lstrip("?")))
    if not request.criteria:
        raise PreconditionError(
            Text(
                "A conditional interaction needs at least one search parameter.",
                "تعامل شرطی دست‌کم یک پارامتر جست‌وجو لازم دارد.",
            )
        )
    if not call.access.limits(rtype, "r"):
        call.access.need(rtype, "s")  # else nothing would ever be met, and a conditional create would make doubles
    return await compiled(call, request.types, query)


async def compiled(call: Call, types: tuple[str, ...], query: str) -> Question:
    request = understand(types, pairs(query.lstrip("?")))
    for _ in range(2):
        compiler = await compiler_for(call, request.criteria, letter="r")
        question = compile_question(compiler, request, "condition")
        if not compiler.unknown:
            break
        # A system without a number yet may get one before the condition is checked again: it must match then.
        await call.services.store.dictionary.number_systems(compiler.unknown)
    return question


def several(rtype: str) -> PreconditionError:
    return PreconditionError(
        Text(f"The condition matches more than one {rtype}.", f"شرط با بیش از یک {rtype} سازگار است."),
        code="multiple-matches",
    )


async def target_of(call: Call, rtype: str, question: Question) -> str:
    """Whom a condition meets, "" for nobody. Raises `PreconditionError` for several."""
    found = await meet(call.services.store.database, call.tenant, question)
    if len(found) > 1:
        raise several(rtype)
    return found[0] if found else ""
