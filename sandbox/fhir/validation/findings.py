"""What a check reports on its way up: a finding whose path grows as each parent adds its own step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, Final

from sandbox.fhir.outcomes import Issue, IssueCode, Severity, Text


class Finding:
    """One broken rule. `steps` runs from the offending value outwards: a name, or an array position as a number."""

    __slots__ = ("code", "diagnostics", "hint", "rule", "severity", "steps", "text")

    def __init__(
        self,
        code: IssueCode,
        rule: str,
        text: Text,
        hint: Text | None = None,
        *,
        severity: Severity = "error",
        diagnostics: str = "",
        steps: Iterable[str | int] = (),
    ) -> None:
        self.code, self.rule, self.text, self.hint = code, rule, text, hint
        self.severity, self.diagnostics = severity, diagnostics
        self.steps: list[str | int] = list(steps)

    def issue(self, root: str) -> Issue:
        path = root
        for step in reversed(self.steps):
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
        return Issue(self.severity, self.code, self.text, (path,), self.rule, self.hint, self.diagnostics)


Findings = list[Finding] | None
Check = Callable[[Any, Any], Findings]
"""`(value, context)` to findings; None or [] when the value is sound."""

_JSON_KINDS: Final = {
    dict: Text("an object", "شیء"),
    list: Text("an array", "آرایه"),
    str: Text("a string", "رشته"),
    bool: Text("true or false", "مقدار درست/نادرست (boolean)"),
    int: Text("a number", "عدد"),
    float: Text("a number", "عدد"),
    type(None): Text("null", "null"),
}
_SHOWN: Final = 12
_NOT_REPEATED: Final = Text("This element does not repeat.", "این عنصر تکرار نمی‌شود و آرایه نمی‌پذیرد.")


def kind_of(value: Any) -> Text:
    return _JSON_KINDS.get(type(value), Text("something else", "چیزی دیگر"))


def wrong_kind(needed: type, value: Any, type_name: str) -> Finding:
    want, found = _JSON_KINDS[needed], kind_of(value)
    return Finding(
        "structure",
        "json-type",
        Text(
            f"{type_name} is written as {want.en}; found {found.en}.",
            f"{type_name} باید {want.fa} باشد، ولی {found.fa} آمده است.",
        ),
        _NOT_REPEATED if isinstance(value, list) else None,
    )


def unknown_element(name: str, type_name: str, known: Iterable[str], choices: dict[str, list[str]]) -> Finding:
    hint = None
    if name in choices:
        options = ", ".join(choices[name][:_SHOWN])
        hint = Text(f"Name the type as well: {options}.", f"نوع را هم در نام بیاورید: {options}.")
    elif close := get_close_matches(name, list(known), 1, 0.7):
        hint = Text(f"Did you mean {close[0]}?", f"آیا منظورتان {close[0]} بود؟")
    return Finding(
        "structure",
        "unknown-element",
        Text(f"{type_name} has no element {name!r}.", f"در {type_name} عنصری به نام «{name}» نیست."),
        hint,
        steps=[name],
    )


def missing(name: str, type_name: str, examples: Iterable[str]) -> Finding:
    codes = ", ".join(list(examples)[:_SHOWN])
    hint = Text(f"Codes: {codes}.", f"کدهای مجاز: {codes}.") if codes else None
    return Finding(
        "required",
        "cardinality-min",
        Text(f"{type_name} must have {name}.", f"عنصر {name} در {type_name} الزامی است."),
        hint,
        steps=[name],
    )


def too_many(name: str, maximum: int) -> Finding:
    return Finding(
        "structure",
        "cardinality-max",
        Text(f"{name} may appear at most {maximum} times.", f"عنصر {name} حداکثر {maximum} بار مجاز است."),
    )


def several_choices(name: str, present: list[str]) -> Finding:
    listed = ", ".join(present)
    return Finding(
        "structure",
        "choice-one",
        Text(
            f"Only one form of {name}[x] may be present; found {listed}.",
            f"فقط یک صورت از {name}[x] مجاز است؛ {listed} آمده است.",
        ),
        Text("Keep one and remove the others.", "یکی را نگه دارید و بقیه را حذف کنید."),
        steps=[present[-1]],
    )


def empty(what: type) -> Finding:
    kind = _JSON_KINDS[what]
    return Finding(
        "structure",
        "json-empty",
        Text(f"FHIR JSON never holds {kind.en} that is empty.", f"{kind.fa} خالی در FHIR مجاز نیست."),
        Text("Leave the element out instead.", "به‌جای آن، عنصر را ننویسید."),
    )


def null() -> Finding:
    return Finding(
        "structure",
        "json-null",
        Text("null is not a value in FHIR JSON.", "null در FHIR مقدار به‌شمار نمی‌آید."),
        Text("Leave the element out instead.", "به‌جای آن، عنصر را ننویسید."),
    )


def uneven(name: str) -> Finding:
    return Finding(
        "structure",
        "json-arrays",
        Text(f"{name} and _{name} must be equally long.", f"آرایه‌های {name} و _{name} باید هم‌اندازه باشند."),
        Text("Fill gaps with null.", "جاهای خالی را با null پر کنید."),
        steps=[name],
    )


def bad_format(type_name: str, value: Any, sample: str) -> Finding:
    shown = str(value)[:60]
    return Finding(
        "value",
        f"format-{type_name}",
        Text(f"{shown!r} is not a valid {type_name}.", f"«{shown}» مقدار معتبری برای {type_name} نیست."),
        Text(f"Write it as in {sample}.", f"نمونهٔ درست: {sample}") if sample else None,
    )


def jalali(value: str) -> Finding:
    return Finding(
        "value",
        "date-jalali",
        Text(f"{value!r} looks like a Jalali date.", f"«{value}» به تاریخ شمسی می‌ماند."),
        Text(
            "FHIR dates are Gregorian: 1405-09-01 is 2026-11-22.",
            "تاریخ در FHIR میلادی است؛ ۱۴۰۵/۰۹/۰۱ را 2026-11-22 بنویسید.",
        ),
        severity="warning",
    )


def bad_code(value: str, codes: Iterable[str], value_set: str) -> Finding:
    listed = sorted(codes)
    shown = ", ".join(listed[:_SHOWN]) + (", ..." if len(listed) > _SHOWN else "")
    near = get_close_matches(value, listed, 1, 0.7)
    hint = Text(f"Codes: {shown}.", f"کدهای مجاز: {shown}.")
    if near:
        hint = Text(f"Did you mean {near[0]}?", f"آیا منظورتان {near[0]} بود؟") + hint
    return Finding(
        "code-invalid",
        "binding-required",
        Text(f"{value!r} is not a code of the required value set.", f"«{value}» از کدهای مجموعهٔ الزامی نیست."),
        hint,
        diagnostics=value_set,
    )


def bad_unit(code: str) -> Finding:
    return Finding(
        "code-invalid",
        "ucum-code",
        Text(f"{code!r} is not a UCUM code this server knows.", f"«{code}» از کدهای UCUM شناخته‌شدهٔ این سامانه نیست."),
        Text(
            "Write units as in mg/dL, mm[Hg], Cel, /min or 10*9/L.",
            "نمونهٔ یکای درست: mg/dL، mm[Hg]، Cel، /min یا 10*9/L.",
        ),
        severity="warning",
        steps=["code"],
    )


def wrong_target(reference: str, allowed: Iterable[str]) -> Finding:
    listed = ", ".join(allowed)
    return Finding(
        "structure",
        "reference-target",
        Text(f"{reference!r} may not be referenced here.", f"ارجاع به «{reference}» در اینجا مجاز نیست."),
        Text(f"Allowed: {listed}.", f"نوع‌های مجاز: {listed}."),
    )
