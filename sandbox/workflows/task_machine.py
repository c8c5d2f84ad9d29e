"""Declarative state machines: states, transitions, who may, guards; an illegal transition is refused with the way out.

A machine is data. It never saves anything: a Workflow asks `take` for the next state, then writes it with its effects in the
same transaction. `fire` is for verbs (`$book`), `follow` for plain REST writes that change a status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sandbox.fhir.outcomes import ConflictError, ForbiddenError, Issue, Text

Facts = Mapping[str, Any]
_NO_FACTS: Facts = {}


class Actor(StrEnum):
    """Who moves a Workflow on. `APP` is a call with an access token; the others act inside the Tenant."""

    APP = "app"
    COUNTERPART = "counterpart"
    CLOCK = "clock"


ANYONE = frozenset(Actor)
PARTIES = frozenset({Actor.APP, Actor.COUNTERPART})
CLOCK_ONLY = frozenset({Actor.CLOCK})
_ACTOR_FA = {Actor.APP: "برنامه", Actor.COUNTERPART: "طرف مقابل شبیه‌سازی‌شده", Actor.CLOCK: "ساعت فضای آزمایشی"}


class IllegalTransition(ConflictError):
    """409: the present state does not allow this step."""

    def __init__(
        self,
        text: Text | None = None,
        *,
        issues: Sequence[Issue] = (),
        expression: Sequence[str] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(text, code="business-rule", issues=issues, expression=expression, headers=headers)


class TransitionNotYours(ForbiddenError):
    """403: this step exists, but another party takes it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a guard refuses, in both languages."""

    en: str
    fa: str


Guard = Callable[[Facts, datetime], Reason | None]


@dataclass(frozen=True, slots=True)
class State:
    """One state: `name` is the machine's word, `fa` its Persian one; a final state has no way out."""

    name: str
    fa: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow. `effect` says in a few words what else is written with it (the documentation's tables print it)."""

    name: str
    sources: frozenset[str]
    target: str
    who: frozenset[Actor] = PARTIES
    guard: Guard | None = None
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """All states and arrows of one Workflow; an inconsistent one cannot be built (ValueError)."""

    name: str
    subject: str
    initial: frozenset[str]
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    _by_name: dict[str, State] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update({state.name: state for state in self.states})
        if len(self._by_name) != len(self.states):
            raise ValueError(f"{self.name}: a state is declared twice")
        named = {s for t in self.transitions for s in (*t.sources, t.target)} | self.initial
        if missing := named - self._by_name.keys():
            raise ValueError(f"{self.name}: undeclared states {sorted(missing)}")
        for transition in self.transitions:
            if stuck := [s for s in transition.sources if self._by_name[s].final]:
                raise ValueError(f"{self.name}: {transition.name} leaves final state {stuck[0]}")
        arrows = [(t.name, s) for t in self.transitions for s in t.sources]
        if len(set(arrows)) != len(arrows):
            raise ValueError(f"{self.name}: two arrows of one name leave the same state")

    def state(self, name: str) -> State:
        """The declared state of that name; KeyError when there is none."""
        return self._by_name[name]

    def knows(self, name: str) -> bool:
        return name in self._by_name

    def verbs(self) -> tuple[str, ...]:
        """Every transition's name, in the order of declaration."""
        return tuple(dict.fromkeys(t.name for t in self.transitions))

    def allowed(self, state: str, who: Actor | None = None) -> tuple[str, ...]:
        """Names of the transitions that leave `state` (for one actor, when given)."""
        return tuple(t.name for t in self.transitions if state in t.sources and (who is None or who in t.who))

    def fire(
        self, verb: str, state: str, *, who: Actor, now: datetime, facts: Facts = _NO_FACTS, subject: str = ""
    ) -> str:
        """The state that `verb` leads to from `state`; raises `IllegalTransition` or `TransitionNotYours`."""
        found = next((t for t in self.transitions if t.name == verb and state in t.sources), None)
        if found is None:
            raise self.refusal(verb, state, subject=subject, who=who)
        self._check(found, state, who=who, now=now, facts=facts, subject=subject)
        return found.target

    def follow(
        self, state: str, target: str, *, who: Actor, now: datetime, facts: Facts = _NO_FACTS, subject: str = ""
    ) -> Transition | None:
        """The arrow a plain write takes from `state` to `target`; None when nothing changes."""
        if state == target:
            return None
        arrows = [t for t in self.transitions if state in t.sources and t.target == target]
        if not arrows:
            raise self.refusal(f"→ {target}", state, subject=subject, who=who)
        mine = [t for t in arrows if who in t.who] or arrows
        self._check(mine[0], state, who=who, now=now, facts=facts, subject=subject)
        return mine[0]

    def start(self, state: str, *, subject: str = "") -> str:
        """Check the state a new resource is created in."""
        if state in self.initial:
            return state
        names = ", ".join(sorted(self.initial))
        raise IllegalTransition(
            Text(
                f"A new {subject or self.subject} cannot start in state '{state}'. It can start in: {names}.",
                f"«{subject or self.subject}» تازه نمی‌تواند با وضعیت «{state}» آغاز شود. وضعیت‌های آغازین: {names}.",
            ),
            expression=(f"{self.subject}.status",),
        )

    def _check(
        self, transition: Transition, state: str, *, who: Actor, now: datetime, facts: Facts, subject: str
    ) -> None:
        if who not in transition.who:
            others, others_fa = _actors(transition.who)
            raise TransitionNotYours(
                Text(
                    f"'{transition.name}' of {subject or self.subject} is taken by {others}, not by the {who.value}.",
                    f"گذار «{transition.name}» در «{subject or self.subject}» با {others_fa} است، نه {_ACTOR_FA[who]}.",
                ),
            )
        reason = transition.guard(facts, now) if transition.guard else None
        if reason is not None:
            raise IllegalTransition(
                Text(
                    f"{subject or self.subject} is in state '{state}', but '{transition.name}' is refused: {reason.en}",
                    f"«{subject or self.subject}» در وضعیت «{state}» است، اما «{transition.name}» پذیرفته نشد: {reason.fa}",
                ),
            )

    def refusal(self, verb: str, state: str, *, subject: str = "", who: Actor | None = None) -> IllegalTransition:
        """The error that names the state, the attempted transition and the allowed ones."""
        what = subject or self.subject
        allowed = self.allowed(state, who)
        if allowed:
            ways, ways_fa = f"Allowed now: {', '.join(allowed)}.", f"گذارهای مجاز: {'، '.join(allowed)}."
        elif self.knows(state) and self.state(state).final:
            ways, ways_fa = "This state is final.", "این وضعیت پایانی است."
        else:
            ways, ways_fa = "No step is yours to take now.", "اکنون گامی در اختیار شما نیست."
        label = self.state(state).fa if self.knows(state) else state
        return IllegalTransition(
            Text(
                f"{what} is in state '{state}': '{verb}' is not possible from there. {ways}",
                f"«{what}» در وضعیت «{label}» ({state}) است و گذار «{verb}» از آن ممکن نیست. {ways_fa}",
            ),
        )


def _actors(who: Iterable[Actor]) -> tuple[str, str]:
    ordered = sorted(who)
    return " or ".join(f"the {a.value}" for a in ordered), " یا ".join(_ACTOR_FA[a] for a in ordered)


def states(*pairs: tuple[str, str], final: Iterable[tuple[str, str]] = ()) -> tuple[State, ...]:
    """States of (name, Persian name) pairs; `final` ones last."""
    return (*(State(name, fa) for name, fa in pairs), *(State(name, fa, True) for name, fa in final))


def arrow(
    name: str,
    sources: str,
    target: str,
    *,
    who: frozenset[Actor] = PARTIES,
    guard: Guard | None = None,
    effect: str = "",
) -> Transition:
    """A transition from a space-separated list of sources."""
    return Transition(name, frozenset(sources.split()), target, who, guard, effect)
