"""The finer targets: prevalence by age and sex, by province and insurer; fertility and mortality by age; formulas; joint structure."""

from math import sqrt

import numpy as np

from ..cohorts import prevalence
from ..conditions.registry import stories
from ..households import single_years
from ..world.payers import payers
from ..world.places import provinces
from ..world.tables import load
from .survey import BANDS, Survey
from .target import Measure, Target, Test, aged, begun, share

_HTN, _DM = "Iran STEPs 2021, doi 10.21203/rs.3.rs-3842876/v1", "STEPS 2021, doi 10.1186/s12889-025-23654-8"
_BMI, _TOB = "STEPS 2016, doi 10.3389/fendo.2020.00042", "STEPS 2016, doi 10.4103/ijpvm.IJPVM_514_20"
_WPP = "UN WPP 2024"
_AGES = ((25, 34), (35, 44), (45, 54), (55, 64), (65, 74))
# Percentages by age, men and women: the published totals with the age shapes of `iran-facts` (anchors published, shape general knowledge).
_BY_AGE: tuple[tuple[str, Test, str, tuple[float, ...], tuple[float, ...]], ...] = (
    ("پرفشاری خون", begun("hypertension"), _HTN, (14.2, 23.5, 36.4, 51.8, 66.8), (15.4, 25.3, 38.6, 54.3, 68.9)),
    ("دیابت", begun("type_2_diabetes", "type_1_diabetes"), _DM, (4.5, 8.2, 14.2, 22.1, 26.7), (5.4, 9.7, 16.9, 26.3, 31.7)),
    ("چاقی", lambda p: p.latent["bmi"] >= 30, _BMI, (10.3, 16.6, 21.2, 21.7, 17.9), (21.6, 32.4, 39.3, 40.0, 34.4)),
    ("دخانیات", lambda p: "smoker" in p.flags, _TOB, (23.0, 28.9, 32.2, 28.9, 20.1), (2.9, 3.9, 4.9, 5.6, 5.2)),
)  # fmt: skip


def _numbers(low: int, high: int) -> str:
    if high == 0:
        return "زیر یک سال"
    return f"{low} تا {high} سال".translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))


def by_age_and_sex() -> list[Target]:
    """Prevalence in ten-year bands of each sex."""
    return [
        Target(
            "شیوع به تفکیک سن و جنس", f"{name}، {'زنان' if female else 'مردان'} {_numbers(low, high)}", expected, 4.0,
            share(aged(low, high, female), what), source,
        )
        for name, what, source, men, women in _BY_AGE
        for female, row in ((False, men), (True, women))
        for (low, high), expected in zip(_AGES, row, strict=True)
    ]  # fmt: skip


def _standardised(story: str, people: Test) -> Measure:
    """Cases over those expected at the country's prevalence by age and sex: indirect standardisation."""
    onset = stories()[story].onset

    def measure(found: Survey) -> tuple[float, int]:
        chosen = [person for person in found.people if person.alive and people(person)]
        expected = 0.0
        for female in (False, True):
            ages = np.array([person.age + 0.5 for person in chosen if person.female == female])
            expected += float(prevalence(onset, female, ages).sum())
        seen = sum(story in person.begun for person in chosen)
        return (seen / expected if expected else 0.0), round(expected)

    return measure


def by_place_and_payer() -> list[Target]:
    """Hypertension and diabetes do not differ by province or insurer once age and sex are allowed for: ratios of 1."""
    group, source = "شیوع استانداردشده به تفکیک استان و بیمه", "درون‌سازگار: بی‌شیب در برنامه"
    made = []
    for story, words in (("hypertension", "پرفشاری خون"), ("type_2_diabetes", "دیابت نوع دو")):
        places: list[tuple[str, Test]] = [
            (f"استان {province.name_fa}", _of_province(province.code)) for province in provinces()[:5]
        ]
        insured: list[tuple[str, Test]] = [(payer.name_fa, _of_payer(payer.code)) for payer in payers()[:3]]
        for name, people in (*places, *insured):
            ratio = _standardised(story, people)
            made.append(Target(group, f"{words}، {name}", 1.0, 0.1, ratio, source, share=False, ratio=True))
    return made


def _of_province(code: str) -> Test:
    return lambda person: person.province == code


def _of_payer(code: str) -> Test:
    return lambda person: person.payer == code


