"""Two languages side by side, Jalali dates, Persian digits.

Every text is written where it is used, as a pair: `t("ورود", "Sign in")`. So neither language can be missing, a reviewer
reads both at once, and Persian is written rather than translated from a key. Dates are shown in Asia/Tehran.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import jdatetime
from markupsafe import Markup, escape

Language = Literal["fa", "en"]
TEHRAN = ZoneInfo("Asia/Tehran")
MONTHS_FA = ("فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند")
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TO_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")

language: ContextVar[Language] = ContextVar("language", default="fa")


def t(fa: str, en: str) -> str:
    """The text of the pair in the language of this request."""
    return fa if language.get() == "fa" else en


def lang() -> Language:
    """Language of this request."""
    return language.get()


def url(path: str) -> str:
    """`path` in the language of this request: English pages live under /en."""
    return path if language.get() == "fa" else ("/en" if path == "/" else f"/en{path}")


def docs() -> str:
    """The documentation in the language of this request."""
    return "/docs/" if language.get() == "fa" else "/docs/en/"


def digits(value: object) -> str:
    """`value` with Persian digits on a Persian page; for counts in prose, never for ids or codes."""
    return str(value).translate(TO_PERSIAN) if language.get() == "fa" else str(value)


def number(value: float) -> str:
    """A count with thousands separators: ۱٬۲۸۴ or 1,284."""
    text = f"{value:,}"
    return digits(text.replace(",", "٬").replace(".", "٫")) if language.get() == "fa" else text


def rials(value: int) -> str:
    """An amount of money: ۱٬۲۰۰٬۰۰۰ ریال or 1,200,000 rials; nothing costs nothing."""
    if value == 0:
        return t("رایگان", "Free")
    return f"{number(value)} {t('ریال', 'rials')}"


def percent(value: float) -> str:
    """A share of one as a whole percentage: ٪۴۲ or 42%."""
    whole = round(value * 100)
    return f"٪{digits(whole)}" if language.get() == "fa" else f"{whole}%"


def _jalali(moment: datetime) -> str:
    day = jdatetime.date.fromgregorian(date=moment.date())
    return f"{day.day} {MONTHS_FA[day.month - 1]} {day.year}"


def _gregorian(moment: datetime) -> str:
    return f"{moment.day} {MONTHS_EN[moment.month - 1]} {moment.year}"


def date_text(moment: datetime) -> str:
    """The Tehran day of an aware instant: ۱ آذر ۱۴۰۵ or 22 Nov 2026."""
    local = moment.astimezone(TEHRAN)
    return digits(_jalali(local)) if language.get() == "fa" else _gregorian(local)


def _time_element(moment: datetime, text: str) -> Markup:
    local = moment.astimezone(TEHRAN)
    other = _gregorian(local) if language.get() == "fa" else _jalali(local)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{other}, {local:%H:%M}", text
    )


def date(moment: datetime) -> Markup:
    """A <time> with the day in the reader's calendar and the other calendar in its title."""
    return _time_element(moment, date_text(moment))


def when(moment: datetime) -> Markup:
    """A <time> with day and minute in the reader's calendar."""
    clock = digits(f"{moment.astimezone(TEHRAN):%H:%M}")
    return _time_element(moment, f"{date_text(moment)}{t('، ', ', ')}{clock}")


def ltr(value: object) -> Markup:
    """A Latin fragment (id, URL, code) isolated inside right-to-left text."""
    return Markup('<bdi dir="ltr" class="ltr">{}</bdi>').format(escape(value))


def bdi(value: object) -> Markup:
    """A name given by a person, isolated so that its direction disturbs nothing around it."""
    return Markup("<bdi>{}</bdi>").format(escape(value))
