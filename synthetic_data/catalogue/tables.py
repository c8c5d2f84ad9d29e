"""The catalogue files as frozen records. Errors in them are StoryFormatError: one line naming file and entry."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from ..errors import StoryFormatError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An ICD-10 code with the product's own labels."""

    code: str
    en: str
    fa: str


@dataclass(frozen=True, slots=True)
class Drug:
    """A product: `unit` is UCUM, `dose` units are taken `per_day` times for `days` (30: long-term); price in rials a unit.

    effects: change of latent variables at full adherence. avoid: a guard that forbids it. allergy: a substance. child: the
    drug given instead under 12 years. mg_per_kg: daily dose by weight, with mg_per_unit. dose_unit: when a dose is counted in
    something else than `unit`, of which `dose_units` are in one `unit` (insulin: 300 international units in a pen).
    """

    key: str
    en: str
    fa: str
    atc: str
    strength: str
    form: str
    unit: str
    dose: float
    per_day: float
    days: int
    price: float
    effects: dict[str, float] = field(default_factory=dict)
    avoid: str = ""
    allergy: str = ""
    child: str = ""
    mg_per_kg: float = 0.0
    mg_per_unit: float = 0.0
    dose_unit: str = ""
    dose_units: float = 1.0
    class_: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """A laboratory test: numeric (`source`, `unit`) or, when `positive` is given, present/absent by that guard."""

    key: str
    en: str
    fa: str
    loinc: str = ""
    unit: str = ""
    source: str = ""
    decimals: int = 0
    low: float | None = None
    high: float | None = None
    low_f: float | None = None
    high_f: float | None = None
    low_c: float | None = None
    high_c: float | None = None
    sd: float = 0.0
    cv: float = 0.0
    positive: str = ""
    specimen: str = "blood"


@dataclass(frozen=True, slots=True)
class Panel:
    """Tests ordered and billed together."""

    key: str
    en: str
    fa: str
    tests: tuple[str, ...]
    price: int


@dataclass(frozen=True, slots=True)
class Service:
    """A procedure (`kind` says of what sort) or an imaging study (`kind` "imaging")."""

    key: str
    en: str
    fa: str
    kind: str
    price: int


R = TypeVar("R")


def read_toml(package: str, name: str) -> dict[str, Any]:
    """A TOML file of a package; raises StoryFormatError when it is not TOML."""
    try:
        return tomllib.loads(files(package).joinpath(name).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StoryFormatError(f"{name}: {error}") from error


def _records(
    record: type[R], file: str, rows: dict[str, dict[str, Any]], key: str = "key", **more: Any
) -> dict[str, R]:
    made = {}
    for name, row in rows.items():
        values = {{"class": "class_", "from": "source"}.get(k, k): v for k, v in row.items()}
        try:
            made[name] = record(**{key: name}, **values, **more)
        except TypeError as error:
            raise StoryFormatError(f"{file}: entry {name!r}: {error}") from error
    return made


@cache
def diagnoses() -> dict[str, Diagnosis]:
    """Diagnoses by ICD-10 code."""
    return _records(Diagnosis, "diagnoses.toml", read_toml(__package__, "diagnoses.toml"), "code")


@cache
def drugs() -> dict[str, Drug]:
    """Drugs by key."""
    return _records(Drug, "drugs.toml", read_toml(__package__, "drugs.toml"))


@cache
def companions() -> tuple[tuple[Drug, float], ...]:
    """What else goes on an adult's prescription, and how often."""
    return tuple(
        (drugs()[row["drug"]], float(row["share"])) for row in read_toml(__package__, "habits.toml")["companion"]
    )


@cache
def tests() -> dict[str, Test]:
    """Laboratory tests by key."""
    return _records(Test, "tests.toml", read_toml(__package__, "tests.toml")["tests"])


@cache
def panels() -> dict[str, Panel]:
    """Panels by key; every test is also a panel of its own."""
    made = _records(Panel, "tests.toml", read_toml(__package__, "tests.toml")["panels"])
    for key, test in tests().items():
        made.setdefault(key, Panel(key, test.en, test.fa, (key,), 150_000))
    return made


@cache
def procedures() -> dict[str, Service]:
    """Procedures by key."""
    return _records(Service, "services.toml", read_toml(__package__, "services.toml")["procedures"])


@cache
def imaging() -> dict[str, Service]:
    """Imaging studies by key."""
    return _records(Service, "services.toml", read_toml(__package__, "services.toml")["imaging"], kind="imaging")
