"""What a prescription is checked for: interactions, allergy, duplicate therapy, dose range, pregnancy, insurer coverage.

Pure: everything known about the patient comes in as data. A *blocking* finding stops the signature unless it is overridden
with a reason; a warning does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sandbox.workflows.codes import CHECK, DRUG, Resource, code_of, concept
from sandbox.workflows.drug_catalogue import Catalogue, Drug

Kind = Literal["unknown-drug", "interaction", "allergy", "duplicate", "dose", "pregnancy", "coverage"]
_PERIOD_IN_DAYS: Final = {"s": 1 / 86400, "min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "a": 365.0}
_ADULT: Final = 18
_SEVERITY_FA: Final = {"moderate": "متوسط", "major": "جدی", "contraindicated": "منع مصرف"}
_PREGNANCY_BLOCKS: Final = frozenset("DX")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a prescription. `daily` is dose units per day; None when the dosage does not say."""

    drug: Drug | None
    text: str
    daily: float | None
    quantity: float
    index: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the record says of the patient: `age` in years (None unknown), drugs in use, allergy codes (drug codes or
    classes), pregnancy, and whether a Coverage is active."""

    age: float | None
    pregnant: bool
    allergies: frozenset[str]
    current: tuple[Drug, ...]
    insured: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. `blocking` ones need an override reason before signing."""

    kind: Kind
    blocking: bool
    text: str
    fa: str
    items: tuple[int, ...]

    def as_issue(self) -> Resource:
        """As an OperationOutcome issue: error when blocking, warning otherwise."""
        return {
            "severity": "error" if self.blocking else "warning",
            "code": "business-rule",
            "details": concept(CHECK, self.kind) | {"text": self.text},
            "diagnostics": self.fa,
            "expression": [f"Parameters.parameter.where(name='item')[{i}]" for i in self.items],
        }


def daily_doses(dosage: Sequence[Any]) -> float | None:
    """Dose units per day by the first dosageInstruction (doseQuantity × frequency / period); None when it does not say."""
    if not dosage:
        return None
    repeat = dosage[0].get("timing", {}).get("repeat", {})
    dose = next((d["doseQuantity"]["value"] for d in dosage[0].get("doseAndRate", ()) if "doseQuantity" in d), None)
    unit = _PERIOD_IN_DAYS.get(repeat.get("periodUnit", ""))
    if dose is None or unit is None or not repeat.get("period"):
        return None
    return float(dose) * float(repeat.get("frequency", 1)) / (float(repeat["period"]) * unit)


def check(items: Sequence[Item], known: Known, catalogue: Catalogue) -> list[Finding]:
    """Every finding, blocking ones first; the order is otherwise that of the items."""
    found: list[Finding] = []
    for item in items:
        if item.drug is None:
            found.append(_unknown(item))
            continue
        found += [f for f in (_dose(item, item.drug, known), _pregnancy(item, item.drug, known)) if f]
        found += [*_allergies(item, item.drug, known), *_coverage(item, item.drug, known)]
    found += [*_within(items, catalogue), *_against(items, known, catalogue)]
    return sorted(found, key=lambda f: not f.blocking)


def _unknown(item: Item) -> Finding:
    return Finding(
        "unknown-drug",
        True,
        f"'{item.text}' is not in the drug catalogue ({DRUG}).",
        f"«{item.text}» در فهرست دارویی ({DRUG}) نیست.",
        (item.index,),
    )


def _dose(item: Item, drug: Drug, known: Known) -> Finding | None:
    if item.daily is None:
        return None
    name, amount = drug.main
    daily = round(item.daily * amount, 6)
    bounds = f"{drug.daily_min:g}–{drug.daily_max:g} {drug.unit}"
    if daily > drug.daily_max:
        return Finding(
            "dose",
            True,
            f"{drug.name}: {daily:g} {drug.unit} of {name} a day is above the usual adult range ({bounds}).",
            f"{drug.name_fa}: {daily:g} {drug.unit} در روز بیش از محدودهٔ معمول بزرگسالان ({bounds}) است.",
            (item.index,),
        )
    if daily < drug.daily_min and (known.age is None or known.age >= _ADULT):
        return Finding(
            "dose",
            False,
            f"{drug.name}: {daily:g} {drug.unit} of {name} a day is below the usual adult range ({bounds}).",
            f"{drug.name_fa}: {daily:g} {drug.unit} در روز کمتر از محدودهٔ معمول بزرگسالان ({bounds}) است.",
            (item.index,),
        )
    return None


def _pregnancy(item: Item, drug: Drug, known: Known) -> Finding | None:
    if not known.pregnant or drug.pregnancy not in "CDX":
        return None
    return Finding(
        "pregnancy",
        drug.pregnancy in _PREGNANCY_BLOCKS,
        f"{drug.name} is category {drug.pregnancy} in pregnancy, and the patient is pregnant.",
        f"{drug.name_fa} در بارداری ردهٔ {drug.pregnancy} است و بیمار باردار است.",
        (item.index,),
    )


