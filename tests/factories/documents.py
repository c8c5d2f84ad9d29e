"""Generated calls against a published OpenAPI document: every operation, whatever is sent, answers as it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("GOZAR_CONTRACT_EXAMPLES", "3"))


def attacked(
    url: str, known: dict[str, str], headers: Callable[[], dict[str, str]], left_out: Callable[[str], bool]
) -> set[str]:
    """Call every operation of the document at `url` and return the paths tried; the faults of all fail together.

    `known` are ids that exist, by parameter name; `headers` are asked for anew for each operation, since tokens age.
    """
    tried, faults = set(), []
    for found in schemathesis.openapi.from_url(url).get_all_operations():
        operation = found.ok()
        if left_out(operation.path):
            continue
        tried.add(operation.path)
        try:
            _attack(operation, known, headers())
        except (AssertionError, BaseExceptionGroup) as fault:
            faults.append(f"{operation.label}: {fault}")
    assert not faults, "\n\n".join(faults)[:6000]
    return tried


def _attack(operation: Any, known: dict[str, str], headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: schemathesis.Case) -> None:
        # Half of the time with ids that exist, so that calls get past the door.
        parameters: dict[str, Any] | None = case.path_parameters
        if parameters and len(str(parameters)) % 2:
            parameters.update({name: value for name, value in known.items() if name in parameters})
        case.call_and_validate(checks=CHECKS, headers=headers)

    attack()
