"""From the latent state to printed laboratory values, with noise. Quantities that depend on each other are derived together."""

from bisect import bisect_right
from collections.abc import Callable
from math import exp

from ..calendars import YEAR
from ..catalogue.tables import Test, tests
from ..errors import StoryFormatError
from ..randomness import NORMAL
from .latent import variables
from .record import Run

_V = {name: variable.index for name, variable in variables().items()}
Sampler = Callable[[Run, int], float]


def _level(name: str) -> Sampler:
    index = _V[name]

    def read(run: Run, day: int) -> float:
        life = run.life
        return life.state[index] + life.drift[index] * (day - life.window)

    return read


def _exp(name: str) -> Sampler:
    level = _level(name)
    return lambda run, day: exp(level(run, day))


_A1C, _GFR, _HB, _LDL, _HDL, _LTG, _ALT = (_V[n] for n in ("a1c", "gfr", "hb", "ldl", "hdl", "ltg", "alt"))


def fasting_glucose(run: Run, day: int) -> float:
    """ADAG's estimated average glucose (28.7 x HbA1c - 46.7, https://doi.org/10.2337/dc08-0545), less the rise after meals."""
    a1c = run.life.level(_A1C, day)
    return 28.7 * a1c - 46.7 - 10 + 0.035 * (28.7 * a1c - 46.7) * NORMAL[int(run.u() * 4096)]


def random_glucose(run: Run, day: int) -> float:
    """Glucose at any hour."""
    return 28.7 * run.life.level(_A1C, day) - 46.7 + 14 * NORMAL[int(run.u() * 4096)]


def creatinine_for(gfr: float, age: float, female: bool) -> float:
    """The serum creatinine (mg/dL) at which CKD-EPI 2021 (https://doi.org/10.1056/NEJMoa2102953) gives this eGFR."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if female else (0.9, -0.302, 1.0)
    scaled = gfr / (142 * factor * 0.9938**age)
    if scaled >= 1:
        return float(kappa * max(scaled ** (1 / alpha), 0.35))
    return float(kappa * scaled ** (-1 / 1.2))


# A healthy child's serum creatinine (mg/dL) by age: Q of the full age spectrum equation, https://doi.org/10.1093/ndt/gfv454.
_Q_AGES = (0.0, 1.0, 5.0, 10.0, 15.0, 18.0)
_Q = {False: (0.23, 0.26, 0.38, 0.51, 0.72, 0.88), True: (0.23, 0.26, 0.38, 0.51, 0.64, 0.69)}


def childs_creatinine(gfr: float, age: float, female: bool) -> float:
    """The serum creatinine (mg/dL) of somebody under 18."""
    at = min(max(bisect_right(_Q_AGES, age) - 1, 0), len(_Q_AGES) - 2)
    part = (age - _Q_AGES[at]) / (_Q_AGES[at + 1] - _Q_AGES[at])
    usual = _Q[female][at] + part * (_Q[female][at + 1] - _Q[female][at])
    return usual * 107.3 / gfr


def egfr_of(creatinine: float, age: float, female: bool) -> float:
    """CKD-EPI 2021's eGFR from serum creatinine in mg/dL."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if female else (0.9, -0.302, 1.0)
    ratio = creatinine / kappa
    return float(142 * factor * min(ratio, 1.0) ** alpha * max(ratio, 1.0) ** -1.2 * 0.9938**age)


def _creatinine(run: Run, day: int) -> float:
    life = run.life
    age = (day - life.birth) / YEAR
    gfr = max(4.0, min(130.0, life.level(_GFR, day)))
    return childs_creatinine(gfr, age, life.female) if age < 18 else creatinine_for(gfr, age, life.female)


def _egfr(run: Run, day: int) -> float:
    """From the creatinine printed on the same day, when there is one."""
    life = run.life
    creatinine = run.memory.get("creatinine") or _creatinine(run, day)
    return min(139.0, egfr_of(creatinine, max(18.0, (day - life.birth) / YEAR), life.female))


