"""Reading one story file into a compiled Story, with errors that name the file and the place in it."""

import itertools
import re
from typing import Any

from ..errors import StoryFormatError
from ..life.latent import FACTORS
from .delays import days, parse_delay
from .expressions import compile_guard
from .program import Death, Onset, State, Story, Transition, make_enter
from .verbs import compile_statement

_TOP = {"id", "code", "en", "fa", "sources", "onset", "states", "death"}
_ONSET = {"kind", "male", "female", "both", "factors", "months", "thalassaemia", "rural", "when"}
_STATE = {"do", "next", "every"}
_NEXT = {"to", "p", "after", "when"}
_ORDINARY = ("visit clinic", "visit hospital_clinic", "visit health_centre", "visit teleconsultation", "visit dental")


def _table(value: Any, allowed: set[str], place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoryFormatError(f"{place}: a table is expected")
    if unknown := sorted(set(value) - allowed):
        raise StoryFormatError(f"{place}: unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
    return value


def _text(row: dict[str, Any], key: str, place: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise StoryFormatError(f"{place}: {key!r} must be a text")
    return value


def _knots(row: dict[str, Any], key: str, place: str) -> tuple[tuple[float, float], ...]:
    value = row.get(key, row.get("both", []))
    try:
        knots = tuple((float(age), float(amount)) for age, amount in value)
    except (TypeError, ValueError) as error:
        raise StoryFormatError(f"{place}: {key} must be a list of [age, amount] pairs") from error
    if any(b[0] <= a[0] for a, b in itertools.pairwise(knots)) or any(amount < 0 for _, amount in knots):
        raise StoryFormatError(f"{place}: {key} needs rising ages and amounts that are not negative")
    return knots


def _onset(value: Any, place: str) -> Onset:
    row = _table(value, _ONSET, place)
    kind = row.get("kind")
    if kind not in ("prevalence", "rate", "triggered"):
        raise StoryFormatError(f"{place}: kind must be prevalence, rate or triggered, not {kind!r}")
    factors = dict(row.get("factors", {}))
    if unknown := set(factors) - set(FACTORS):
        raise StoryFormatError(f"{place}: unknown factor {sorted(unknown)[0]!r}; known are {', '.join(FACTORS)}")
    if sum(load**2 for load in factors.values()) > 1:
        raise StoryFormatError(f"{place}: the squares of the factors add up to more than 1")
    months = tuple(float(m) for m in row.get("months", ()))
    if months and len(months) != 12:
        raise StoryFormatError(f"{place}: months must list 12 weights, Farvardin first")
    male, female = _knots(row, "male", place), _knots(row, "female", place)
    if kind != "triggered" and not (male or female):
        raise StoryFormatError(f"{place}: male, female or both must give knots")
    guard = compile_guard(row["when"], place) if "when" in row else None
    total = sum(months)
    return Onset(
        kind, male, female, factors, tuple(m / total * 12 for m in months), bool(row.get("thalassaemia")),
        float(row.get("rural", 1.0)), guard, frozenset(re.findall(r"not story\('(\w+)'\)", row.get("when", ""))),
    )  # fmt: skip


def _transition(value: Any, names: list[str], place: str) -> Transition:
    row = _table(value, _NEXT, place)
    target = _text(row, "to", place)
    if target not in names:
        raise StoryFormatError(f"{place}: there is no state {target!r}")
    chance = row.get("p", 1.0)
    if not isinstance(chance, int | float) or not 0 < chance <= 1:
        raise StoryFormatError(f"{place}: p must lie between 0 and 1")
    guard = compile_guard(row["when"], place) if "when" in row else None
    return Transition(names.index(target), parse_delay(row.get("after", "0d"), place), float(chance), guard)


def _states(value: Any, place: str) -> tuple[State, ...]:
    if not isinstance(value, dict) or not value:
        raise StoryFormatError(f"{place}: a story needs at least one [states.NAME]")
    names = list(value)
    made: list[State] = []
    for name, content in value.items():
        here = f"{place}: state {name}"
        row = _table(content, _STATE, here)
        statements = row.get("do", [])
        actions = tuple(compile_statement(text, here) for text in statements)
        transitions = tuple(_transition(item, names, here) for item in row.get("next", []))
        every = days(row["every"], here) if "every" in row else 0
        opens = any(text.startswith(_ORDINARY) for text in statements)
        made.append(State(name, actions, transitions, every, opens))
    for state in made:
        state.enter = make_enter(state, made)
    return tuple(made)


def read_story(name: str, content: dict[str, Any]) -> Story:
    """A story from the parsed TOML of the file `name`."""
    row = _table(content, _TOP, name)
    identifier = _text(row, "id", name)
    if identifier != name.removesuffix(".toml"):
        raise StoryFormatError(f"{name}: id {identifier!r} must be the name of the file")
    code = _text(row, "code", name)
    if not (code.isalpha() and code.islower() and 2 <= len(code) <= 4):
        raise StoryFormatError(f"{name}: code must be two to four small letters, not {code!r}")
    states = _states(row.get("states"), name)
    death = None
    if "death" in row:
        place = f"{name}: death"
        told = _table(row["death"], {"male", "female", "both", "state", "lead"}, place)
        target = _text(told, "state", place)
        if target not in [state.name for state in states]:
            raise StoryFormatError(f"{place}: there is no state {target!r}")
        at = [state.name for state in states].index(target)
        death = Death(
            _knots(told, "male", place), _knots(told, "female", place), at, days(told.get("lead", "0d"), place)
        )
    return Story(
        identifier, code, _text(row, "en", name), _text(row, "fa", name), _onset(row.get("onset"), f"{name}: onset"),
        states, death, tuple(row.get("sources", ())),
    )  # fmt: skip
