"""Every state machine, driven through random legal and illegal sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.outcomes import ConflictError, ForbiddenError
from sandbox.workflows import booking, claims, consent, dispensing, laboratory, prescription, referral, teleconsultation
from sandbox.workflows.task_machine import Actor, IllegalTransition, Machine, State, arrow
from tests.sandbox.workflows.memory import NOW

MACHINES = (
    booking.MACHINE,
    teleconsultation.MACHINE,
    prescription.MACHINE,
    dispensing.MACHINE,
    laboratory.MACHINE,
    laboratory.ORDER,
    referral.MACHINE,
    consent.MACHINE,
    claims.MACHINE,
)
any_machine = st.sampled_from(MACHINES)


@given(any_machine, st.lists(st.integers(0, 30), max_size=25))
def test_no_sequence_of_verbs_reaches_an_undeclared_state_or_leaves_a_final_one(
    machine: Machine, steps: list[int]
) -> None:
    state = sorted(machine.initial)[0]
    for step in steps:
        verb = machine.verbs()[step % len(machine.verbs())]
        legal = verb in machine.allowed(state)
        try:
            after = machine.fire(verb, state, who=Actor.CLOCK if step % 2 else Actor.APP, now=NOW)
        except IllegalTransition as refused:
            assert not legal
            text = refused.issues[0].text
            assert f"'{state}'" in text.en and f"'{verb}'" in text.en
            assert all(
                name in text.en and name in text.fa
                for name in machine.allowed(state, Actor.APP if step % 2 == 0 else Actor.CLOCK)
            )
        except ForbiddenError:
            assert legal
        else:
            assert legal and machine.knows(after) and not machine.state(state).final
            state = after


@given(any_machine, st.data())
def test_a_plain_write_is_judged_as_the_verbs_are(machine: Machine, data: st.DataObject) -> None:
    names = [s.name for s in machine.states]
    was, target = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    arrows = [t for t in machine.transitions if was in t.sources and t.target == target]
    try:
        taken = machine.follow(was, target, who=Actor.APP, now=NOW)
    except ConflictError:
        assert not arrows and was != target
    except ForbiddenError:
        assert all(Actor.APP not in t.who for t in arrows)
    else:
        assert taken is None if was == target else taken in arrows


def test_every_state_can_be_reached_and_every_final_state_says_so() -> None:
    for machine in MACHINES:
        reached, frontier = set(machine.initial), set(machine.initial)
        while frontier:
            frontier = {t.target for t in machine.transitions if t.sources & frontier} - reached
            reached |= frontier
        assert reached == {s.name for s in machine.states}, machine.name
        for state in machine.states:
            assert state.final == (not machine.allowed(state.name)), (machine.name, state.name)


def test_refusal_names_state_verb_and_ways_out_in_both_languages() -> None:
    with pytest.raises(IllegalTransition) as caught:
        booking.MACHINE.fire("check-in", "proposed", who=Actor.APP, now=NOW, subject="Appointment/7")
    text = caught.value.issues[0].text
    assert text.en == (
        "Appointment/7 is in state 'proposed': 'check-in' is not possible from there. Allowed now: book, confirm, cancel, retract."
    )
    assert "نگه‌داشته" in text.fa and "گذارهای مجاز: book، confirm، cancel، retract." in text.fa
    assert caught.value.status == 409


def test_a_step_of_another_party_is_forbidden_not_illegal() -> None:
    with pytest.raises(ForbiddenError, match="taken by the clock"):
        booking.MACHINE.fire("expire", "pending", who=Actor.APP, now=NOW)


@pytest.mark.parametrize(
    ("states", "arrows", "why"),
    [
        ((State("a", "الف"), State("a", "الف")), (), "twice"),
        ((State("a", "الف"),), (arrow("go", "a", "b"),), "undeclared"),
        ((State("a", "الف"), State("b", "ب", True)), (arrow("go", "a", "b"), arrow("back", "b", "a")), "final"),
        ((State("a", "الف"), State("b", "ب")), (arrow("go", "a", "b"), arrow("go", "a", "a")), "two arrows"),
    ],
)
def test_an_inconsistent_machine_cannot_be_built(
    states: tuple[State, ...], arrows: tuple[object, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Machine("m", "Task", frozenset({"a"}), states, arrows)  # type: ignore[arg-type]