def _hdl(run: Run, day: int) -> float:
    return max(22.0, run.life.level(_HDL, day))


def _triglycerides(run: Run, day: int) -> float:
    return exp(run.life.level(_LTG, day) + 0.13 * NORMAL[int(run.u() * 4096)])


def _total_cholesterol(run: Run, day: int) -> float:
    """The sum of its parts, those of the same sample where they are printed, so that Friedewald's LDL is the latent one."""
    life, memory = run.life, run.memory
    hdl = memory["hdl"] if "hdl" in memory else life.level(_HDL, day)
    triglycerides = memory["triglycerides"] if "triglycerides" in memory else exp(life.level(_LTG, day))
    return float(life.level(_LDL, day) + hdl + triglycerides / 5)


def _ldl(run: Run, day: int) -> float:
    """Friedewald's formula over the values printed in the same panel."""
    memory = run.memory
    if "triglycerides" in memory and "total_cholesterol" in memory and "hdl" in memory:
        return float(memory["total_cholesterol"] - memory["hdl"] - memory["triglycerides"] / 5)
    return float(run.life.level(_LDL, day))


def _urea(run: Run, day: int) -> float:
    return float(13.0 * (100 / max(6.0, min(120.0, run.life.level(_GFR, day)))) ** 0.75)


def _haematocrit(run: Run, day: int) -> float:
    return float(run.memory.get("haemoglobin") or run.life.level(_HB, day)) * 2.95


def _red_cells(run: Run, day: int) -> float:
    volume = float(run.memory.get("mcv") or run.life.level(_V["mcv"], day))
    return float(run.memory.get("haematocrit") or run.life.level(_HB, day) * 2.95) * 10 / volume


def _ast(run: Run, day: int) -> float:
    return 9 + 0.62 * run.life.level(_ALT, day)


def _free_t4(run: Run, day: int) -> float:
    return max(0.1, 1.28 - 0.17 * (run.life.level(_V["ltsh"], day) - 0.6) + 0.09 * NORMAL[int(run.u() * 4096)])


def _esr(run: Run, day: int) -> float:
    return 4 + 7.5 * max(0.0, run.life.level(_V["lcrp"], day)) + (4 if run.life.female else 0)


def _hba2(run: Run, day: int) -> float:
    return 5.0 if "thalassaemia_trait" in run.life.flags else 2.6


DERIVED: dict[str, Sampler] = {
    "fasting_glucose": fasting_glucose, "random_glucose": random_glucose, "creatinine": _creatinine, "egfr": _egfr,
    "total_cholesterol": _total_cholesterol, "triglycerides": _triglycerides, "hdl": _hdl, "ldl": _ldl,
    "urea_nitrogen": _urea, "haematocrit": _haematocrit, "rbc": _red_cells, "ast": _ast, "free_t4": _free_t4, "esr": _esr,
    "hba2": _hba2,
}  # fmt: skip
"""Quantities that are no single latent variable."""


def sampler(test: Test) -> Sampler:
    """The function that gives a test's value, noise included, before rounding."""
    source = test.source
    if source in DERIVED:
        truth = DERIVED[source]
    elif source.startswith("exp_") and source[4:] in _V:
        truth = _exp(source[4:])
    elif source in _V:
        truth = _level(source)
    else:
        raise StoryFormatError(f"tests.toml: {test.key}: nothing is called {source!r}")
    sd, cv = test.sd, test.cv
    if not sd and not cv:
        return truth
    if cv:
        return lambda run, day: truth(run, day) * (1 + cv * NORMAL[int(run.u() * 4096)])
    return lambda run, day: truth(run, day) + sd * NORMAL[int(run.u() * 4096)]


def samplers() -> dict[str, Sampler]:
    """Samplers of all numeric tests."""
    return {key: sampler(test) for key, test in tests().items() if not test.positive}
