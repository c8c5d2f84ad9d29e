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


def operation_outcome(refused: Refused, request_id: str) -> dict[str, Any]:
    """FHIR R4 OperationOutcome; the violated policies stand in `diagnostics`, the problem type in `details.coding`."""
    diagnostics = f"request {request_id}"
    if refused.violated:
        diagnostics = f"violated-policies: {', '.join(refused.violated)}; {diagnostics}"
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": refused.issue,
                "details": {
                    "coding": [{"system": "urn:gozar:problem", "code": refused.code}],
                    "text": f"{refused.title}: {refused.detail}",
                },
                "diagnostics": diagnostics,
            }
        ],
    }


def problem(refused: Refused, request_id: str) -> dict[str, Any]:
    """RFC 9457 problem details, with `violated-policies` where a limit refused."""
    body: dict[str, Any] = {
        "type": problem_type(refused.code),
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
        "request-id": request_id,
    }
    if refused.violated:
        body["violated-policies"] = list(refused.violated)
    return body


def answer(refused: Refused, *, fhir: bool, request_id: str, extra: Headers) -> tuple[int, Headers, bytes]:
    """Status, header fields and body of a refusal."""
    shape = operation_outcome if fhir else problem
    body = orjson.dumps(shape(refused, request_id))
    kind = b"application/fhir+json; charset=utf-8" if fhir else b"application/problem+json"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
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
