"""`:in`, `:not-in`, `:above` and `:below` of tokens: codes that a value set or a hierarchy names, as tests of the token index.

http://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.fhir import hierarchies, searchvalues
from sandbox.fhir.codesystems import Inclusion, ValueSet
from sandbox.fhir.definitions import SearchParameter
from sandbox.fhir.folding import fold_token
from sandbox.fhir.outcomes import BadRequestError, NotFoundError, Text, UnprocessableError
from sandbox.fhir.terminology import MAX_SEARCHED, UncountableError, uncountable
from sandbox.search.values import Test, starts

if TYPE_CHECKING:
    from sandbox.search.compile import Compiler


def in_value_set(compiler: Compiler, canonical: str) -> list[Test]:
    """Tests that every member meets. Raises `BadRequestError` for a value set that is unknown, too large or not to be told."""
    terms = compiler.terms
    try:
        found = terms.value_set(canonical)
        try:
            return _listed(compiler, canonical, list(terms.members(found)))
        except UncountableError as error:
            tests = _part_by_part(compiler, found)
            if tests is None:
                raise uncountable(error.system) from None
            return tests
    except (NotFoundError, UnprocessableError) as error:
        raise BadRequestError(issues=error.issues) from error


def _listed(compiler: Compiler, canonical: str, members: list[tuple[str, str]]) -> list[Test]:
    if len(members) > MAX_SEARCHED:
        raise BadRequestError(
            Text(
                f"{canonical} has {len(members)} codes; a search takes up to {MAX_SEARCHED}.",
                f"{canonical} دارای {len(members)} کد است؛ جست‌وجو حداکثر {MAX_SEARCHED} کد می‌پذیرد.",
            ),
            code="too-costly",
            rule="expansion-too-large",
        )
    return [("system|code", (fold_token(code), compiler.system(system))) for system, code in members]


def _part_by_part(compiler: Compiler, found: ValueSet) -> list[Test] | None:
    """A value set that takes systems whole, or by their spelling, needs no list of their codes. None: it takes more than that."""
    if found.exclude:
        return None
    tests: list[Test] = []
    for inclusion in found.include:
        own = None if inclusion.value_sets else _of_inclusion(compiler, inclusion)
        if own is None:
            return None
        tests += own
    return tests


def _of_inclusion(compiler: Compiler, inclusion: Inclusion) -> list[Test] | None:
    system = compiler.system(inclusion.system)
    if inclusion.codes is not None:
        return [("system|code", (fold_token(code), system)) for code, _ in inclusion.codes]
    if not inclusion.filters:
        return [("system|", (system,))]
    match inclusion.filters:
        case (("concept", "is-a", code),) if inclusion.system in hierarchies.SPELLED:
            return [_spelled_below(compiler, inclusion.system, code)]
    return None


def _spelled_below(compiler: Compiler, system: str, code: str) -> Test:
    return "system|starts", (*starts(fold_token(code)), compiler.system(system))


def in_hierarchy(compiler: Compiler, parameter: SearchParameter, modifier: str, text: str) -> list[Test]:
    """The code itself and those above, or below, it. Raises `BadRequestError` where no hierarchy is known."""
    parts = [searchvalues.unescape(part) for part in searchvalues.split(text, "|")]
    if len(parts) != 2 or not all(parts):
        raise BadRequestError(
            Text(
                f"Search parameter {parameter.code}: {text!r} does not fit :{modifier}.",
                f"پارامتر جست‌وجوی {parameter.code}: مقدار «{text}» با ‎:{modifier} سازگار نیست.",
            ),
            code="value",
            rule="search-value",
            hint=Text(
                "Write system|code: a hierarchy belongs to a system.",
                "آن را به شکل system|code بنویسید؛ سلسله‌مراتب از آنِ یک سامانهٔ کدگذاری است.",
            ),
        )
    system, code = parts
    table = compiler.terms.system(system)
    if table is not None:
        codes = hierarchies.below(table, code) if modifier == "below" else hierarchies.above(table, code)
        return _listed(compiler, f"{system}|{code}", [(system, found) for found in sorted(codes)])
    spelled = hierarchies.SPELLED.get(system)
    if spelled is None:
        raise BadRequestError(
            Text(f"The hierarchy of {system} is not available here.", f"سلسله‌مراتب {system} در اینجا در دسترس نیست."),
            code="not-supported",
            rule="code-system-unknown",
            hint=Text(
                "Store the CodeSystem with its concepts, or name the codes one by one.",
                "منبع CodeSystem را با مفهوم‌هایش ذخیره کنید یا کدها را یک‌به‌یک نام ببرید.",
            ),
        )
    if modifier == "below":
        return [_spelled_below(compiler, system, code)]
    return _listed(compiler, text, [(system, found) for found in spelled(code.upper()) or [code]])
