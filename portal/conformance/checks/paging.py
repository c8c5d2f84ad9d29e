"""Search results come in pages: the client follows `next` as given, to the end (FHIR R4 http.html#paging)."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

PAGE_WORDS = ("page", "_page", "_getpages", "_getpagesoffset", "_offset", "ct", "cursor", "_cursor")
MOST_ROWS = 200


def _same(target: str, link: str) -> bool:
    """The same path and query, whatever host either carries."""
    left, right = urlsplit(target), urlsplit(link)
    tail = right.path.partition("/fhir/R4/")[2] or right.path.strip("/")
    own = left.path.partition("/fhir/R4/")[2] or left.path.strip("/")
    # Libraries write the same query in different escapes.
    same = parse_qsl(left.query, keep_blank_values=True) == parse_qsl(right.query, keep_blank_values=True)
    return unquote(own) == unquote(tail) and same


def _offered(recording: Recording) -> list[tuple[int, Call]]:
    return [
        (place, call)
        for place, call in enumerate(recording.calls)
        if call.interaction == "search" and call.ok and call.link("next")
    ]


def _answered_later(recording: Recording, place: int, link: str) -> bool:
    return any(_same(later.target, link) for later in recording.calls[place + 1 :])


@check("paging-to-the-end")
def paging_to_the_end(recording: Recording) -> Verdict:
    """When a run asks for the whole list, every `next` is followed until there is none."""
    wanted = recording.event("list-requested")
    offered = [(place, call) for place, call in _offered(recording) if wanted is None or call.at >= wanted.at]
    if not offered:
        return unseen(
            fa="پاسخی با پیوند next دیده نشد؛ فهرستی بلندتر از یک صفحه بخوانید.",
            en="No answer with a next link was seen; read a list longer than one page.",
        )
    left = [call for place, call in offered if not _answered_later(recording, place, call.link("next"))]
    if left:
        return failed(
            left,
            fa="پیوند next دنبال نشده و بخشی از فهرست خوانده نشده است.",
            en="A next link was not followed: part of the list was never read.",
        )
    return passed(call for _, call in offered)


@check("paging-by-link")
def paging_by_link(recording: Recording) -> Verdict:
    """Page addresses are opaque: a client that builds its own breaks with the next server version."""
    links = [call.link(name) for call in recording.calls for name in ("next", "previous", "first", "last")]
    paged = [call for call in recording.calls if any(call.where.values(word) for word in PAGE_WORDS)]
    if not paged:
        return unseen(fa="صفحهٔ دومی خوانده نشد.", en="No second page was read.")
    wrong = [call for call in paged if not any(link and _same(call.target, link) for link in links)]
    if wrong:
        return failed(
            wrong,
            fa="نشانی صفحه را خود برنامه ساخته است، نه پیوند پاسخ پیشین.",
            en="The app built the page address itself instead of taking the link of the answer before.",
        )
    return passed(paged)


@check("page-size")
def page_size(recording: Recording) -> Verdict:
    """A page of more than 200 rows is slow for everybody."""
    asked = [call for call in recording.of("search") if call.where.values("_count")]
    if not asked:
        return unseen(fa="جست‌وجویی با _count دیده نشد.", en="No search with _count was seen.")
    wrong = [
        call
        for call in asked
        if any(
            not value.isascii() or not value.isdigit() or int(value) > MOST_ROWS
            for value in call.where.values("_count")
        )
    ]
    if wrong:
        return failed(wrong, fa="‏_count بیش از ۲۰۰ است.", en="_count is more than 200.")
    return passed(asked)


PERSONAL_RECORDS = frozenset(
    {
        "Observation", "Condition", "AllergyIntolerance", "MedicationRequest", "MedicationDispense", "Immunization",
        "Procedure", "DiagnosticReport", "Encounter",
    }
)  # fmt: skip
BROAD = frozenset({"date", "status", "category", "code", "onset-date", "authoredon", "class", "type", "intent"})


def _narrows(kind: str, parameter: str) -> bool:
    """Whether a search parameter (with its modifier or chain) leaves less than everybody's records."""
    name = parameter.partition(":")[0].partition(".")[0]
    if name.startswith("_"):
        return name in ("_id", "_lastUpdated", "_has", "_list")
    return not (kind in PERSONAL_RECORDS and name in BROAD)


@check("selective-search")
def selective_search(recording: Recording) -> Verdict:
    """A search names a patient or another criterion: reading a whole type is not a use the programme serves.

    For records of a person's health a date, a status or a code alone is no criterion: it reads the whole population.
    """
    searches = [call for call in recording.of("search") if call.kind]
    if not searches:
        return unseen(fa="جست‌وجویی دیده نشد.", en="No search was seen.")
    free = [
        call
        for call in searches
        if not call.where.id
        and not any(call.where.values(word) for word in PAGE_WORDS)
        and not any(_narrows(call.kind, name) for name in [*(key for key, _ in call.where.query), *call.form])
    ]
    if free:
        return failed(free, fa="جست‌وجو بدون هیچ شرطی انجام شده است.", en="A search was made without any criterion.")
    return passed(searches)
