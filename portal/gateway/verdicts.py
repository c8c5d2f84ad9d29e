"""One verdict for each call. Body, header fields, request log, metrics and portal all show this same value."""

from __future__ import annotations

from dataclasses import dataclass

from portal.conformance.rehearsals import Fault


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call was not forwarded (or could not be answered), in English and Persian.

    `code` is stable; `issue` is the FHIR IssueType code.
    """

    status: int
    code: str
    issue: str
    title: str
    detail: str
    title_fa: str = ""
    detail_fa: str = ""
    retry_after: int = 0
    violated: tuple[str, ...] = ()
    challenge: str = ""
    allow: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


ADMITTED = "admitted"
QUOTA_EXCEEDED = "quota-exceeded"


def bad_request(detail: str, fa: str) -> Refused:
    return Refused(
        400, "bad-request", "invalid", "The request cannot be forwarded", detail, "این درخواست فرستادنی نیست", fa
    )


def preflight(headers: list[tuple[bytes, bytes]]) -> Refused:
    """The answer to a CORS preflight: nothing is forwarded, nothing was wrong."""
    return Refused(204, "preflight", "informational", "Preflight", "", headers=tuple(headers))


def not_found(detail: str, fa: str) -> Refused:
    return Refused(404, "not-found", "not-found", "There is no such thing here", detail, "چنین چیزی اینجا نیست", fa)


def method_not_allowed(allow: str) -> Refused:
    return Refused(
        405,
        "method-not-allowed",
        "not-supported",
        "Method not allowed",
        f"This path answers: {allow}",
        "این روش پذیرفته نیست",
        f"این مسیر به این روش‌ها پاسخ می‌دهد: {allow}",
        allow=allow,
    )


def too_large(limit: int) -> Refused:
    return Refused(
        413,
        "body-too-large",
        "too-long",
        "The body is too large",
        f"A body may have at most {limit} bytes",
        "بدنهٔ درخواست بیش از اندازه بزرگ است",
        f"بدنه حداکثر {limit} بایت می‌تواند باشد",
    )


def uri_too_long(limit: int) -> Refused:
    return Refused(
        414,
        "uri-too-long",
        "too-long",
        "The address is too long",
        f"Path and query may have {limit} bytes",
        "نشانی بیش از اندازه بلند است",
        f"مسیر و پرس‌وجو روی هم حداکثر {limit} بایت می‌توانند باشند",
    )


def headers_too_large(limit: int) -> Refused:
    return Refused(
        431,
        "headers-too-large",
        "too-long",
        "The header is too large",
        f"Fields may have {limit} bytes in all",
        "سرآیندها بیش از اندازه بزرگ‌اند",
        f"سرآیندها روی هم حداکثر {limit} بایت می‌توانند باشند",
    )


# What the verifier of tokens says, in Persian; the English text is its own.
_TOKEN_FA = {
    "the access token has expired": "مهلت توکن دسترسی گذشته است",
    "the access token has been revoked": "توکن دسترسی باطل شده است",
    "the access token is malformed": "توکن دسترسی خوانا نیست",
    "the access token is not of this server's making": "این توکن را این سرور نساخته است",
    "the access token is not signed by this environment's key": "امضای توکن از کلید این محیط نیست",
    "the access token was issued for another audience": "این توکن برای مخاطب دیگری صادر شده است",
    "the access token is bound to a key: send it as DPoP with a proof of that key": (
        "این توکن به یک کلید بسته است: آن را با DPoP و اثبات همان کلید بفرستید"
    ),
    "the access token is not bound to a key: send it as Bearer": "این توکن به کلیدی بسته نیست: آن را با Bearer بفرستید",
}


def unauthenticated(realm: str, detail: str, fa: str = "", *, error: str = "", expired: bool = False) -> Refused:
    """401 with a Bearer challenge (RFC 6750 §3); without credentials the challenge carries no error code."""
    challenge = f'Bearer realm="{realm}"'
    if error:
        challenge += f', error="{error}", error_description="{detail}"'
    code = "token-expired" if expired else ("invalid-token" if error else "token-missing")
    issue = "expired" if expired else "login"
    persian = fa or _TOKEN_FA.get(detail, "توکن دسترسی پذیرفته نشد")
    return Refused(
        401,
        code,
        issue,
        "A valid access token is needed",
        detail,
        "توکن دسترسی معتبر لازم است",
        persian,
        challenge=challenge,
    )


def forbidden(code: str, title: str, detail: str, title_fa: str, fa: str) -> Refused:
    return Refused(403, code, "forbidden", title, detail, title_fa, fa)


def insufficient_scope(realm: str, needed: str) -> Refused:
    """403 naming a scope that would do (RFC 6750 §3.1)."""
    detail = f"this call needs a scope such as {needed}"
    challenge = f'Bearer realm="{realm}", error="insufficient_scope", error_description="{detail}", scope="{needed}"'
    return Refused(
        403,
        "insufficient-scope",
        "forbidden",
        "The scope is not enough",
        detail,
        "دامنهٔ دسترسی کافی نیست",
        f"این فراخوانی دامنه‌ای مانند {needed} می‌خواهد",
        challenge=challenge,
    )


def over_limit(detail: str, fa: str, *, violated: tuple[str, ...], retry_after: int) -> Refused:
    """429: a RateLimit or Quota is used up (draft-ietf-httpapi-ratelimit-headers-11 §5, problem type quota-exceeded)."""
    return Refused(
        429,
        QUOTA_EXCEEDED,
        "throttled",
        "Request cannot be satisfied as assigned quota has been exceeded",
        detail,
        "سقف یا سهمیهٔ این برنامه پر شده است",
        fa,
        retry_after=retry_after,
        violated=violated,
    )


def unavailable(detail: str, fa: str, *, retry_after: int = 1, code: str = "temporary-reduced-capacity") -> Refused:
    return Refused(
        503,
        code,
        "transient",
        "Request cannot be satisfied due to temporary server capacity constraints",
        detail,
        "دروازه موقتاً نمی‌تواند این درخواست را بپذیرد",
        fa,
        retry_after=retry_after,
    )


def bad_gateway(detail: str) -> Refused:
    return Refused(
        502,
        "upstream-failed",
        "transient",
        "The service behind the gateway failed",
        detail,
        "سرویس پشت دروازه از کار ماند",
        "سرویس پشت دروازه پاسخی نداد که بتوان آن را رساند؛ از سهمیه کم نشد",
    )


def gateway_timeout(detail: str) -> Refused:
    return Refused(
        504,
        "upstream-timeout",
        "timeout",
        "The service behind the gateway did not answer in time",
        detail,
        "سرویس پشت دروازه به‌موقع پاسخ نداد",
        "مهلت پاسخ سرویس پشت دروازه گذشت؛ از سهمیه کم نشد",
    )


def rehearsed(fault: Fault, realm: str) -> Refused:
    """A refusal that a conformance run ordered: in everything but its detail the same as a real one."""
    detail, fa = "Rehearsed for your conformance run", "برای آزمون انطباق شما تمرین شد"
    match fault.kind:
        case "limit":
            return over_limit(detail, fa, violated=("burst",), retry_after=fault.retry_after)
        case "expired-token":
            return unauthenticated(realm, detail, fa, error="invalid_token", expired=True)
        case "conflict":
            title, title_fa = "The resource has changed meanwhile", "منبع در این میان تغییر کرده است"
            return Refused(412, "version-conflict", "conflict", title, detail, title_fa, fa)
        case "consent":
            return forbidden(
                "consent-required",
                "The patient has withdrawn consent",
                detail,
                "بیمار رضایت خود را پس گرفته است",
                fa,
            )
        case "lost-answer":
            return gateway_timeout(detail)
    return unavailable(detail, fa, retry_after=fault.retry_after)