def vital_statistics() -> list[Target]:
    """Fertility of women and mortality of both sexes by age."""
    made = []
    for band, rate in load("demography")["asfr_per_1000"].items():
        low = int(band.split("-")[0])
        if low < 45:
            made.append(Target(
                "باروری به تفکیک سن", f"زایمان در هزار زن {_numbers(low, low + 4)}", rate, 0.2 * rate + 4, _fertility(low), _WPP,
                share=False, counts=1000,
            ))  # fmt: skip
    for female in (False, True):
        for at, low in enumerate(BANDS):
            high = (*BANDS, 101)[at + 1] - 1
            words = f"مرگ در هزار {'زن' if female else 'مرد'} {_numbers(low, high)}"
            expected = _expected_mortality(female, low, high)
            made.append(Target(
                "مرگ به تفکیک سن و جنس", words, expected, 0.25 * expected, _mortality(female, low), _WPP, share=False, counts=1000,
            ))  # fmt: skip
    return made


def _fertility(low: int) -> Measure:
    return lambda s: (1000 * s.born_to[low] / max(1.0, s.woman_years[low]), int(s.woman_years[low]))


def _mortality(female: bool, low: int) -> Measure:
    return lambda s: (1000 * s.died[female, low] / max(1.0, s.lived[female, low]), int(s.lived[female, low]))


def _expected_mortality(female: bool, low: int, high: int) -> float:
    """Deaths per 1,000 at these ages: the table's rates on the pyramid, scaled to the crude rate of 2023."""
    facts = load("demography")
    total = 0.0
    rates = {}
    for sex, weights in zip(("male", "female"), single_years(), strict=True):
        table = facts["mortality_mx"][sex]
        starts, values = [int(age) for age in table], list(table.values())
        mx = np.array(values)[np.searchsorted(starts, np.arange(100), side="right") - 1]
        total += float((mx * weights).sum())
        rates[sex] = (mx, weights)
    mx, weights = rates["female" if female else "male"]
    part = slice(low, min(high, 99) + 1)
    crude = float((mx[part] * weights[part]).sum() / weights[part].sum())
    return crude / total * float(facts["crude_death_rate_2023_per_1000"])


def formulas() -> list[Target]:
    """Printed values that follow from each other do so in every sample, and correlated quantities correlate."""
    group = "ساختار مشترک"

    def kept(name: str) -> Measure:
        return lambda s: (100 * s.exact[f"{name} kept"] / max(1, s.exact[name]), s.exact[name])

    general = "general knowledge"
    return [
        Target(group, "نمونه‌هایی که eGFR آن‌ها برابر CKD-EPI 2021 است", 100, 0, kept("egfr"), "doi 10.1056/NEJMoa2102953", share=False),
        Target(group, "نمونه‌هایی که LDL آن‌ها برابر فریدوالد است", 100, 0, kept("friedewald"), "doi 10.1093/clinchem/18.6.499", share=False),
        Target(group, "همبستگی لگاریتم تری‌گلیسرید با اچ‌دی‌ال، ۲۵+", -0.40, 0.1, _correlation, general, share=False),
        Target(group, "نسبت شانس پرفشاری و کرونر", 2.0, 0.4, _odds("hypertension", "ischaemic_heart_disease"), general, ratio=True),
    ]  # fmt: skip


def _odds(one: str, other: str) -> Measure:
    return lambda s: odds_ratio(s, one, other)


def _correlation(found: Survey) -> tuple[float, int]:
    people = [person for person in found.people if person.alive and person.age >= 25]
    pairs = [(person.latent["ltg"], person.latent["hdl"]) for person in people]
    slope, fit = regression(pairs)
    return (sqrt(fit) if slope > 0 else -sqrt(fit)), len(pairs)


def regression(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """(slope, R squared) of the second value on the first."""
    n = len(pairs)
    if n < 3:
        return 0.0, 0.0
    mean_x, mean_y = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    xx = sum((x - mean_x) ** 2 for x, _ in pairs)
    yy = sum((y - mean_y) ** 2 for _, y in pairs)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    return (xy / xx, xy * xy / (xx * yy)) if xx and yy else (0.0, 0.0)


def odds_ratio(found: Survey, one: str, other: str) -> tuple[float, int]:
    """The odds ratio of two stories among people of 40 to 69 years, stratified by ten years (Mantel-Haenszel), and how
    many have both."""
    above = below = 0.0
    number = 0
    for low in (40, 50, 60):
        people = [p for p in found.people if p.alive and low <= p.age < low + 10]
        a = sum(one in p.begun and other in p.begun for p in people)
        number += a
        b = sum(one in p.begun and other not in p.begun for p in people)
        c = sum(one not in p.begun and other in p.begun for p in people)
        d = len(people) - a - b - c
        if people:
            above += a * d / len(people)
            below += b * c / len(people)
    return (above / below if below else 0.0), number
