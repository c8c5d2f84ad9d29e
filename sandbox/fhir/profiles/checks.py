"""A resource walked along the rules of a profile. Every issue names the element by FHIRPath and the profile that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.fhir import definitions, references
from sandbox.fhir.fhirpath.engine import Environment, EvaluationError, evaluator, truth
from sandbox.fhir.fhirpath.items import IncomparableError, Item
from sandbox.fhir.fhirpath.syntax import FhirPathSyntaxError
from sandbox.fhir.outcomes import FhirError, Issue, IssueCode, Severity, Text
from sandbox.fhir.profiles.rules import CORE, Rule
from sandbox.fhir.profiles.values import Value, fits, lacks, names_of, values_of
from sandbox.fhir.terminology import Terminology

MAX_ISSUES = 100
MAX_DEPTH = 12
RuleOf = Callable[[str], Rule | None]


class Judge:
    """Judges one resource; `rule_of` finds the rules of profiles that others name."""

    def __init__(self, terms: Terminology, rule_of: RuleOf, resource: dict[str, Any], profile: str) -> None:
        self._terms, self._rule_of, self._resource, self._profile = terms, rule_of, resource, profile
        self._found: list[Issue] = []
        self._depth = 0

    def issues(self, rule: Rule) -> list[Issue]:
        named = str(self._resource["resourceType"])
        self._element(rule, Value(self._resource, named, named))
        return self._found[:MAX_ISSUES]

    def _say(
        self, place: str, text: Text, rule: str, code: IssueCode = "structure", severity: Severity = "error"
    ) -> None:
        if len(self._found) >= MAX_ISSUES:
            return
        why = Text(f"It is what the profile {self._profile} asks for.", f"این خواستهٔ نمایهٔ {self._profile} است.")
        self._found.append(Issue(severity, code, text, (place,), rule, why))

    # --- one element --------------------------------------------------------------------------------------------------

    def _element(self, rule: Rule, value: Value) -> None:
        if not self._of_type(rule, value):
            return
        self._fixed(rule, value)
        self._bound(rule, value)
        self._limits(rule, value)
        for constraint in rule.constraints:
            self._constraint(constraint, value)
        for child in rule.children.values():
            self._children(child, value)

    def _children(self, rule: Rule, parent: Value) -> None:
        found = list(values_of(parent, rule.name))
        self._counted(rule, found, parent)
        for value in found:
            self._element(rule, value)
        if rule.slices:
            self._sliced(rule, found, parent)

    def _counted(self, rule: Rule, found: list[Value], parent: Value) -> None:
        name = f"{rule.name}:{rule.slice_name}" if rule.slice_name else rule.name
        place = f"{parent.place}.{rule.name.removesuffix('[x]')}"
        if len(found) < rule.minimum:
            self._say(
                place,
                Text(
                    f"{name} is needed at least {rule.minimum} time(s), found {len(found)}.",
                    f"عنصر {name} دست‌کم {rule.minimum} بار لازم است و {len(found)} بار آمده است.",
                ),
                "profile-minimum",
                "required",
            )
        elif rule.maximum is not None and len(found) > rule.maximum:
            self._say(
                place,
                Text(
                    f"{name} may come {rule.maximum} time(s), found {len(found)}.",
                    f"عنصر {name} حداکثر {rule.maximum} بار می‌آید و {len(found)} بار آمده است.",
                ),
                "profile-maximum",
            )

    def _of_type(self, rule: Rule, value: Value) -> bool:
        kinds = {str(t.get("code", "")).rpartition("/")[2] for t in rule.types}
        if not kinds or value.kind in ("", value.place) or any(k.startswith("System.") or "String" in k for k in kinds):
            return self._by_profile(rule, value)
        fitting = any(definitions.is_type(k) and definitions.is_subtype(value.kind, k) for k in kinds)
        if not fitting and "." not in value.kind and definitions.is_type(value.kind):
            text = Text(
                f"A value of type {value.kind} stands where {' or '.join(sorted(kinds))} is wanted.",
                f"مقداری از نوع {value.kind} آمده ولی {' یا '.join(sorted(kinds))} لازم است.",
            )
            self._say(value.place, text, "profile-type")
            return False
        return self._by_profile(rule, value)

    def _by_profile(self, rule: Rule, value: Value) -> bool:
        """Profiles of data types and extensions, and the types a reference may point at."""
        wanted = [url for t in rule.types for url in t.get("profile") or ()]
        known = [found for url in wanted if (found := self._rule_of(url)) is not None]
        if known and len(known) == len(wanted) and self._depth < MAX_DEPTH and isinstance(value.node, dict):
            self._any_of(known, wanted, value)
        targets = [str(url) for t in rule.types for url in t.get("targetProfile") or ()]
        if targets and isinstance(value.node, dict):
            self._target(targets, value)
        return True

    def _any_of(self, known: list[Rule], wanted: list[str], value: Value) -> None:
        """One of several profiles must fit; of a single one, all that is wrong is told."""
        if any(self.conforms(one, value) for one in known):
            return
        if len(known) == 1:
            self._depth += 1
            self._element(known[0], value)
            self._depth -= 1
            return
        text = Text(f"It conforms to none of {', '.join(wanted)}.", f"با هیچ‌یک از {'، '.join(wanted)} سازگار نیست.")
        self._say(value.place, text, "profile-none-fits")

    def _target(self, targets: list[str], value: Value) -> None:
        found = references.parse(str(value.node.get("reference") or ""))
        kind = found.type or str(value.node.get("type") or "")
        allowed = set()
        for url in targets:
            core = url.removeprefix(CORE).partition("|")[0]
            own = self._terms.own("StructureDefinition", url.partition("|")[0])
            if core in definitions.RESOURCE_TYPES or core == "Resource":
                allowed.add(core)
            elif own is not None:
                allowed.add(str(own.get("type")))
            else:
                return  # an unknown profile may be about any type
        if kind and kind not in allowed and "Resource" not in allowed:
            text = Text(
                f"The reference must be to {' or '.join(sorted(allowed))}, not {kind}.",
                f"ارجاع باید به {' یا '.join(sorted(allowed))} باشد، نه {kind}.",
            )
            self._say(value.place, text, "profile-target")

    def _fixed(self, rule: Rule, value: Value) -> None:
        if rule.fixed is not None and not fits(value.node, rule.fixed, exactly=True):
            text = Text(f"The value must be {rule.fixed!r}.", f"مقدار باید «{rule.fixed}» باشد.")
            self._say(value.place, text, "profile-fixed", "value")
        if rule.pattern is not None and not fits(value.node, rule.pattern):
            what = lacks(rule.pattern)
            text = Text(f"The value must match the pattern {what}.", f"مقدار باید با الگوی {what} سازگار باشد.")
            self._say(value.place, text, "profile-pattern", "value")

    def _limits(self, rule: Rule, value: Value) -> None:
        if rule.max_length is not None and isinstance(value.node, str) and len(value.node) > rule.max_length:
            text = Text(
                f"At most {rule.max_length} characters are allowed, not {len(value.node)}.",
                f"حداکثر {rule.max_length} نویسه مجاز است، نه {len(value.node)}.",
            )
            self._say(value.place, text, "profile-length", "value")
        low, high = (bound if type(bound) is type(value.node) else None for bound in rule.bounds)
        if low is not None and value.node < low:
            text = Text(f"The value must be at least {low}.", f"مقدار باید دست‌کم {low} باشد.")
            self._say(value.place, text, "profile-bound", "value")
        if high is not None and value.node > high:
            text = Text(f"The value must be at most {high}.", f"مقدار باید حداکثر {high} باشد.")
            self._say(value.place, text, "profile-bound", "value")

    # --- codes and invariants -----------------------------------------------------------------------------------------

    def _bound(self, rule: Rule, value: Value) -> None:
        strength, canonical = rule.binding
        if strength not in ("required", "extensible"):
            return
        codes = list(_codes(value.node))
        if not codes:
            return
        try:
            answers = [self._terms.contains(self._terms.value_set(canonical), system, code) for system, code in codes]
        except FhirError:
            return  # a value set that is not here cannot be judged by
        if any(answer is not False for answer in answers):
            return
        told = ", ".join(f"{system}|{code}" if system else code for system, code in codes)
        severity: Severity = "error" if strength == "required" else "warning"
        text = Text(f"{told} is not in {canonical}.", f"«{told}» در {canonical} نیست.")
        self._say(value.place, text, "profile-binding", "code-invalid", severity)

    def _constraint(self, constraint: Mapping[str, Any], value: Value) -> None:
        expression = constraint.get("expression")
        if not isinstance(expression, str):
            return
        item = Item(value.node, value.kind)
        around = Item(self._resource, str(self._resource["resourceType"]))
        try:
            held = truth(evaluator(expression)([item], Environment(item, around, around)))
        except (EvaluationError, IncomparableError, FhirPathSyntaxError, TypeError, AttributeError, ValueError):
            return  # what the engine cannot decide holds
        if held is False:
            key = str(constraint.get("key", ""))
            human = str(constraint.get("human") or expression)
            severity: Severity = "warning" if constraint.get("severity") == "warning" else "error"
            self._say(
                value.place, Text(f"{key}: {human}", f"قاعدهٔ {key} رعایت نشده است: {human}"), key, "invariant", severity
            )

    # --- slices -------------------------------------------------------------------------------------------------------

    def _sliced(self, rule: Rule, found: list[Value], parent: Value) -> None:
        discriminators = rule.discriminators or _usual(rule)
        sorted_out: dict[str, list[Value]] = {name: [] for name in rule.slices}
        for value in found:
            own = next((n for n, s in rule.slices.items() if self._belongs(s, value, discriminators)), None)
            if own is not None:
                sorted_out[own].append(value)
            elif rule.closed:
                text = Text(
                    f"It belongs to none of the slices {', '.join(rule.slices)}, and no other is allowed.",
                    f"به هیچ‌یک از برش‌های {'، '.join(rule.slices)} تعلق ندارد و جز آن‌ها مجاز نیست.",
                )
                self._say(value.place, text, "profile-slice")
        for name, values in sorted_out.items():
            piece = rule.slices[name]
            self._counted(piece, values, parent)
            for value in values:
                self._element(piece, value)
            if piece.slices:
                piece.discriminators = piece.discriminators or discriminators
                self._sliced(piece, values, parent)

    def _belongs(self, piece: Rule, value: Value, discriminators: tuple[tuple[str, str], ...]) -> bool:
        return all(self._discriminates(kind, path, piece, value) for kind, path in discriminators)

    def _discriminates(self, kind: str, path: str, piece: Rule, value: Value) -> bool:
        rule, values = piece, [value]
        for name in names_of(path):
            if name == "resolve()":
                return self._resolves(rule, values)
            below = rule.children.get(name) or rule.children.get(f"{name}[x]")
            values = [v for one in values for v in values_of(one, below.name if below else name)]
            if below is None:
                return self._by_type_profile(rule, name, values)
            rule = below
        match kind:
            case "exists":
                return bool(values) if rule.minimum > 0 or rule.maximum != 0 else not values
            case "type":
                kinds = {str(t.get("code")) for t in rule.types}
                return bool(values) and all(v.kind in kinds for v in values)
            case "profile":
                wanted = [r for t in rule.types for url in t.get("profile") or () if (r := self._rule_of(url))]
                return bool(values) and all(any(self.conforms(w, v) for w in wanted) for v in values)
        return any(self._is(rule, v) for v in values)

    def _is(self, rule: Rule, value: Value) -> bool:
        """By `value` and `pattern`: what the slice says of the element that tells slices apart."""
        if rule.fixed is not None:
            return fits(value.node, rule.fixed, exactly=True)
        if rule.pattern is not None:
            return fits(value.node, rule.pattern)
        if rule.binding[0] == "required":
            quiet = Judge(self._terms, self._rule_of, self._resource, self._profile)
            quiet._bound(rule, value)
            return not quiet._found
        known = [
            (name, child)
            for name, child in rule.children.items()
            if child.fixed is not None or child.pattern is not None
        ]
        known += [(n, s) for n, c in rule.children.items() for s in c.slices.values()]
        return bool(known) and all(any(self._is(child, v) for v in values_of(value, child.name)) for _, child in known)

    def _by_type_profile(self, rule: Rule, name: str, values: list[Value]) -> bool:
        """An extension's slice says its url by naming its profile."""
        wanted = {str(url).partition("|")[0] for t in rule.types for url in t.get("profile") or ()}
        return name == "url" and any(v.node in wanted for v in values)

    def _resolves(self, rule: Rule, values: list[Value]) -> bool:
        """Slices by the type of what is referred to."""
        kinds = {
            str(url).removeprefix(CORE).partition("|")[0] for t in rule.types for url in t.get("targetProfile") or ()
        }
        kinds |= {str(t.get("code")) for t in rule.types}
        return any(
            references.parse(str(v.node.get("reference") or "")).type in kinds
            for v in values
            if isinstance(v.node, dict)
        )

    def conforms(self, rule: Rule, value: Value) -> bool:
        """Whether a value meets a rule, silently."""
        if self._depth >= MAX_DEPTH:
            return True
        quiet = Judge(self._terms, self._rule_of, self._resource, self._profile)
        quiet._depth = self._depth + 1
        quiet._element(rule, value)
        return not any(issue.severity == "error" for issue in quiet._found)


def _usual(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Slicing that R4 takes for granted: extensions by their url, choices by their type."""
    if rule.name in ("extension", "modifierExtension"):
        return (("value", "url"),)
    return (("type", "$this"),)


def _codes(node: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of a code, Coding, CodeableConcept or Quantity."""
    if isinstance(node, str):
        yield "", node
    elif isinstance(node, dict):
        rows = node.get("coding") if "coding" in node else [node]
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("code"):
                yield str(row.get("system") or ""), str(row["code"])
