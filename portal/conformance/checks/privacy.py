"""What must never stand in an address: addresses end in logs, histories and proxies."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus, urlsplit

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

FOLDED = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
# Ten digits standing alone have the shape of a national code; a mobile number has eleven.
NATIONAL_CODE = re.compile(r"(?<!\d)\d{3}-?\d{6}-?\d(?!\d)")
MOBILE = re.compile(r"(?<!\d)(?:0|\+98|0098)9\d{9}(?!\d)")
PERSONAL = ("name", "family", "given", "phone", "telecom", "email", "address", "address-city", "address-postalcode")
NOTHING = {"fa": "هیچ فراخوانی دیده نشد.", "en": "No call was seen."}


# Ids that machines make hold runs of digits by chance.
MACHINE_MADE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}")


def _plain(call: Call) -> str:
    return MACHINE_MADE.sub("-", unquote_plus(unquote_plus(call.target)).translate(FOLDED))


def _links(recording: Recording) -> set[str]:
    """Path and query of every page that an answer offered: what stands there is the server's choice. `self` echoes the App's."""
    relations = ("next", "previous")
    found = (urlsplit(call.link(name)) for call in recording.calls for name in relations if call.link(name))
    return {_relative(parts.path, parts.query) for parts in found}


def _relative(path: str, query: str) -> str:
    """Path and query below the FHIR base."""
    return f"{path.partition('/fhir/R4/')[2] or path.lstrip('/')}?{query}"


@check("no-national-code-in-url")
def no_national_code_in_url(recording: Recording) -> Verdict:
    """Ten lone digits anywhere in path or query."""
    if not recording.calls:
        return unseen(**NOTHING)
    given = _links(recording)
    wrong = [
        call
        for call in recording.calls
        if NATIONAL_CODE.search(_plain(call)) and _relative(*urlsplit(call.target)[2:4]) not in given
    ]
    if wrong:
        return failed(
            wrong, fa="کد ملی در نشانی درخواست آمده است.", en="A national code stands in the request address."
        )
    return passed(recording.calls)


@check("no-contact-in-url")
def no_contact_in_url(recording: Recording) -> Verdict:
    """A mobile number anywhere, or a search for Patients by name, telephone or address with GET."""
    if not recording.calls:
        return unseen(**NOTHING)
    wrong = [
        call
        for call in recording.calls
        if MOBILE.search(_plain(call)) or (call.kind == "Patient" and any(call.where.values(name) for name in PERSONAL))
    ]
    if wrong:
        return failed(
            wrong,
            fa="نام، نشانی یا شمارهٔ تلفن بیمار در نشانی درخواست آمده است.",
            en="A patient's name, address or telephone number stands in the request address.",
        )
    return passed(recording.calls)


@check("no-token-in-url")
def no_token_in_url(recording: Recording) -> Verdict:
    """RFC 6750 §5.3: bearer tokens travel in the Authorization field only."""
    if not recording.calls:
        return unseen(**NOTHING)
    wrong = [call for call in recording.calls if any(key in ("access_token", "token") for key, _ in call.where.query)]
    if wrong:
        return failed(wrong, fa="توکن در نشانی درخواست آمده است.", en="A token stands in the request address.")
    return passed(recording.calls)


@check("identity-by-search")
def identity_by_search(recording: Recording) -> Verdict:
    """A Patient is matched by identifier in a body: `POST Patient/_search` (FHIR R4 http.html#search-post) or `Patient/$match`."""
    matched = [
        call
        for call in recording.of("search", kind="Patient")
        if call.method == "POST" and call.ok and "identifier" in {key.partition(":")[0] for key in call.form}
    ]
    matched += [
        call
        for call in recording.of("operation", kind="Patient")
        if call.method == "POST" and call.ok and call.where.operation == "$match"
    ]
    if matched:
        return passed(matched)
    return unseen(
        fa="جست‌وجوی بیمار با شناسه در بدنهٔ POST Patient/_search دیده نشد.",
        en="No search for a patient by identifier in the body of POST Patient/_search was seen.",
    )


@check("identifier-has-system")
def identifier_has_system(recording: Recording) -> Verdict:
    """A bare number matches anybody's chart number: searches by identifier name the system (`system|value`)."""
    searches = [
        (call, value)
        for call in recording.of("search")
        for name, values in [*call.form.items(), *((key, [value]) for key, value in call.where.query)]
        if name.partition(":")[0] in ("identifier", "patient.identifier", "subject.identifier")
        for value in values
    ]
    if not searches:
        return unseen(fa="جست‌وجو با شناسه دیده نشد.", en="No search by identifier was seen.")
    wrong = [call for call, value in searches if "|" not in value or value.startswith("|")]
    if wrong:
        return failed(
            wrong, fa="شناسه بدون system جست‌وجو شده است.", en="An identifier was searched without its system."
        )
    return passed(call for call, _ in searches)
