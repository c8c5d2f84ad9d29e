"""The questionnaire as data, and pure checks of answers. Answers are strings keyed by question id; drafts may be incomplete."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from portal.kernel.errors import Invalid
from portal.kernel.text import fold

LONGEST = 8000
EMAIL = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
PHONE = re.compile(r"\+?[0-9][0-9 ()-]{6,18}[0-9]")


DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    fa: str
    en: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `kind` chooses the input and the check, `must` is the only answer that can be accepted."""

    id: str
    section: str
    kind: str
    fa: str
    en: str
    help_fa: str = ""
    help_en: str = ""
    min: int | None = None
    max: int | None = None
    must: str = ""
    optional: bool = False
    when: tuple[tuple[str, str], ...] = ()
    choices: tuple[Choice, ...] = ()

    def asked(self, answers: dict[str, Any]) -> bool:
        """Whether the other answers make this question one to be answered."""
        return all(answers.get(key) == value for key, value in self.when)


@dataclass(frozen=True, slots=True)
class Section:
    """A step of the questionnaire."""

    id: str
    fa: str
    en: str
    questions: tuple[Question, ...]


YES_NO = (Choice("yes", "بله", "Yes"), Choice("no", "خیر", "No"))


def _question(section: str, row: dict[str, Any]) -> Question:
    choices = YES_NO if row["kind"] == "yes_no" else tuple(Choice(**choice) for choice in row.pop("choices", ()))
    when = tuple(sorted(row.pop("when", {}).items()))
    return Question(section=section, choices=choices, when=when, **row)


@cache
def sections() -> tuple[Section, ...]:
    """All steps in their order."""
    raw = tomllib.loads((files("portal.reviews") / "data" / "questionnaire.toml").read_text("utf-8"))
    return tuple(
        Section(
            id=row["id"],
            fa=row["fa"],
            en=row["en"],
            questions=tuple(_question(row["id"], dict(question)) for question in row["questions"]),
        )
        for row in raw["sections"]
    )


@cache
def questions() -> dict[str, Question]:
    """Every question by id."""
    return {question.id: question for section in sections() for question in section.questions}


def section(section_id: str) -> Section | None:
    """The step with this id."""
    return next((found for found in sections() if found.id == section_id), None)


def kept(answers: dict[str, Any]) -> dict[str, str]:
    """Answers in the form they are stored; raises `Invalid` for an unknown question or a value that is no text."""
    known, made = questions(), {}
    for key, value in answers.items():
        if key not in known:
            raise Invalid(
                f"There is no question {key!r}", fa=f"پرسشی با شناسهٔ «{key}» وجود ندارد", field=f"answers.{key}"
            )
        if known[key].kind == "file":
            raise Invalid(
                f"Upload a document for {key!r}; it is not answered by text",
                fa=f"برای «{known[key].fa}» پرونده بارگذاری کنید",
                field=f"answers.{key}",
            )
        if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > LONGEST:
            raise Invalid(
                f"The answer to {key!r} must be text of at most {LONGEST} characters",
                fa=f"پاسخ «{known[key].fa}» باید متنی با حداکثر {LONGEST} نویسه باشد",
                field=f"answers.{key}",
            )
        text = str(value)
        made[key] = text.strip() if known[key].kind in ("long", "text") else fold(text)
    return made


def problems(answers: dict[str, Any], *, of: Section | None = None) -> list[Invalid]:
    """What keeps `answers` (all, or those of one step) from being accepted, in the order of the form."""
    asked = of.questions if of else tuple(questions().values())
    found = (problem(question, answers) for question in asked)
    return [error for error in found if error is not None]


def _error(question: Question, en: str, fa: str) -> Invalid:
    return Invalid(f"{question.en}: {en}", fa=f"{question.fa} {fa.translate(DIGITS)}", field=f"answers.{question.id}")


def problem(question: Question, answers: dict[str, Any]) -> Invalid | None:
    """What is wrong with the answer to one question, and how to mend it."""
    if not question.asked(answers):
        return None
    value = str(answers.get(question.id, "")).strip()
    if not value:
        return None if question.optional else _error(question, "answer this question", "به این پرسش پاسخ دهید.")
    if question.must and value != question.must:
        return _error(
            question,
            "with this answer production access is not possible; contact support if it is a mistake",
            "با این پاسخ دسترسی عملیاتی ممکن نیست؛ اگر اشتباه است آن را اصلاح کنید.",
        )
    return _shape(question, value)


def _shape(question: Question, value: str) -> Invalid | None:
    match question.kind:
        case "yes_no" | "choice":
            if value not in {choice.id for choice in question.choices}:
                return _error(question, "choose one of the answers", "یکی از پاسخ‌ها را برگزینید.")
        case "number":
            return _number(question, value)
        case "email":
            if not EMAIL.fullmatch(value):
                return _error(
                    question, "write an address such as name@example.ir", "نشانی را مانند name@example.ir بنویسید."
                )
        case "phone":
            if not PHONE.fullmatch(value):
                return _error(question, "write a number such as 021 1234 5678", "شماره را با کد شهر بنویسید.")
        case "url":
            parts = urlsplit(value)
            if parts.scheme != "https" or not parts.hostname or "." not in parts.hostname:
                return _error(question, "write an address that starts with https://", "نشانی را با https:// بنویسید.")
        case "date":
            try:
                date.fromisoformat(value)
            except ValueError:
                return _error(
                    question, "write a date such as 2026-05-30", "تاریخ را به شکل سال-ماه-روز میلادی بنویسید."
                )
        case _:
            if question.min is not None and len(value) < question.min:
                return _error(
                    question,
                    f"write at least {question.min} characters (now {len(value)})",
                    f"دست‌کم {question.min} نویسه بنویسید (اکنون {len(value)}).",
                )
    return None


def _number(question: Question, value: str) -> Invalid | None:
    low, high = question.min or 0, question.max if question.max is not None else 10**9
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not low <= int(value) <= high:
        return _error(question, f"write a whole number from {low} to {high}", f"عددی میان {low} و {high} بنویسید.")
    return None
