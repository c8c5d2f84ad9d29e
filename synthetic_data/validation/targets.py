"""Published figures and how the population's are computed. A target is met when the difference is within its stated tolerance.

Tolerances are equivalence bounds: large samples reject trifles, so a p-value is not what is asked for. To each tolerance the sampling error
(three standard errors, where the observation is a share) is added. Targets marked held out were never used to fit anything and do not gate.
"""

from collections.abc import Callable
from math import exp

from ..calendars import persian_digits
from ..households import single_years
from ..world.payers import payers
from ..world.places import provinces
from . import detailed
from .survey import Person, Survey
from .target import Measure, Target, Test, aged, begun, both, coded, share, takes


def _total_cholesterol(person: Person) -> float:
    return person.latent["ldl"] + person.latent["hdl"] + exp(person.latent["ltg"]) / 5


def _high_cholesterol(person: Person) -> bool:
    return _total_cholesterol(person) >= 200


def _low_hdl(person: Person) -> bool:
    return person.latent["hdl"] < (50 if person.female else 40)


def _high_triglycerides(person: Person) -> bool:
    return exp(person.latent["ltg"]) >= 150


def _dyslipidaemia(person: Person) -> bool:
    high = _total_cholesterol(person) >= 200 or person.latent["ldl"] >= 130
    return high or _low_hdl(person) or _high_triglycerides(person) or takes("C10")(person)


def _fasting(person: Person) -> float:
    return 28.7 * person.latent["a1c"] - 56.7


_DIABETES = begun("type_2_diabetes", "type_1_diabetes")
_HTN, _DM60 = "Iran STEPs 2021, doi 10.21203/rs.3.rs-3842876/v1", "STEPS 2021, doi 10.1186/s12889-025-23654-8"
_LIPIDS, _BMI = "STEPS 2021, doi 10.1038/s41598-023-42341-5", "STEPS 2016, doi 10.3389/fendo.2020.00042"
_TOB, _CHD = (
    "STEPS 2016, doi 10.4103/ijpvm.IJPVM_514_20",
    "Tehran Lipid and Glucose Study, doi 10.1186/s12889-020-09595-4",
)
_UTIL, _RX = "doi 10.5812/jhealthscope.88589", "PMC5704359"
_WPP, _CARE = "UN WPP 2024", "doi 10.1186/s12944-025-02506-9"


def _prevalence() -> list[Target]:
    def sexes(
        name: str, male: float, female: float, tolerance: float, low: int, what: Test, source: str
    ) -> list[Target]:
        return [
            Target("شیوع", f"{name}، مردان", male, tolerance, share(aged(low, female=False), what), source),
            Target("شیوع", f"{name}، زنان", female, tolerance, share(aged(low, female=True), what), source),
        ]

    return [
        *sexes("پرفشاری خون، ۱۸ سال و بالاتر", 30.9, 32.9, 2.0, 18, begun("hypertension"), _HTN),
        *sexes("دیابت، ۶۰ سال و بالاتر", 25.43, 30.26, 2.0, 60, _DIABETES, _DM60),
        *sexes("چاقی، ۱۸ سال و بالاتر", 15.3, 29.8, 2.5, 18, lambda p: p.latent["bmi"] >= 30, _BMI),
        *sexes("مصرف دخانیات، ۱۸ سال و بالاتر", 25.2, 4.0, 1.5, 18, lambda p: "smoker" in p.flags, _TOB),
        *sexes("بیماری کرونر، ۳۰ سال و بالاتر", 8.62, 7.19, 1.5, 30, begun("ischaemic_heart_disease"), _CHD),
        Target("شیوع", "کلسترول تام ۲۰۰ و بالاتر، ۲۵ سال و بالاتر", 21.2, 2.5, share(aged(25), _high_cholesterol), _LIPIDS),
        Target("شیوع", "تری‌گلیسرید ۱۵۰ و بالاتر، ۲۵ سال و بالاتر", 39.7, 2.5, share(aged(25), _high_triglycerides), _LIPIDS),
        Target("شیوع", "ال‌دی‌ال ۱۳۰ و بالاتر، ۲۵ سال و بالاتر", 16.4, 2.5, share(aged(25), lambda p: p.latent["ldl"] >= 130), _LIPIDS),
        Target("شیوع", "اچ‌دی‌ال پایین، ۲۵ سال و بالاتر", 68.4, 2.5, share(aged(25), _low_hdl), _LIPIDS),
        Target("شیوع", "آسم، ۲۰ تا ۴۴ سال", 8.9, 2.5, share(aged(20, 44), begun("asthma")), "PMID 29227026"),
        Target("شیوع", "ناقل تالاسمی", 4.0, 0.8, share(aged(0), begun("thalassaemia_trait")), "Khodaei 2013, eprints.mums.ac.ir/6981"),
        Target("شیوع", "آسم، ۱۳ و ۱۴ سال", 12.4, 3.0, share(aged(13, 14), begun("asthma")), "doi 10.1111/crj.12975"),
    ]  # fmt: skip


