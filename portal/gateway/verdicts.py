"""One verdict for each call. Body, header fields, request log, metrics and portal all show this same value."""

from __future__ import annotations

from dataclasses import dataclass

from portal.conformance.rehearsals import Fault


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call was not forwarded (or could not be answered). `code` is stable; `issue` is the FHIR IssueType code."""

    status: int
    code: str
    issue: str
    title: str
    detail: str
    retry_after: int = 0
    violated: tuple[str, ...] = ()
    challenge: str = ""
    allow: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


ADMITTED = "admitted"
QUOTA_EXCEEDED = "quota-exceeded"


def bad_request(detail: str) -> Refused:
    return Refused(400, "bad-request", "invalid", "The request cannot be forwarded", detail)


def preflight(headers: list[tuple[bytes, bytes]]) -> Refused:
    """The answer to a CORS preflight: nothing is forwarded, nothing was wrong."""
    return Refused(204, "preflight", "informational", "Preflight", "", headers=tuple(headers))


def not_found(detail: str) -> Refused:
    return Refused(404, "not-found", "not-found", "There is no such thing here", detail)


def method_not_allowed(allow: str) -> Refused:
    return Refused(
        405, "method-not-allowed", "not-supported", "Method not allowed", f"This path answers: {allow}", allow=allow
    )


def too_large(limit: int) -> Refused:
    return Refused(413, "body-too-large", "too-long", "The body is too large", f"A body may have at most {limit} bytes")


def uri_too_long(limit: int) -> Refused:
    return Refused(414, "uri-too-long", "too-long", "The address is too long", f"Path and query may have {limit} bytes")


def headers_too_large(limit: int) -> Refused:
    return Refused(
        431, "headers-too-large", "too-long", "The header is too large", f"Fields may have {limit} bytes in all"
    )


def unauthenticated(realm: str, detail: str, *, error: str = "", expired: bool = False) -> Refused:
    """401 with a Bearer challenge (RFC 6750 §3); without credentials the challenge carries no error code."""
    challenge = f'Bearer realm="{realm}"'
    if error:
        challenge += f', error="{error}", error_description="{detail}"'
    code = "token-expired" if expired else ("invalid-token" if error else "token-missing")
    issue = "expired" if expired else "login"
    return Refused(401, code, issue, "A valid access token is needed", detail, challenge=challenge)


def forbidden(code: str, title: str, detail: str) -> Refused:
    return Refused(403, code, "forbidden", title, detail)


def insufficient_scope(realm: str, needed: str, detail: str) -> Refused:
    """403 naming a scope that would do (RFC 6750 §3.1)."""
    challenge = f'Bearer realm="{realm}", error="insufficient_scope", error_description="{detail}", scope="{needed}"'
    return Refused(403, "insufficient-scope", "forbidden", "The scope is not enough", detail, challenge=challenge)


def over_limit(detail: str, *, violated: tuple[str, ...], retry_after: int) -> Refused:
    """429: a RateLimit or Quota is used up (draft-ietf-httpapi-ratelimit-headers-11 §5, problem type quota-exceeded)."""
    return Refused(
        429,
        QUOTA_EXCEEDED,
        "throttled",
        "Request cannot be satisfied as assigned quota has been exceeded",
        detail,
        retry_after=retry_after,
        violated=violated,
    )


def unavailable(detail: str, *, retry_after: int = 1, code: str = "temporary-reduced-capacity") -> Refused:
    return Refused(
        503,
        code,
        "transient",
        "Request cannot be satisfied due to temporary server capacity constraints",
        detail,
        retry_after=retry_after,
    )


def bad_gateway(detail: str) -> Refused:
    return Refused(502, "upstream-failed", "transient", "The service behind the gateway failed", detail)


def gateway_timeout(detail: str) -> Refused:
    return Refused(504, "upstream-timeout", "timeout", "The service behind the gateway did not answer in time", detail)


def rehearsed(fault: Fault, realm: str) -> Refused:
    """A refusal that a conformance run ordered: in everything but its detail the same as a real one."""
    detail = "Rehearsed for your conformance run"
    match fault.kind:
        case "limit":
            return over_limit(detail, violated=("burst",), retry_after=fault.retry_after)
        case "expired-token":
            return unauthenticated(realm, detail, error="invalid_token", expired=True)
        case "conflict":
            return Refused(412, "version-conflict", "conflict", "The resource has changed meanwhile", detail)
        case "consent":
            return forbidden("consent-required", "The patient has withdrawn consent", detail)
        case "lost-answer":
            return gateway_timeout(detail)
    return unavailable(detail, retry_after=fault.retry_after)
