"""A Refused as an HTTP answer: OperationOutcome on FHIR paths, problem+json (RFC 9457) elsewhere, with the same header fields."""

from __future__ import annotations

from typing import Any

import orjson

from portal.gateway.headers import Headers
from portal.gateway.verdicts import QUOTA_EXCEEDED, Refused

IANA = "https://iana.org/assignments/http-problem-types#"
STANDARD = frozenset({QUOTA_EXCEEDED, "temporary-reduced-capacity"})
OWN = "urn:gozar:problem:"


def problem_type(code: str) -> str:
    """URI of a verdict's problem type."""
    return f"{IANA if code in STANDARD else OWN}{code}"


TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


def persian(accept_language: bytes) -> bool:
    """Whether Accept-Language (RFC 9110 §12.5.4) likes Persian better than English; English where nothing is asked for."""
    best: dict[str, float] = {"fa": 0.0, "en": 0.0}
    for place, choice in enumerate(accept_language.decode("latin-1").lower().split(",")):
        tag, _, weight = choice.strip().partition(";")
        language = tag.strip().partition("-")[0]
        name, _, value = weight.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if language in best:
            # Of two that are liked alike, the first is meant.
            best[language] = max(best[language], quality - place * 1e-6)
    return best["fa"] > best["en"]


def operation_outcome(refused: Refused, request_id: str, *, fa: bool = False) -> dict[str, Any]:
    """FHIR R4 OperationOutcome; the violated policies stand in `diagnostics`, the problem type in `details.coding`.

    `details.text` is in the language asked for, the other one beside it as FHIR's translation extension.
    """
    texts = f"{refused.title}: {refused.detail}", f"{refused.title_fa}: {refused.detail_fa}"
    text, other, language = (texts[1], texts[0], "en") if fa else (texts[0], texts[1], "fa")
    diagnostics = f"شمارهٔ درخواست {request_id}" if fa else f"request {request_id}"
    if refused.violated:
        named = "سقف‌های پرشده" if fa else "violated-policies"
        diagnostics = f"{named}: {', '.join(refused.violated)}; {diagnostics}"
    translation = {
        "url": TRANSLATION,
        "extension": [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": other}],
    }
    return {
        "resourceType": "OperationOutcome",
        "language": "fa" if fa else "en",
        "issue": [
            {
                "severity": "error",
                "code": refused.issue,
                "details": {
                    "coding": [{"system": "urn:gozar:problem", "code": refused.code}],
                    "text": text,
                    "_text": {"extension": [translation]},
                },
                "diagnostics": diagnostics,
            }
        ],
    }


def problem(refused: Refused, request_id: str, *, fa: bool = False) -> dict[str, Any]:
    """RFC 9457 problem details, with `violated-policies` where a limit refused; the Persian texts are always there."""
    body: dict[str, Any] = {
        "type": problem_type(refused.code),
        "title": refused.title_fa if fa else refused.title,
        "status": refused.status,
        "detail": refused.detail_fa if fa else refused.detail,
        "title_fa": refused.title_fa,
        "detail_fa": refused.detail_fa,
        "request-id": request_id,
    }
    if refused.violated:
        body["violated-policies"] = list(refused.violated)
    return body


def answer(
    refused: Refused, *, fhir: bool, request_id: str, extra: Headers, accept_language: bytes = b""
) -> tuple[int, Headers, bytes]:
    """Status, header fields and body of a refusal."""
    shape = operation_outcome if fhir else problem
    fa = persian(accept_language)
    body = orjson.dumps(shape(refused, request_id, fa=fa))
    kind = b"application/fhir+json; charset=utf-8" if fhir else b"application/problem+json"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-language", b"fa" if fa else b"en"),
        (b"vary", b"Accept-Language"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *extra,
        *refused.headers,
    ]
    if refused.retry_after:
        headers.append((b"retry-after", str(refused.retry_after).encode()))
    if refused.challenge:
        headers.append((b"www-authenticate", refused.challenge.encode("ascii", "replace")))
    if refused.allow:
        headers.append((b"allow", refused.allow.encode()))
    return refused.status, headers, body
