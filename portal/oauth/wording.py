"""Scopes in words that a citizen understands, in Persian and English, and how they are switched on and off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portal.oauth import scopes
from portal.oauth.scopes import Scope

# Resource type -> what a citizen calls it.
NOUNS: dict[str, tuple[str, str]] = {
    "*": ("همهٔ پروندهٔ سلامت", "the whole health record"),
    "Patient": ("مشخصات فردی (نام، تاریخ تولد، نشانی)", "personal details (name, date of birth, address)"),
    "Observation": ("نتایج آزمایش و علائم حیاتی", "test results and vital signs"),
    "DiagnosticReport": ("گزارش‌های آزمایشگاه و تصویربرداری", "laboratory and imaging reports"),
    "Condition": ("بیماری‌ها و تشخیص‌ها", "illnesses and diagnoses"),
    "AllergyIntolerance": ("حساسیت‌ها", "allergies"),
    "MedicationRequest": ("نسخه‌ها", "prescriptions"),
    "MedicationDispense": ("داروهای تحویل‌شده", "medicines handed out"),
    "MedicationStatement": ("داروهای مصرفی", "medicines being taken"),
    "Immunization": ("واکسن‌ها", "vaccinations"),
    "Encounter": ("مراجعه‌ها و بستری‌ها", "visits and hospital stays"),
    "Procedure": ("عمل‌ها و اقدام‌های درمانی", "operations and procedures"),
    "DocumentReference": ("اسناد پزشکی", "medical documents"),
    "CarePlan": ("برنامه‌های درمان", "care plans"),
    "Appointment": ("نوبت‌ها", "appointments"),
    "Slot": ("وقت‌های خالی", "free appointment times"),
    "Schedule": ("برنامهٔ حضور پزشکان", "doctors' schedules"),
    "ServiceRequest": ("درخواست‌های آزمایش و ارجاع", "test orders and referrals"),
    "Coverage": ("بیمه", "insurance cover"),
    "Claim": ("صورت‌حساب‌های بیمه", "insurance claims"),
    "ExplanationOfBenefit": ("سهم بیمه و پرداخت‌ها", "insurance payments"),
    "Consent": ("رضایت‌نامه‌ها", "consents"),
    "Questionnaire": ("پرسش‌نامه‌ها", "questionnaires"),
    "QuestionnaireResponse": ("پاسخ پرسش‌نامه‌ها", "answers to questionnaires"),
    "FamilyMemberHistory": ("پیشینهٔ بیماری در خانواده", "family history"),
    "Practitioner": ("مشخصات پزشکان و درمانگران", "doctors and other staff"),
    "Organization": ("مشخصات مراکز درمانی", "clinics and hospitals"),
    "Location": ("نشانی مراکز درمانی", "places of care"),
    "Communication": ("پیام‌ها", "messages"),
    "Task": ("کارهای در جریان", "work in progress"),
}
CATEGORIES: dict[str, tuple[str, str]] = {
    "laboratory": ("آزمایشگاه", "laboratory"),
    "vital-signs": ("علائم حیاتی", "vital signs"),
    "social-history": ("سبک زندگی", "lifestyle"),
    "imaging": ("تصویربرداری", "imaging"),
    "survey": ("پرسش‌نامه", "questionnaires"),
    "problem-list-item": ("بیماری‌های جاری", "current problems"),
    "encounter-diagnosis": ("تشخیص‌های مراجعه", "diagnoses at visits"),
    "health-concern": ("دغدغه‌های سلامت", "health concerns"),
}
VERBS = (
    (frozenset("rs"), "دیدن", "See"),
    (frozenset("c"), "افزودن به", "Add to"),
    (frozenset("u"), "تغییر دادن", "Change"),
    (frozenset("d"), "حذف کردن از", "Delete from"),
)
WHOSE = {
    "patient": ("", ""),
    "user": ("در همهٔ پرونده‌هایی که به آن‌ها دسترسی دارید", "in every record you have access to"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One switch of the consent screen. `scopes` go on and off together; `writes` marks what changes the record."""

    key: str
    scopes: tuple[str, ...]
    fa: str
    en: str
    note_fa: str = ""
    note_en: str = ""
    writes: bool = False


def _clinical(scope: Scope) -> Item:
    noun = NOUNS.get(scope.resource, (f"«{scope.resource}»", scope.resource))
    verbs = [(fa, en) for letters, fa, en in VERBS if letters & scope.permissions]
    fa = "، ".join(verb for verb, _ in verbs) + " " + noun[0]
    en = ", ".join(verb if not n else verb.lower() for n, (_, verb) in enumerate(verbs)) + " " + noun[1]
    categories = [value.rpartition("|")[2] for name, value in sorted(scope.query) if name == "category"]
    others = [f"{name}={value}" for name, value in sorted(scope.query) if name != "category"]
    if categories:
        fa += "؛ تنها بخش " + "، ".join(f"«{CATEGORIES.get(each, (each, each))[0]}»" for each in categories)
        en += ", only the part " + ", ".join(f"“{CATEGORIES.get(each, (each, each))[1]}”" for each in categories)
    if others:
        fa, en = f"{fa}؛ تنها آنچه {' و '.join(others)} باشد", f"{en}, only where {' and '.join(others)}"
    note = WHOSE.get(scope.context, ("", ""))
    return Item(scope.text, (scope.text,), fa, en, note[0], note[1], writes=bool(scope.permissions & set("cud")))


def items(requested: Sequence[str]) -> list[Item]:
    """The switches for `requested` scopes: data first, then identity, then how long. Launch scopes need no switch."""
    found = [_clinical(scope) for text in requested if (scope := scopes.parse(text)) is not None]
    identity = tuple(text for text in requested if text in scopes.OPENID)
    if identity:
        found.append(
            Item(
                "identity",
                identity,
                "دانستن اینکه شما کیستید",
                "Know who you are",
                "برنامه شناسهٔ شما را می‌بیند، نه گذرواژه‌تان را",
                "The app sees your identifier, never your password",
            )
        )
    if "offline_access" in requested:
        found.append(
            Item(
                "offline_access",
                ("offline_access",),
                "دسترسی ادامه‌دار، حتی وقتی از برنامه استفاده نمی‌کنید",
                "Keep this access even when you are not using the app",
                "حداکثر ۹۰ روز؛ هر زمان بخواهید می‌توانید آن را پس بگیرید",
                "At most 90 days; you can withdraw it at any time",
            )
        )
    elif "online_access" in requested:
        found.append(
            Item(
                "online_access",
                ("online_access",),
                "دسترسی تا وقتی که وارد هستید",
                "Access for as long as you are signed in",
                "حداکثر ۸ ساعت",
                "At most 8 hours",
            )
        )
    return found


def chosen_scopes(requested: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The requested scopes that stay on when the switches `keys` are on; launch context comes with any of them."""
    on = {scope for item in items(requested) if item.key in keys for scope in item.scopes}
    if not on:
        return []
    switchable = {scope for item in items(requested) for scope in item.scopes}
    return [scope for scope in requested if scope in on or scope not in switchable]
