"""The Personas: named, documented test patients with stable ids, the same in every Tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.workflows import consent, persona_care
from sandbox.workflows.codes import ACT_CODE, CATEGORY, LOINC, NATIONAL, Resource, concept
from sandbox.workflows.persona_parts import (
    allergy,
    condition,
    coverage,
    lab,
    medication,
    meta,
    patient,
    pressure,
    vaccine,
    visit,
)
from sandbox.workflows.records import pointer


@dataclass(frozen=True, slots=True)
class Persona:
    """One test patient: what it is for, in both languages, and its resources (the Patient first)."""

    id: str
    en: str
    fa: str
    resources: tuple[Resource, ...]


def _consent(rid: str, status: str, provision: Resource, end: str = "") -> Resource:
    return {
        "resourceType": "Consent",
        "id": f"persona-{rid}-consent",
        "meta": meta(),
        "status": status,
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(LOINC, "59284-0", "Patient Consent"), concept(CATEGORY, consent.GRANT)],
        "patient": pointer(f"Patient/persona-{rid}"),
        "dateTime": "2026-01-10",
        "policyRule": concept(ACT_CODE, "OPTIN"),
        "provision": provision | ({"period": {"end": end}} if end else {}),
    }


def _denied(*names: str) -> Resource:
    assert set(names) <= set(consent.CATEGORIES)  # noqa: S101  a misspelt category would withhold nothing
    return {"type": "deny", "class": [{"system": CATEGORY, "code": name} for name in names]}


def _people() -> Iterator[Persona]:
    def one(rid: str, en: str, fa: str, *resources: Resource) -> Persona:
        return Persona(f"persona-{rid}", en, fa, resources)

    yield one(
        "healthy",
        "Healthy adult with active insurance: the first patient to try anything on",
        "بزرگسال سالم با بیمهٔ فعال؛ نخستین بیمار برای هر آزمون",
        patient("healthy", 1, "سارا", "محمدی", "female", "1991-07-14"),
        coverage("healthy"),
        pressure("healthy", 118, 76, "2026-09-12"),
        visit("healthy", 1, "2026-09-12", "معاینهٔ دوره‌ای"),
    )
    yield one(
        "elderly",
        "Multi-morbid elderly man: diabetes, hypertension, ischaemic heart disease, kidney disease, eight drugs",
        "سالمند با چند بیماری هم‌زمان و هشت دارو",
        patient("elderly", 2, "غلامرضا", "کریمی", "male", "1944-02-03"),
        coverage("elderly"),
        condition("elderly", "E11.9", "دیابت نوع ۲", "2005-04-01"),
        condition("elderly", "I10", "فشار خون بالا", "2001-06-01"),
        condition("elderly", "I25.9", "بیماری ایسکمیک قلب", "2014-11-20"),
        condition("elderly", "N18.3", "بیماری مزمن کلیه، مرحلهٔ ۳", "2021-02-11"),
        *(
            medication("elderly", drug, daily)
            for drug, daily in (
                ("metformin", 2),
                ("losartan", 2),
                ("amlodipine", 1),
                ("aspirin", 1),
                ("atorvastatin", 1),
                ("metoprolol", 2),
                ("pantoprazole", 1),
                ("nitroglycerin", 2),
            )
        ),
        lab("elderly", "4548-4", 7.9, "2026-08-30"),
        lab("elderly", "2160-0", 1.8, "2026-08-30"),
        lab("elderly", "2823-3", 5.0, "2026-08-30"),
        pressure("elderly", 148, 82, "2026-10-01"),
        visit("elderly", 1, "2026-10-01", "پیگیری بیماری‌های مزمن"),
    )
    yield one(
        "infant",
        "Infant of six months, vaccinated up to four months: the next doses are due",
        "شیرخوار شش‌ماهه؛ واکسن‌ها تا چهارماهگی زده شده و نوبت بعدی رسیده است",
        patient("infant", 3, "نیلا", "رضایی", "female", "2026-05-10"),
        coverage("infant", "2026-05-10"),
        vaccine("infant", "19", "BCG", "2026-05-10", 1),
        vaccine("infant", "08", "Hepatitis B", "2026-05-10", 1),
        vaccine("infant", "02", "OPV", "2026-07-11", 1),
        vaccine("infant", "133", "PCV", "2026-07-11", 1),
        vaccine("infant", "02", "OPV", "2026-09-12", 2),
        vaccine("infant", "133", "PCV", "2026-09-12", 2),
    )
    yield one(
        "pregnant",
        "Pregnant in the second trimester: drugs of category D and X are blocked",
        "باردار در سه‌ماههٔ دوم؛ داروهای ردهٔ D و X مسدود می‌شود",
        patient("pregnant", 4, "مریم", "حسینی", "female", "1997-11-21"),
        coverage("pregnant"),
        condition("pregnant", "Z34.8", "بارداری", "2026-07-05"),
        medication("pregnant", "folic-acid", 1),
        medication("pregnant", "ferrous-sulfate", 1),
        lab("pregnant", "718-7", 11.4, "2026-10-20"),
        pressure("pregnant", 112, 70, "2026-10-20"),
    )
    yield one(
        "thalassaemia",
        "Thalassaemia major with iron overload, on deferasirox (prior authorisation)",
        "تالاسمی ماژور با افزایش بار آهن؛ دفراسیروکس با تأیید پیشین بیمه",
        patient("thalassaemia", 5, "امیرحسین", "قاسمی", "male", "2008-03-17"),
        coverage("thalassaemia"),
        condition("thalassaemia", "D56.1", "تالاسمی ماژور", "2009-01-15"),
        medication("thalassaemia", "deferasirox", 2),
        *(lab("thalassaemia", "718-7", 8.1 + n / 10, f"2026-0{n + 1}-12", f"-{n}") for n in range(9)),
        lab("thalassaemia", "2276-4", 2450, "2026-09-12"),
    )
    yield one(
        "diabetic-child",
        "Child with type 1 diabetes on basal and bolus insulin",
        "کودک مبتلا به دیابت نوع ۱ با انسولین پایه و وعده‌ای",
        patient("diabetic-child", 6, "پارسا", "نوری", "male", "2016-08-25"),
        coverage("diabetic-child"),
        condition("diabetic-child", "E10.9", "دیابت نوع ۱", "2023-02-14"),
        medication("diabetic-child", "insulin-glargine", 1),
        medication("diabetic-child", "insulin-aspart", 3),
        lab("diabetic-child", "4548-4", 8.6, "2026-09-01"),
    )
    yield one(
        "interaction-trap",
        "On warfarin: ibuprofen, metronidazole and others must raise an interaction",
        "وارفارین مصرف می‌کند؛ ایبوپروفن و مترونیدازول باید هشدار تداخل بدهد",
        patient("interaction-trap", 7, "ناصر", "جعفری", "male", "1958-05-30"),
        coverage("interaction-trap"),
        condition("interaction-trap", "I48.9", "فیبریلاسیون دهلیزی", "2019-10-10"),
        medication("interaction-trap", "warfarin", 1),
        lab("interaction-trap", "6301-6", 2.6, "2026-10-05"),
    )
    yield one(
        "allergy-trap",
        "Allergic to penicillins: amoxicillin and co-amoxiclav must be blocked",
        "حساسیت به پنی‌سیلین؛ آموکسی‌سیلین و کوآموکسی‌کلاو باید مسدود شود",
        patient("allergy-trap", 8, "زهرا", "صادقی", "female", "1989-12-02"),
        coverage("allergy-trap"),
        allergy("allergy-trap", "penicillin", "Penicillin"),
    )
    yield one(
        "duplicate-trap",
        "On valsartan and sertraline: a second drug of either group is duplicate therapy",
        "والسارتان و سرترالین مصرف می‌کند؛ داروی دوم از همان گروه درمان تکراری است",
        patient("duplicate-trap", 9, "فاطمه", "اکبری", "female", "1969-09-09"),
        coverage("duplicate-trap"),
        condition("duplicate-trap", "I10", "فشار خون بالا", "2012-01-01"),
        medication("duplicate-trap", "valsartan", 1),
        medication("duplicate-trap", "sertraline", 1),
    )
    yield from _private()
    yield from _identity()
    yield from _others()


def _private() -> Iterator[Persona]:
    """Personas of the consent and access record."""
    yield Persona(
        "persona-withheld",
        "Withholds everything from every App: reads and searches find nothing but emergency access does",
        "همه چیز را از همهٔ برنامه‌ها دریغ کرده است؛ تنها دسترسی اضطراری می‌بیند",
        (
            patient("withheld", 10, "الهام", "موسوی", "female", "1985-04-18"),
            condition("withheld", "F32.1", "افسردگی متوسط", "2022-03-03", "PSY"),
            _consent("withheld", "active", {"type": "deny"}),
        ),
    )
    yield Persona(
        "persona-partial-consent",
        "Lets Apps see all but laboratory results and mental health",
        "جز نتایج آزمایش و سلامت روان، همه را مجاز کرده است",
        (
            patient("partial-consent", 11, "کاوه", "شریفی", "male", "1979-01-27"),
            coverage("partial-consent"),
            condition("partial-consent", "I10", "فشار خون بالا", "2018-01-01"),
            condition("partial-consent", "F41.1", "اضطراب فراگیر", "2021-07-07", "PSY"),
            lab("partial-consent", "2093-3", 214, "2026-06-15"),
            _consent(
                "partial-consent",
                "active",
                {"type": "permit", "provision": [_denied("laboratory", "mental-health")]},
            ),
        ),
    )
    yield Persona(
        "persona-revoked",
        "Had consented and took it back: Apps see nothing until asked and granted anew",
        "رضایت داده و پس گرفته است؛ تا رضایت تازه چیزی دیده نمی‌شود",
        (
            patient("revoked", 12, "آرش", "بهرامی", "male", "1993-06-06"),
            lab("revoked", "1558-6", 92, "2026-05-05"),
            _consent("revoked", "inactive", {"type": "permit"}),
        ),
    )
    yield Persona(
        "persona-sensitive",
        "No Consent on record, but resources labelled for mental health (PSY) and HIV",
        "بدون رضایت‌نامه، با منابع دارای برچسب حساسیت (PSY و HIV)",
        (
            patient("sensitive", 13, "رویا", "کاظمی", "female", "1987-10-30"),
            condition("sensitive", "F33.0", "افسردگی عودکننده", "2020-02-02", "PSY"),
            condition("sensitive", "B24", "عفونت اچ‌آی‌وی", "2021-03-03", "HIV"),
            medication("sensitive", "sertraline", 1, "2026-09-01", "PSY"),
        ),
    )


def _identity() -> Iterator[Persona]:
    """Personas that try the matching of people."""
    yield Persona(
        "persona-deceased",
        "Died: booking and prescribing for him make no sense, his record stays",
        "درگذشته؛ نوبت و نسخه برای او معنا ندارد و پرونده می‌ماند",
        (
            patient(
                "deceased", 14, "حبیب", "رستمی", "male", "1939-08-08", deceasedDateTime="2026-03-01T04:20:00+03:30"
            ),
            condition("deceased", "I21.9", "سکتهٔ قلبی", "2026-02-27"),
        ),
    )
    link = [{"other": pointer("Patient/persona-merged"), "type": "replaces"}]
    yield Persona(
        "persona-survivor",
        "The record that stands after a merge; Patient.link names the one it replaces",
        "پرونده‌ای که پس از ادغام مانده است",
        (patient("survivor", 15, "لیلا", "فرهادی", "female", "1982-02-14", link=link), coverage("survivor")),
    )
    gone = [{"other": pointer("Patient/persona-survivor"), "type": "replaced-by"}]
    yield Persona(
        "persona-merged",
        "The duplicate that was merged away: inactive, replaced by persona-survivor",
        "پروندهٔ تکراری که ادغام شده و غیرفعال است",
        (patient("merged", 16, "ليلا", "فرهادي", "female", "1982-02-14", active=False, link=gone),),
    )
    passport = {"identifier": [{"system": f"{NATIONAL}/sid/passport", "value": "SBX-P-000017"}]}
    yield Persona(
        "persona-foreign",
        "Foreign national: passport, no national code",
        "تبعهٔ خارجی با گذرنامه و بدون کد ملی",
        (patient("foreign", 0, "Zarmina", "Ahmadzai", "female", "1999-05-23", **passport),),
    )
    yield Persona(
        "persona-letters",
        "Name with Arabic letters (ي، ك) and a half-space: found with Persian letters too",
        "نام با حروف عربی (ي، ك) و نیم‌فاصله؛ با حروف فارسی هم یافت می‌شود",
        (patient("letters", 18, "علي‌اكبر", "كيانی‌فر", "male", "1975-03-21"),),
    )
    for number, (rid, given) in enumerate((("twin-a", "آوا"), ("twin-b", "آیلا")), 19):
        yield Persona(
            f"persona-{rid}",
            "One of twins: same birth date, family name and address; only the national code tells them apart",
            "یکی از دوقلوها؛ تنها کد ملی آن دو را از هم جدا می‌کند",
            (patient(rid, number, given, "سلطانی", "female", "2019-12-12"), coverage(rid)),
        )
    yield Persona(
        "persona-year-only",
        "Birth date known to the year only",
        "تنها سال تولد معلوم است",
        (patient("year-only", 21, "گل‌بانو", "مرادی", "female", "1951"),),
    )


def _others() -> Iterator[Persona]:
    long = [
        lab("long-record", "2345-7", 90 + n % 60, f"{2008 + n // 24}-{n % 12 + 1:02d}-10", f"-{n}") for n in range(400)
    ]
    visits = [visit("long-record", n, f"{2008 + n // 12}-{n % 12 + 1:02d}-10", "پیگیری") for n in range(200)]
    yield Persona(
        "persona-long-record",
        "Very long record: 600 resources over 17 years, for paging and $everything",
        "پروندهٔ بسیار بلند با ۶۰۰ منبع، برای صفحه‌بندی و $everything",
        (
            patient("long-record", 22, "محمدجواد", "طاهری", "male", "1961-11-11"),
            coverage("long-record"),
            *long,
            *visits,
        ),
    )
    yield Persona(
        "persona-insurer-expired",
        "Insurance ended last year: claims pay nothing, the prescription check warns",
        "بیمه سال گذشته پایان یافته؛ مطالبه پرداخت نمی‌شود",
        (
            patient("insurer-expired", 23, "بهروز", "امینی", "male", "1990-09-19"),
            coverage("insurer-expired", "2020-03-20", "2025-03-20"),
        ),
    )
    yield Persona(
        "persona-uninsured",
        "Never insured",
        "بدون بیمه",
        (patient("uninsured", 24, "شیرین", "عباسی", "female", "2001-01-31"),),
    )
    yield Persona(
        "persona-asthma-child",
        "Child with asthma: propranolol and NSAIDs are a bad idea",
        "کودک مبتلا به آسم",
        (
            patient("asthma-child", 25, "رادین", "یوسفی", "male", "2014-04-04"),
            coverage("asthma-child"),
            condition("asthma-child", "J45.9", "آسم", "2019-10-01"),
            medication("asthma-child", "salbutamol", 2),
        ),
    )
    yield Persona(
        "persona-cancer",
        "Breast cancer on tamoxifen: fluoxetine weakens it",
        "سرطان پستان با تاموکسیفن؛ فلوکستین اثر آن را کم می‌کند",
        (
            patient("cancer", 26, "پروین", "ملکی", "female", "1968-07-02"),
            coverage("cancer"),
            condition("cancer", "C50.9", "سرطان پستان", "2024-05-20"),
            medication("cancer", "tamoxifen", 1),
        ),
    )


PERSONAS: Final = tuple(_people())


def resources() -> Iterator[Resource]:
    """Everything of all Personas, in an order in which references point backwards only (merged links apart)."""
    yield from persona_care.infrastructure()
    for persona in PERSONAS:
        yield from persona.resources
    yield from persona_care.cohorts()
