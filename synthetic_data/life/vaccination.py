"""Vaccination for the whole life, by the schedule of its day."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from ..calendars import ISO, MONTH, OPEN_DAY, YEAR, day_of_month
from ..fhir.immunizations import write_immunization
from ..world.tables import load
from .care import open_visit, reason
from .modules import module_run
from .record import Life, Run, Visit

_FIRST_EPI = 1984
_COVID_FROM = "2021-06"
_SERIES = {"02": "polio", "178": "polio", "01": "dtp", "102": "dtp"}  # vaccines whose doses are counted together


class Dose(NamedTuple):
    """A line of the schedule: given from `start` on and before `end` (day numbers)."""

    months: int
    cvx: str
    number: int
    start: int
    end: int


@cache
def schedule() -> tuple[Dose, ...]:
    """The national schedule with its changes since 1984."""
    return tuple(
        Dose(
            row["age_months"], row["cvx"], row["dose"], day_of_month(row["from"]),
            day_of_month(row["until"]) if row["until"] else 10**9,
        )
        for row in load("vaccination")["schedule"]
    )  # fmt: skip


def plan_vaccination(life: Life) -> None:
    """Give the doses of the years before the history at once, and put later ones on the agenda."""
    last = min(life.death, life.until - 1)
    run = module_run(life, "vaccination")
    if int(ISO[life.birth][:4]) >= _FIRST_EPI:
        _plan_schedule(life, run, last)
    if life.birth < day_of_month("2003-06") and run.u() < 0.78:
        _covid(life, run, last)


def _plan_schedule(life: Life, run: Run, last: int) -> None:
    complete = run.u() < load("vaccination")["coverage"]
    months = -1
    day = 0
    for dose in schedule():
        if dose.months != months:
            months = dose.months
            day = life.birth + int(months * MONTH) + (int(run.u() * 14) if months else 1)
            if months:
                day = OPEN_DAY[day]
        missed = not complete and run.u() < 0.4
        if missed or day > last or not dose.start <= day < dose.end:
            continue
        if day < life.window:
            _write(run, None, dose.cvx, day)
        elif months or life.who.member.mother < 0:
            life.push(day, run, _give(dose))


@cache
def _give(dose: Dose) -> Callable[[Run, int], None]:
    def give(run: Run, day: int) -> None:
        visit = run.life.visit or open_visit(run, day, "health_centre", "health_worker")
        if dose.months and run.memory.get("last") != day:
            reason(run, "Z23")
            run.memory["last"] = day
        _write(run, visit, dose.cvx, day)

    return give


def _write(run: Run, visit: Visit | None, cvx: str, day: int) -> None:
    """One dose, numbered as the doses before it were really given."""
    series = _SERIES.get(cvx, cvx)
    doses = run.life.doses
    number = doses[series] = doses.get(series, 0) + 1
    write_immunization(run, visit, cvx, number, day)


def birth_doses(run: Run, day: int, visit: Visit) -> None:
    """The doses of the first day, given in the maternity ward."""
    if run.u() < load("vaccination")["coverage"]:
        for dose in schedule():
            if dose.months == 0 and dose.start <= day < dose.end:
                _write(run, visit, dose.cvx, day)


def _covid(life: Life, run: Run, last: int) -> None:
    first = max(day_of_month(_COVID_FROM), life.birth + int(18 * YEAR)) + int(run.u() * 75)
    second = first + 28 + int(run.u() * 14)
    third = second + 120 + int(run.u() * 90)
    for day in (first, second, third)[: 3 if run.u() < 0.5 else 2]:
        if day < min(last, life.window):
            _write(run, None, "510", day)