def _demography() -> list[Target]:
    male, female = single_years()
    made = [
        Target(
            "جمعیت", f"{'زنان' if sex else 'مردان'} {persian_digits(f'{low} تا {low + 9}')} سال",
            100 * float((female if sex else male)[low : low + 10].sum()),
            0.8, share(lambda p: True, lambda p, low=low, sex=sex: p.female == sex and low <= p.age < low + 10), "UN WPP 2019, 2024",  # type: ignore[misc]
        )
        for low in range(0, 80, 10) for sex in (False, True)
    ]  # fmt: skip
    total = sum(province.population for province in provinces())
    for province in provinces()[:6]:
        here = share(lambda p: True, lambda p, code=province.code: p.province == code)  # type: ignore[misc]
        made.append(
            Target("جمعیت", f"استان {province.name_fa}", 100 * province.population / total, 0.8, here, "سرشماری ۱۳۹۵")
        )
    made.append(Target("جمعیت", "شهرنشین", 74.0, 1.5, share(lambda p: True, lambda p: not p.rural), "سرشماری ۱۳۹۵"))
    for payer in payers()[:4]:
        paid = share(lambda p: True, lambda p, code=payer.code: p.payer == code)  # type: ignore[misc]
        made.append(Target("بیمه", payer.name_fa, 100 * payer.share, 2.0, paid, "payers.json"))
    return made


def _items(found: Survey) -> float:
    return sum(items * count for items, count in found.prescriptions.items())


def _rates() -> list[Target]:
    def per_year(*kinds: str) -> Measure:
        return lambda s: (sum(s.visits[kind] for kind in kinds) / s.person_years, int(s.person_years))

    def per_thousand(count: Callable[[Survey], int]) -> Measure:
        return lambda s: (1000 * count(s) / s.person_years, int(s.person_years))

    def prescriptions(count: Callable[[Survey], float]) -> Measure:
        return lambda s: (count(s) / max(1, sum(s.prescriptions.values())), sum(s.prescriptions.values()))

    def of_births(what: str) -> Measure:
        return lambda s: (100 * s.delivery[what] / max(1, s.delivery["births"]), s.delivery["births"])

    def fertility(s: Survey) -> tuple[float, int]:
        return sum(
            5 * s.born_to[band] / s.woman_years[band] for band in range(15, 50, 5) if s.woman_years[band]
        ), s.delivery["births"]

    return [
        Target("مراقبت", "ویزیت پزشک عمومی در سال", 2.7, 0.35, per_year("general", "emergency"), _UTIL, share=False),
        Target("مراقبت", "ویزیت متخصص در سال", 2.14, 0.3, per_year("specialist"), _UTIL, share=False),
        Target("مراقبت", "بستری در هزار نفر در سال", 140.8, 20, per_thousand(lambda s: s.visits["admission"]), "rs-334124/v1", share=False),
        Target("مراقبت", "قلم در نسخهٔ پزشک عمومی", 3.3, 0.25, prescriptions(_items), _RX, share=False),
        Target("مراقبت", "نسخهٔ پزشک عمومی با آنتی‌بیوتیک", 52.1, 4, prescriptions(lambda s: 100 * s.with_antibiotic), _RX),
        Target("مراقبت", "نسخهٔ پزشک عمومی با تزریقی", 24.4, 4, prescriptions(lambda s: 100 * s.with_injection), _RX),
        Target("زادوولد و مرگ", "باروری کل", 1.70, 0.15, fertility, _WPP, ratio=True),
        Target("زادوولد و مرگ", "زایمان سزارین", 52.0, 4, of_births("caesarean"), "general knowledge; 47-53% در مطالعهٔ GDM"),
        Target("زادوولد و مرگ", "زایمان زودرس", 9.0, 3, of_births("preterm"), "general knowledge"),
        Target("زادوولد و مرگ", "دیابت بارداری", 4.0, 2, of_births("diabetes"), "jpmh.org 1788"),
        Target("زادوولد و مرگ", "مرگ در هزار نفر در سال", 4.67, 0.5, per_thousand(lambda s: s.deaths), _WPP, share=False, counts=1000),
    ]  # fmt: skip


