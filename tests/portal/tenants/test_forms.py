"""Forms of the controls: what a person may type, and where the error stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.errors import Invalid
from portal.tenants import cli, forms
from portal.web.forms import Form
from portal.web.i18n import TEHRAN


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1405/09/20 08:30", datetime(2026, 12, 11, 5, 0, tzinfo=UTC)),
        ("۱۴۰۵/۰۹/۲۰ ۰۸:۳۰", datetime(2026, 12, 11, 5, 0, tzinfo=UTC)),
        ("1405-9-20", datetime(2026, 12, 10, 20, 30, tzinfo=UTC)),
        ("2026-12-11 08:30", datetime(2026, 12, 11, 5, 0, tzinfo=UTC)),
        ("2026-12-11T08:30:00Z", datetime(2026, 12, 11, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_may_be_jalali_gregorian_or_iso(typed: str, meant: datetime) -> None:
    assert forms.moment(Form({"to": typed}), "to") == meant


@pytest.mark.parametrize(
    "typed", ["", "soon", "1405/13/01 08:00", "1405/09/20 25:00", "2026-12-11T08:30:00", "0000/00/00"]
)
def test_what_is_no_moment_is_refused_at_its_field(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        forms.moment(Form({"to": typed}), "to")
    assert refused.value.field == "to" and "1405/09/20" in refused.value.message


@given(st.integers(0, 10_000_000))
def test_a_moment_written_in_tehran_time_is_read_back(minutes: int) -> None:
    local = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)).astimezone(TEHRAN)
    read = forms.moment(Form({"to": f"{local:%Y/%m/%d %H:%M}"}), "to")
    assert read - local in (timedelta(0), timedelta(hours=1), timedelta(hours=-1))  # the hour that summer time repeated


@pytest.mark.parametrize(
    ("fields", "move"),
    [
        ({"amount": "۱۰", "unit": "minute"}, {"advance_seconds": 600}),
        ({"amount": "2", "unit": "day"}, {"advance_seconds": 172_800}),
        ({"amount": "5", "unit": ""}, {"advance_seconds": 5}),
        ({"back": "yes"}, {"offset_seconds": 0}),
    ],
)
def test_a_step_of_the_clock(fields: dict[str, str], move: dict[str, int]) -> None:
    assert forms.step(Form(fields)) == move


@pytest.mark.parametrize(
    "fields", [{"amount": "ten", "unit": "minute"}, {"amount": "", "unit": "day"}, {"amount": "1", "unit": "aeon"}]
)
def test_a_step_that_cannot_be_meant_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        forms.step(Form(fields))
    assert refused.value.field == "amount"


def test_a_new_fault_gets_a_free_id() -> None:
    assert forms.fault(Form({"kind": "down"}), {"fault-1", "fault-3"})["id"] == "fault-2"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("30d", 2_592_000), ("1w", 604_800)]
)
def test_durations_of_the_command(text: str, seconds: int) -> None:
    assert cli.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-5m", "1.5h", "٣h", "5y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        cli.seconds_of(text)


def test_plans_and_scripts_of_the_command() -> None:
    assert cli.fault_of("kind=burst,route=Slot*,left=3,probability=0.5") == {
        "kind": "burst",
        "route": "Slot*",
        "left": 3,
        "probability": 0.5,
    }
    assert cli.fault_of('{"kind": "down"}') == {"kind": "down"}
    assert cli.script_of("laboratory=delay:2h") == ("laboratory", {"mode": "delay", "after": 7200})
    for wrong in ("burst", "{"):
        with pytest.raises(click.BadParameter):
            cli.fault_of(wrong)
    with pytest.raises(click.BadParameter):
        cli.script_of("clinic")