def _allergies(item: Item, drug: Drug, known: Known) -> Iterator[Finding]:
    hit = known.allergies & ({drug.code, drug.atc} | drug.allergy_classes | set(drug.ingredients))
    for cause in sorted(hit):
        yield Finding(
            "allergy",
            True,
            f"The patient is allergic to {cause}; {drug.name} belongs to it.",
            f"بیمار به {cause} حساسیت دارد و {drug.name_fa} از آن است.",
            (item.index,),
        )


def _coverage(item: Item, drug: Drug, known: Known) -> Iterator[Finding]:
    def finding(text: str, fa: str) -> Finding:
        return Finding("coverage", False, text, fa, (item.index,))

    if not known.insured:
        yield finding(
            f"{drug.name}: the patient has no active coverage and pays the whole price.",
            f"{drug.name_fa}: بیمار پوشش فعال ندارد و همهٔ بها را می‌پردازد.",
        )
    elif drug.cover_percent == 0:
        yield finding(f"{drug.name} is not covered by basic insurance.", f"{drug.name_fa} زیر پوشش بیمهٔ پایه نیست.")
    elif drug.prior_authorisation:
        yield finding(
            f"{drug.name} is covered only with the insurer's prior authorisation.",
            f"پوشش {drug.name_fa} نیازمند تأیید پیشین بیمه‌گر است.",
        )
    if known.insured and drug.cover_percent and item.quantity > drug.max_quantity:
        yield finding(
            f"{drug.name}: at most {drug.max_quantity} per prescription are covered, {item.quantity:g} are ordered.",
            f"{drug.name_fa}: پوشش هر نسخه تا {drug.max_quantity} عدد است و {item.quantity:g} عدد تجویز شده.",
        )


def _pairs(items: Sequence[Item]) -> Iterator[tuple[Item, Drug, Item, Drug]]:
    for n, one in enumerate(items):
        for other in items[n + 1 :]:
            if one.drug is not None and other.drug is not None:
                yield one, one.drug, other, other.drug


def _within(items: Sequence[Item], catalogue: Catalogue) -> Iterator[Finding]:
    for one, drug, other, second in _pairs(items):
        where = (one.index, other.index)
        yield from _interactions(drug, second, where, catalogue)
        if shared := _shared(drug, second):
            yield _duplicate(drug, second, shared, where)


def _against(items: Sequence[Item], known: Known, catalogue: Catalogue) -> Iterator[Finding]:
    for item in items:
        if item.drug is None:
            continue
        for used in known.current:
            yield from _interactions(item.drug, used, (item.index,), catalogue)
            if shared := _shared(item.drug, used):
                yield _duplicate(item.drug, used, shared, (item.index,))


def _shared(one: Drug, other: Drug) -> str:
    """What makes two drugs duplicates: a common ingredient, or the same chemical subgroup (ATC level 4)."""
    common = sorted(set(one.ingredients) & set(other.ingredients))
    if common:
        return common[0]
    return f"ATC {one.atc[:5]}" if len(one.atc) == 7 and one.atc[:5] == other.atc[:5] else ""


def _duplicate(one: Drug, other: Drug, shared: str, where: tuple[int, ...]) -> Finding:
    return Finding(
        "duplicate",
        shared in one.ingredients,
        f"{one.name} and {other.name} are duplicate therapy ({shared}).",
        f"{one.name_fa} و {other.name_fa} درمان تکراری‌اند ({shared}).",
        where,
    )


def _interactions(one: Drug, other: Drug, where: tuple[int, ...], catalogue: Catalogue) -> Iterator[Finding]:
    for hit in catalogue.between(one.ingredients, other.ingredients):
        yield Finding(
            "interaction",
            hit.severity != "moderate",
            f"{one.name} with {other.name}: {hit.severity} interaction, risk of {hit.risk}.",
            f"{one.name_fa} با {other.name_fa}: تداخل {_SEVERITY_FA[hit.severity]}؛ خطر {hit.risk_fa}.",
            where,
        )


def allergy_causes(allergy: Resource) -> set[str]:
    """What an AllergyIntolerance names: own drug codes, ATC codes, and class or ingredient words in its codings."""
    codings = [c for node in (allergy.get("code", {}),) for c in node.get("coding", ())]
    codings += [c for r in allergy.get("reaction", ()) for c in r.get("substance", {}).get("coding", ())]
    words = {str(c.get("code", "")) for c in codings} | {str(c.get("display", "")).lower() for c in codings}
    words |= {str(allergy.get("code", {}).get("text", "")).lower(), code_of(allergy.get("code", {}), DRUG)}
    return {word for word in words if word} | ({"penicillin"} & {w.split()[0] for w in words if w})
