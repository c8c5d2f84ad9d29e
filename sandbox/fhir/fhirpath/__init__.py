"""FHIRPath: `compile` for fast typed paths over JSON resources."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sandbox.fhir.fhirpath.paths import Emitter, Step, UnsupportedPathError, compile_path
from sandbox.fhir.fhirpath.syntax import FhirPathSyntaxError, parse

__all__ = ["Emitter", "FhirPathSyntaxError", "Step", "UnsupportedPathError", "compile", "compile_path", "parse"]


def _append(value: Any, out: list[Any]) -> None:
    out.append(value)


@lru_cache(maxsize=4096)
def compile(expression: str, resource_type: str) -> Callable[[dict[str, Any]], list[Any]]:
    """A function from a resource's JSON to the values its path selects, in order.

    `resolve() is X` is decided by the reference itself. Raises `FhirPathSyntaxError` or `UnsupportedPathError`.
    """
    step = compile_path(expression, resource_type, lambda kind, element: _append)
    if step is None:
        return lambda resource: []

    def evaluate(resource: dict[str, Any]) -> list[Any]:
        out: list[Any] = []
        step(resource, out)
        return out

    return evaluate
