"""The table of search features in `reference/search.md`, both languages, each row with the tests that hold it.

`python docs/search_features.py` writes it into the pages; a test fails when a page differs, or when a named test does not exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- features -->", "<!-- /features -->"


class Feature(NamedTuple):
    """What it is in English and Persian, what the exchange does, and the tests (module of tests/sandbox and function)."""

    en: str
    fa: str
    answer: str
    tests: tuple[str, ...]


YES, BOUNDED = "supported", "bounded"
_P, _S, _L, _N = (
    "search/test_parameters",
    "search/test_specification",
    "search/test_limits",
    "security/test_nothing_escapes",
)
FEATURES = (
    Feature(
        "string: start of the text; Persian and Arabic letters, digits, diacritics, tatweel and half-spaces alike",
        "رشته: آغاز متن؛ حروف عربی و فارسی، رقم‌ها، اعراب، کشیده و نیم‌فاصله یکسان شمرده می‌شوند",
        YES,
        (f"{_S}::test_strings_fold_and_tokens_match_whole",),
    ),
    Feature(
        "string `:exact`, `:contains`",
        "رشته `:exact` و `:contains`",
        YES,
        (f"{_S}::test_strings_fold_and_tokens_match_whole",),
    ),
    Feature(
        "escapes `\\,` `\\|` `\\$` `\\\\`; alternatives by comma, repetition means and",
        "گریز `\\,` `\\|` `\\$` `\\\\`؛ ویرگول یعنی «یا» و تکرار پارامتر یعنی «و»",
        YES,
        (f"{_S}::test_strings_fold_and_tokens_match_whole",),
    ),
    Feature(
        "token: `code`, `system\\|code`, `\\|code`, `system\\|`",
        "کد: `code`، `system\\|code`، `\\|code`، `system\\|`",
        YES,
        (f"{_S}::test_strings_fold_and_tokens_match_whole", f"{_P}::test_finds_exactly"),
    ),
    Feature(
        "token `:not` (absent values count), `:text`, `:of-type`",
        "کد `:not` (نبودِ مقدار هم شمرده می‌شود)، `:text`، `:of-type`",
        YES,
        (f"{_P}::test_finds_exactly", f"{_S}::test_strings_fold_and_tokens_match_whole"),
    ),
    Feature(
        "token `:in`, `:not-in`: shipped value sets and the Tenant's own, by URL or `ValueSet/id`",
        "کد `:in` و `:not-in`: مجموعه‌مقدارهای همراه و از آنِ فضای آزمایشی، با نشانی یا `ValueSet/id`",
        YES,
        (
            f"{_S}::test_value_sets_and_hierarchies_shipped_and_own",
            f"{_S}::test_a_chain_reaches_a_value_set_of_the_tenant",
        ),
    ),
    Feature(
        "token `:above`, `:below`: shipped and own code systems, ICD-10 and ATC by the spelling of their codes",
        "کد `:above` و `:below`: سامانه‌های همراه و از آنِ فضا؛ ICD-10 و ATC از روی نوشتار کد",
        YES,
        (f"{_S}::test_value_sets_and_hierarchies_shipped_and_own",),
    ),
    Feature(
        "reference: id, Type/id, versioned, absolute, `:Type`, `:identifier`",
        "ارجاع: شناسه، Type/id، نسخه‌دار، نشانی کامل، `:Type`، `:identifier`",
        YES,
        (f"{_S}::test_references_chains_and_includes", f"{_P}::test_finds_exactly"),
    ),
    Feature(
        "date: eq ne gt lt ge le sa eb ap, any precision, time zones, Period and Timing",
        "تاریخ: eq ne gt lt ge le sa eb ap، هر دقت، منطقهٔ زمانی، Period و Timing",
        YES,
        (f"{_S}::test_date_prefixes_and_precisions", f"{_P}::test_finds_exactly"),
    ),
    Feature(
        "Jalali dates",
        "تاریخ شمسی",
        "refused, 400 with the Gregorian form",
        (f"{_S}::test_what_has_no_meaning_is_refused_with_the_parameters_name",),
    ),
    Feature(
        "number, quantity: prefixes, implied precision, units, UCUM conversion",
        "عدد و کمیت: پیشوند، دقت ضمنی، یکا، تبدیل UCUM",
        YES,
        (f"{_S}::test_quantity_prefixes_precisions_and_units", f"{_P}::test_finds_exactly"),
    ),
    Feature("uri, `:above`, `:below`", "uri، `:above`، `:below`", YES, (f"{_P}::test_finds_exactly",)),
    Feature("composite", "پارامتر مرکب", YES, (f"{_P}::test_finds_exactly",)),
    Feature(
        "`near` on Location: latitude\\|longitude\\|distance\\|unit, great-circle, 50 km unless told",
        "`near` برای Location: عرض\\|طول\\|فاصله\\|یکا، کمان دایرهٔ عظیمه، پیش‌فرض ۵۰ کیلومتر",
        YES,
        (f"{_S}::test_near_finds_places_within_the_distance",),
    ),
    Feature("`:missing`", "`:missing`", YES, (f"{_P}::test_finds_exactly",)),
    Feature(
        "chaining, up to four links, `:Type`",
        "زنجیره تا چهار حلقه، `:Type`",
        YES,
        (f"{_S}::test_references_chains_and_includes", f"{_P}::test_what_cannot_be_understood_is_400"),
    ),
    Feature("`_has`, nested", "`_has`، تودرتو", YES, (f"{_S}::test_references_chains_and_includes",)),
    Feature(
        "`_id`, `_lastUpdated`, `_tag`, `_security`, `_profile`, `_source`",
        "`_id`، `_lastUpdated`، `_tag`، `_security`، `_profile`، `_source`",
        YES,
        (f"{_P}::test_finds_exactly",),
    ),
    Feature(
        "`_list` with a List's id", "`_list` با شناسهٔ List", YES, (f"{_S}::test_strings_fold_and_tokens_match_whole",)
    ),
    Feature(
        "`_text`, `_content`: read from bodies, within the time limit",
        "`_text` و `_content`: از متن منابع، در مهلت زمانی",
        YES,
        (f"{_P}::test_finds_exactly",),
    ),
    Feature(
        "`_sort`, up to five keys, missing values last; across types `_id` and `_lastUpdated`",
        "`_sort` تا پنج کلید، مقدارهای نبوده در پایان؛ میان نوع‌ها `_id` و `_lastUpdated`",
        YES,
        (f"{_P}::test_sorts_and_pages_in_that_order", f"{_S}::test_sorts_with_missing_values_last"),
    ),
    Feature(
        "`_count` to 1000 (or `_maxresults`), `_count=0`; links opaque, signed (`_cursor`), of one Tenant, for one hour",
        "`_count` تا ۱۰۰۰ (یا `_maxresults`)، `_count=0`؛ پیوندها مبهم و امضاشده (`_cursor`)، ویژهٔ یک فضا، یک ساعت",
        YES,
        (
            f"{_P}::test_a_cursor_serves_no_other_tenant_and_no_other_question",
            f"{_P}::test_pages_go_back_the_way_they_came",
            f"{_S}::test_pages_hold_while_others_write",
            f"{_S}::test_a_page_link_expires_and_cannot_be_changed",
        ),
    ),
    Feature(
        "`_total`: none, estimate, accurate; by default when it is cheap",
        "`_total`: none، estimate، accurate؛ در نبود آن وقتی ارزان است",
        YES,
        (f"{_P}::test_totals_and_counts",),
    ),
    Feature(
        "`_include`, `_revinclude`, `:iterate` (`:recurse`), `*`; 1000 resources at most",
        "`_include`، `_revinclude`، `:iterate` (و `:recurse`)، `*`؛ حداکثر ۱۰۰۰ منبع",
        BOUNDED,
        (
            f"{_P}::test_includes_bring_what_is_referred_to_and_what_refers",
            f"{_S}::test_references_chains_and_includes",
        ),
    ),
    Feature(
        "`_summary`, `_elements`, tagged SUBSETTED",
        "`_summary` و `_elements`، با برچسب SUBSETTED",
        YES,
        (f"{_P}::test_summary_and_elements_show_parts_and_say_so",),
    ),
    Feature(
        "`POST _search`, with the URL's parameters too",
        "`POST _search`، همراه با پارامترهای نشانی",
        YES,
        (f"{_P}::test_post_search_finds_the_same", f"{_S}::test_a_compartment_is_searched_by_post_too"),
    ),
    Feature(
        "compartments, `*`, system-wide `_type`",
        "محدوده‌ها (compartment)، `*`، و `_type` در همهٔ نوع‌ها",
        YES,
        (f"{_S}::test_references_chains_and_includes", f"{_P}::test_finds_exactly"),
    ),
    Feature(
        "`_format`, `_pretty`",
        "`_format` و `_pretty`",
        YES,
        ("exchange/test_xml::test_the_capability_statement_names_both_formats",),
    ),
    Feature(
        "`Prefer: handling=lenient` ignores unknown parameters and says so",
        "`Prefer: handling=lenient` ناشناخته‌ها را کنار می‌گذارد و می‌گوید",
        YES,
        (f"{_P}::test_lenient_handling_ignores_and_says_so",),
    ),
    Feature(
        "unknown parameters and modifiers, malformed values",
        "پارامتر و تغییردهندهٔ ناشناخته، مقدار بدشکل",
        "refused, 400",
        (
            f"{_S}::test_what_has_no_meaning_is_refused_with_the_parameters_name",
            f"{_P}::test_what_cannot_be_understood_is_400",
        ),
    ),
    Feature(
        "`_contained`, `_containedType`, functional lists (`_list=$current-problems`)",
        "`_contained`، `_containedType`، فهرست‌های کارکردی (`_list=$current-problems`)",
        "refused, 501",
        (f"{_S}::test_what_is_not_supported_says_so",),
    ),
    Feature(
        "`_filter`, `_query`",
        "`_filter` و `_query`",
        "refused, 400",
        (f"{_S}::test_what_has_no_meaning_is_refused_with_the_parameters_name",),
    ),
    Feature(
        "scopes, compartments and consent on every way in",
        "دامنه، محدوده و رضایت در همهٔ راه‌ها",
        "held in SQL",
        (
            f"{_N}::test_a_search_gives_what_the_owner_gets_less_what_is_out_of_reach",
            f"{_N}::test_chains_and_includes_find_nothing_out_of_reach",
            f"{_N}::test_consent_withholds_on_every_way",
        ),
    ),
)
_ANSWERS = {
    "supported": "پشتیبانی می‌شود",
    "bounded": "پشتیبانی می‌شود، با کران",
    "refused, 400 with the Gregorian form": "رد می‌شود، ۴۰۰ همراه با شکل میلادی",
    "refused, 400": "رد می‌شود، ۴۰۰",
    "refused, 501": "رد می‌شود، ۵۰۱",
    "held in SQL": "در خود پرس‌وجوی پایگاه داده",
}
_HEADS = {"en": ("Feature", "Test (`tests/sandbox/`)"), "fa": ("امکان", "آزمون (`tests/sandbox/`)")}


def table(language: str) -> str:
    """The table as Markdown."""
    head, test = _HEADS[language]
    rows = [f"| {head} | | {test} |", "|---|---|---|"]
    for feature in FEATURES:
        text, answer = (feature.en, feature.answer) if language == "en" else (feature.fa, _ANSWERS[feature.answer])
        tests = "<br>".join(f"`{name.replace('::', '.py::')}`" for name in feature.tests)
        rows.append(f"| {text} | {answer} | {tests} |")
    return "\n".join(rows)


def page(text: str, language: str) -> str:
    """The page with its table renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(language)}\n\n{END}{after}"


if __name__ == "__main__":
    for own in ("en", "fa"):
        path = HERE / own / "reference" / "search.md"
        path.write_text(page(path.read_text(encoding="utf-8"), own), encoding="utf-8")
