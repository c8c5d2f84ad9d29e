"""Reading the forms of the Tenant controls: Persian digits, Jalali instants, and errors at the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import jdatetime
import msgspec

from portal.kernel.errors import Invalid
from portal.kernel.text import fold
from portal.web.forms import Form
from portal.web.i18n import TEHRAN

N = TypeVar("N", int, float)
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_DATE = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T،,]+(\d{1,2}):(\d{2}))?")
_FIRST_GREGORIAN_YEAR = 1700


def number(form: Form, name: str, kind: Callable[[str], N], default: N) -> N:
    """A number typed in `name`, with Persian or Latin digits; raises `Invalid` at the field."""
    text = fold(form[name]).replace("٫", ".")
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"{text!r} is not a number", fa=f"«{text}» عدد نیست", field=name) from None


def step(form: Form) -> dict[str, Any]:
    """The move of the clock that a form asks for: `amount` of `unit`, `to` an instant, or back to real time."""
    if form["back"]:
        return {"offset_seconds": 0}
    if form["to"].strip():
        return {"to": moment(form, "to").isoformat()}
    unit = UNITS.get(form["unit"] or "second")
    amount = number(form, "amount", int, -1)
    if unit is None or amount < 0:
        raise Invalid(
            "Give how far to move forward, as a whole number",
            fa="بنویسید ساعت چه اندازه جلو برود: عددی درست",
            field="amount",
        )
    return {"advance_seconds": amount * unit}


def moment(form: Form, name: str) -> datetime:
    """An instant typed as a Jalali or Gregorian date with a time of Tehran, or as ISO 8601 with a zone."""
    text = fold(form[name])
    wrong = Invalid(
        "Write a date and time such as 1405/09/20 08:30",
        fa="تاریخ و ساعت را مانند ۱۴۰۵/۰۹/۲۰ ۰۸:۳۰ بنویسید",
        field=name,
    )
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            made = datetime.fromisoformat(text)
            if made.tzinfo is None:
                raise wrong
            return made
        year, month, day, hour, minute = (int(part or 0) for part in found.groups())
        if year >= _FIRST_GREGORIAN_YEAR:
            return datetime(year, month, day, hour, minute, tzinfo=TEHRAN)
        date = jdatetime.date(year, month, day).togregorian()
        return datetime(date.year, date.month, date.day, hour, minute, tzinfo=TEHRAN)
    except (ValueError, OverflowError):
        raise wrong from None


def fault(form: Form, taken: set[str]) -> dict[str, Any]:
    """The plan that a form describes, with an id that is still free."""
    free = next(name for name in (f"fault-{n}" for n in range(1, len(taken) + 2)) if name not in taken)
    plan: dict[str, Any] = {
        "id": free,
        "kind": form["kind"],
        "route": fold(form["route"]) or "*",
        "method": form["method"] or "*",
        "status": number(form, "status", int, 500),
        "seconds": number(form, "seconds", float, 0.0),
        "left": number(form, "left", int, -1),
        "skip": number(form, "skip", int, 0),
        "probability": number(form, "probability", float, 1.0),
    }
    for name in ("starts", "ends"):
        if form[name].strip():
            plan[name] = moment(form, name).isoformat()
    return plan


def script(form: Form) -> dict[str, Any]:
    """The script of one Counterpart."""
    options = form["options"].strip()
    try:
        chosen = msgspec.json.decode(options) if options else {}
    except msgspec.DecodeError as error:
        raise Invalid("options is not JSON", fa="گزینه‌ها JSON درستی نیست", field="options") from error
    return {"mode": form["mode"], "after": number(form, "after", int, 0), "options": chosen}


def at_field(error: Invalid) -> Invalid:
    """An error of the exchange (`faults[3].seconds`) at the field of the form (`seconds`)."""
    return Invalid(error.message, fa=error.message_fa, field=error.field.rpartition(".")[2])
