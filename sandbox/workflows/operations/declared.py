"""What an operation declares, and the context its body runs in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.security.access import Letter
from sandbox.workflows.codes import Resource
from sandbox.workflows.operations.parameters import Parameter
from sandbox.workflows.records import Records


@dataclass(frozen=True, slots=True)
class Context:
    """One call inside its transaction: `subject` is the resource of the URL (empty at type level), `app` the calling App."""

    records: Records
    subject: Resource
    args: dict[str, Any]
    app: str
    base_url: str


Body = Callable[[Context], Awaitable[Resource]]
Needs = tuple[tuple[str, Letter], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one Product.

    `needs` are the (type, letter) permissions a token must have, on top of reading the subject. `reads` marks one that changes
    nothing and so may be asked by GET too.
    """

    name: str
    kind: str
    level: Literal["type", "instance"]
    product: str
    needs: Needs
    body: Body
    parameters: tuple[Parameter, ...] = ()
    reads: bool = False
    title: str = ""
