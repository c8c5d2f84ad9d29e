"""The latent state: its variables, and everybody's starting values and drifts, drawn for many people at once."""

from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calendars import YEAR
from ..catalogue.tables import read_toml
from ..errors import StoryFormatError
from ..randomness import Keys, normals, stream_key, uniforms

Floats = NDArray[np.float64]

FACTORS = ("metabolic", "frailty", "atopy", "mental", "exposure")
"""What ties diseases and variables together within a person: shared normal deviates."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One latent variable; see `latent.toml` for the meaning of the fields."""

    name: str
    index: int
    low: float
    high: float
    child: float
    treat_to: float
    sd: float
    male: float = 0.0
    female: float = 0.0
    slope: float = 0.0
    lower: float = 1.0
    threshold: float | None = None
    percent_male: tuple[tuple[float, float], ...] = ()
    percent_female: tuple[tuple[float, float], ...] = ()
    factors: dict[str, float] = field(default_factory=dict)
    source: str = "general knowledge"

    def mean(self, female: bool, ages: Floats) -> Floats:
        """The mean of adults of one sex at these ages."""
        if self.threshold is None:
            return (self.female if female else self.male) + self.slope * (ages - 40)
        # Where p% lie beyond a threshold t of a normal variable, its mean is t + sd * quantile(p).
        knots = self.percent_female if female else self.percent_male
        inverse = NormalDist().inv_cdf
        places = np.interp(ages, [a for a, _ in knots], [round(inverse(p / 100), 6) for _, p in knots])
        sign = 1 if self.threshold > 0 else -1
        return abs(self.threshold) + sign * self.sd * places


@cache
def variables() -> dict[str, Variable]:
    """The variables by name, in file order; `index` is the place in a person's state."""
    made = {}
    for index, (name, row) in enumerate(read_toml(__package__, "latent.toml").items()):
        values: dict[str, Any] = dict(row)
        if unknown := set(values.get("factors", {})) - set(FACTORS):
            raise StoryFormatError(f"latent.toml: {name}: unknown factor {sorted(unknown)[0]!r}")
        try:
            made[name] = Variable(name=name, index=index, **values)
        except TypeError as error:
            raise StoryFormatError(f"latent.toml: {name}: {error}") from error
    return made


_FACTOR_KEYS = np.array([stream_key(f"factor.{name}") for name in FACTORS], dtype=np.uint64)


def factors(keys: Keys) -> Floats:
    """The shared deviates of each member: shape (members, factors)."""
    return normals(uniforms(keys, _FACTOR_KEYS))


def share(shared: Floats, loads: dict[str, float], own: Floats) -> Floats:
    """A standard normal deviate made of the shared factors and an own part: shape (members,)."""
    if not loads:
        return own
    mixed = sum(load * shared[:, FACTORS.index(name)] for name, load in loads.items())
    return np.asarray(mixed + float(1 - sum(load**2 for load in loads.values())) ** 0.5 * own)


@cache
def _variable_keys() -> Keys:
    return np.array([stream_key(f"latent.{name}") for name in variables()], dtype=np.uint64)


GROWING, GROWN = 12, 18
"""Between these ages a child's mean becomes an adult's."""


def _means(variable: Variable, female: NDArray[np.bool_], ages: Floats) -> Floats:
    grown = np.clip(ages, GROWN, 95)
    adult = np.where(female, variable.mean(True, grown), variable.mean(False, grown))
    part = np.clip((ages - GROWING) / (GROWN - GROWING), 0.0, 1.0)
    return np.asarray(variable.child + part * (adult - variable.child))


@cache
def drift_from(age: int, female: bool) -> list[float]:
    """The drift per day of each variable from the 12th or the 18th birthday on."""
    years = GROWN - GROWING if age == GROWING else 5
    sex, then = np.array([female]), np.array([float(age)])
    return [
        float((_means(v, sex, then + years) - _means(v, sex, then))[0]) / (years * YEAR) for v in variables().values()
    ]


def start(
    keys: Keys, shared: Floats, female: NDArray[np.bool_], births: Floats, day: int, statures: Floats
) -> tuple[Floats, Floats]:
    """The state on `day` and its drift per day: two arrays of shape (members, variables).

    `statures` are the deviates by which people were tall or short as children: they stay so. The drift holds until the 12th and
    the 18th birthday, when `drift_from` takes its place.
    """
    own = normals(uniforms(keys, _variable_keys()))
    ages = (day - births) / YEAR
    growing = (ages >= GROWING) & (ages < GROWN)
    ramp = np.where(female[:, None], drift_from(GROWING, True), drift_from(GROWING, False))
    state = np.empty((len(keys), len(variables())))
    drift = np.zeros_like(state)
    for variable in variables().values():
        at = variable.index
        deviate = statures if variable.name == "height" else share(shared, variable.factors, own[:, at])
        means, later = _means(variable, female, ages), _means(variable, female, ages + 5)
        column = means + variable.sd * np.where(deviate < 0, variable.lower, 1.0) * deviate
        state[:, at] = np.clip(column, variable.low, variable.high)
        slow = np.where((ages >= GROWN) & (ages < 90), (later - means) / (5 * YEAR), 0.0)
        drift[:, at] = np.where(growing, ramp[:, at], slow)
    return state, drift