def _structure() -> list[Target]:
    adag = "ADAG, doi 10.2337/dc08-0545"

    def slope(s: Survey) -> tuple[float, int]:
        return detailed.regression(s.glucose)[0], len(s.glucose)

    def fit(s: Survey) -> tuple[float, int]:
        return detailed.regression(s.glucose)[1], len(s.glucose)

    def with_diabetes(story: str) -> Measure:
        return lambda s: detailed.odds_ratio(s, "type_2_diabetes", story)

    known = "general knowledge"
    coronary = with_diabetes("ischaemic_heart_disease")
    return [
        Target("ساختار مشترک", "شیب قند ناشتا بر HbA1c", 28.7, 2.5, slope, adag, share=False),
        Target("ساختار مشترک", "ضریب تعیین قند ناشتا و HbA1c", 0.84, 0.06, fit, adag, share=False),
        Target("ساختار مشترک", "نسبت شانس دیابت و پرفشاری", 2.5, 0.4, with_diabetes("hypertension"), known, ratio=True),
        Target("ساختار مشترک", "نسبت شانس دیابت و کرونر", 2.2, 0.4, coronary, known, ratio=True),
    ]  # fmt: skip


def _cascade() -> list[Target]:
    men, women = both(aged(60, female=False), _DIABETES), both(aged(60, female=True), _DIABETES)
    known, treated = coded("E11", "E10"), takes("A10")
    hypertensive = both(aged(18), begun("hypertension"))
    controlled = both(hypertensive, coded("I10"), takes("C0"))
    general = "general knowledge"
    return [
        Target("آبشار مراقبت", "آگاه از دیابت، مردان ۶۰+", 71.2, 5, share(men, known), _DM60),
        Target("آبشار مراقبت", "آگاه از دیابت، زنان ۶۰+", 78.7, 5, share(women, known), _DM60),
        Target("آبشار مراقبت", "تحت درمان دیابت، مردان ۶۰+", 63.7, 5, share(men, treated), _DM60),
        Target("آبشار مراقبت", "تحت درمان دیابت، زنان ۶۰+", 71.1, 5, share(women, treated), _DM60),
        Target("آبشار مراقبت", "آگاه از پرفشاری خون، ۱۸+", 65, 4, share(hypertensive, coded("I10")), general),
        Target(
            "آبشار مراقبت",
            "تحت درمان پرفشاری خون، ۱۸+",
            55,
            5,
            share(hypertensive, both(coded("I10"), takes("C0"))),
            general,
        ),
        Target("آبشار مراقبت", "پرفشاری درمان‌شدهٔ کنترل‌شده، ۱۸+", 50, 6, share(controlled, _normal_pressure), general),
    ]


def _normal_pressure(person: Person) -> bool:
    return person.latent["sbp"] < 140 and person.latent["dbp"] < 90


def _high_by_atp3(person: Person) -> bool:
    """LDL of 160, total cholesterol of 240, HDL of at most 40, or treatment: the definition of the source."""
    latent = person.latent
    return latent["ldl"] >= 160 or _total_cholesterol(person) >= 240 or latent["hdl"] <= 40 or takes("C10")(person)


def _held_out() -> list[Target]:
    controlled = share(both(aged(60), _DIABETES, takes("A10")), lambda p: p.latent["a1c"] < 7.0)
    pre = share(aged(60), lambda p: "diabetes" not in p.begun and 100 <= _fasting(p) < 126 and not _DIABETES(p))
    treated = share(both(aged(18), _high_by_atp3), takes("C10"))
    vascular = share(aged(18), begun("ischaemic_heart_disease", "stroke"))
    made = (
        ("هرگونه اختلال چربی، ۲۵+", 81.0, 4.0, share(aged(25), _dyslipidaemia), _LIPIDS),
        ("پیش‌دیابت، ۶۰+", 29.9, 6.0, pre, _DM60),
        ("دیابت درمان‌شدهٔ کنترل‌شده (HbA1c زیر ۷)، ۶۰+", 58.9, 8.0, controlled, _DM60),
        ("کلسترول بالا به تعریف NCEP-ATP III، ۱۸+", 55.3, 6.0, share(aged(18), _high_by_atp3), _CARE),
        ("درمان کلسترول بالا به همان تعریف، ۱۸+", 20.6, 5.0, treated, _CARE),
        ("بیماری عروقی (کرونر یا سکتهٔ مغزی)، ۱۸+", 7.4, 1.5, vascular, "STEPS 2021, PMC13039966"),
    )
    return [Target("کنارگذاشته (در برازش به کار نرفته)", *row, held_out=True) for row in made]


def targets() -> list[Target]:
    """All targets, in the order of the report."""
    made = [
        *_demography(),
        *_prevalence(),
        *detailed.by_age_and_sex(),
        *detailed.by_place_and_payer(),
        *_cascade(),
        *_rates(),
    ]
    return [*made, *detailed.vital_statistics(), *_structure(), *detailed.formulas(), *_held_out()]
