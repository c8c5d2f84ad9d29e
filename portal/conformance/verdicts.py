"""What a check says, and the registry of checks: each a pure function in a small file of `checks/`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from portal.conformance.calls import Call, Recording


class Result(StrEnum):
    """As Inferno defines them: `skip` could not be judged (nothing was seen), `omit` does not apply to this App."""

    PASS = "pass"  # noqa: S105 -- a result, not a secret
    FAIL = "fail"
    SKIP = "skip"
    OMIT = "omit"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A result, the ids of the calls that prove it (at most 20), and a sentence in each language."""

    result: Result
    calls: tuple[str, ...] = ()
    fa: str = ""
    en: str = ""


MOST_PROOF = 20


def _ids(calls: Iterable[Call]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for call in calls:
        found[call.id] = None
        if len(found) == MOST_PROOF:
            break
    return tuple(found)


def passed(calls: Iterable[Call]) -> Verdict:
    """It was seen, and it was right."""
    return Verdict(Result.PASS, _ids(calls))


def failed(calls: Iterable[Call], *, fa: str, en: str) -> Verdict:
    """It was seen, and it was wrong: these calls show it."""
    return Verdict(Result.FAIL, _ids(calls), fa, en)


def unseen(*, fa: str, en: str) -> Verdict:
    """Nothing was seen that could be judged; says what the App should do."""
    return Verdict(Result.SKIP, (), fa, en)


def omitted(*, fa: str, en: str) -> Verdict:
    """The Requirement does not apply."""
    return Verdict(Result.OMIT, (), fa, en)


Check = Callable[[Recording], Verdict]
_CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a check under the name that Requirements use."""

    def register(function: Check) -> Check:
        if name in _CHECKS:
            raise ValueError(f"two checks are called {name}")
        _CHECKS[name] = function
        return function

    return register


@cache
def checks() -> dict[str, Check]:
    """Every check by name; imports the files of `checks/` once."""
    package = importlib.import_module("portal.conformance.checks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(_CHECKS)
