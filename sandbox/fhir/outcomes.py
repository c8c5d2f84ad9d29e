"""What went wrong: FHIR errors that carry their HTTP status and become an OperationOutcome in English and Persian.

Every sentence is a `Text` of both languages. The reader's language (Accept-Language) becomes `details.text`; the other
travels beside it in the standard translation extension, so no client loses either.
http://hl7.org/fhir/R4/operationoutcome.html, http://hl7.org/fhir/R4/extension-translation.html

    FhirError
    ├── BadRequestError 400            ├── PreconditionError 412
    ├── UnauthorizedError 401          ├── TooLargeError 413
    ├── ForbiddenError 403             ├── UnsupportedMediaError 415
    ├── NotFoundError 404              ├── UnprocessableError 422
    ├── MethodNotAllowedError 405      ├── ThrottledError 429
    ├── NotAcceptableError 406         ├── InternalError 500
    ├── ConflictError 409              ├── NotSupportedError 501
    └── GoneError 410                  └── UnavailableError 503
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import orjson

Language = Literal["en", "fa"]
Severity = Literal["fatal", "error", "warning", "information"]
IssueCode = Literal[
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long",
    "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
    "exception", "timeout", "incomplete", "throttled", "informational",
]  # fmt: skip

RULE_SYSTEM: Final = "urn:gozar:fhir-rule"
_TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages of the product."""

    en: str
    fa: str

    def in_(self, language: Language) -> str:
        return self.fa if language == "fa" else self.en

    def __add__(self, other: Text) -> Text:
        return Text(f"{self.en} {other.en}", f"{self.fa} {other.fa}")


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. `expression` holds FHIRPaths into the offending resource; `rule` names what was broken (`obs-7`)."""

    severity: Severity
    code: IssueCode
    text: Text
    expression: tuple[str, ...] = ()
    rule: str = ""
    hint: Text | None = None
    diagnostics: str = ""

    def as_json(self, language: Language) -> dict[str, Any]:
        sentence = self.text if self.hint is None else self.text + self.hint
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code, "details": _details(sentence, language)}
        if self.rule:
            issue["details"] = {"coding": [{"system": RULE_SYSTEM, "code": self.rule}]} | issue["details"]
        if self.diagnostics:
            issue["diagnostics"] = self.diagnostics
        if self.expression:
            issue["expression"] = list(self.expression)
        return issue


def _details(text: Text, language: Language) -> dict[str, Any]:
    other: Language = "en" if language == "fa" else "fa"
    parts = [{"url": "lang", "valueCode": other}, {"url": "content", "valueString": text.in_(other)}]
    return {"text": text.in_(language), "_text": {"extension": [{"url": _TRANSLATION, "extension": parts}]}}


def outcome(issues: Sequence[Issue], language: Language = "en") -> dict[str, Any]:
    """The OperationOutcome resource; with no issues, the customary informational "all OK"."""
    found = issues or (ALL_OK,)
    return {
        "resourceType": "OperationOutcome",
        "language": language,
        "issue": [issue.as_json(language) for issue in found],
    }


def outcome_bytes(issues: Sequence[Issue], language: Language = "en") -> bytes:
    return orjson.dumps(outcome(issues, language))


ALL_OK: Final = Issue("information", "informational", Text("All OK: nothing to report.", "ایرادی یافت نشد."))


@lru_cache(maxsize=256)
def preferred_language(accept_language: str | None, default: Language = "en") -> Language:
    """The better of en and fa by an Accept-Language header (RFC 9110 §12.5.4); malformed parts are ignored."""
    best: tuple[float, Language] = (0.0, default)
    for part in (accept_language or "").split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        weight = _weight(parameters)
        if primary in {"en", "fa"} and weight > best[0]:
            best = (weight, "fa" if primary == "fa" else "en")
    return best[1]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class FhirError(Exception):
    """Base of every error the exchange reports: HTTP status, issues, and headers the answer must carry."""

    status: ClassVar[int] = 500
    code: ClassVar[IssueCode] = "exception"

    def __init__(
        self,
        text: Text | None = None,
        *,
        code: IssueCode | None = None,
        issues: Sequence[Issue] = (),
        expression: Sequence[str] = (),
        rule: str = "",
        hint: Text | None = None,
        diagnostics: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        first = (
            ()
            if text is None
            else (Issue("error", code or self.code, text, tuple(expression), rule, hint, diagnostics),)
        )
        self.issues: tuple[Issue, ...] = (*first, *issues)
        if not self.issues:
            raise ValueError("a FhirError needs a text or issues")
        self.headers = headers
        super().__init__(self.issues[0].text.en)

    def body(self, language: Language = "en") -> bytes:
        """The OperationOutcome as JSON bytes."""
        return outcome_bytes(self.issues, language)


class BadRequestError(FhirError):
    """The request cannot be understood: malformed JSON, unknown or malformed search parameter, bad header."""

    status = 400
    code = "invalid"


class UnauthorizedError(FhirError):
    """No valid access token. Give `WWW-Authenticate` in headers (RFC 6750 §3)."""

    status = 401
    code = "login"


class ForbiddenError(FhirError):
    """The token is valid, but its scopes, compartment or consent do not permit this."""

    status = 403
    code = "forbidden"


class NotFoundError(FhirError):
    """Unknown or hidden: both look the same."""

    status = 404
    code = "not-found"


class MethodNotAllowedError(FhirError):
    status = 405
    code = "not-supported"


class NotAcceptableError(FhirError):
    status = 406
    code = "not-supported"


class ConflictError(FhirError):
    status = 409
    code = "conflict"


class GoneError(FhirError):
    """The resource existed and was deleted."""

    status = 410
    code = "deleted"


class PreconditionError(FhirError):
    """If-Match failed, or a conditional interaction matched several resources."""

    status = 412
    code = "conflict"


class TooLargeError(FhirError):
    status = 413
    code = "too-long"


class UnsupportedMediaError(FhirError):
    status = 415
    code = "not-supported"


class RangeError(FhirError):
    """A Range of bytes that the file does not have."""

    status = 416
    code = "value"


class UnprocessableError(FhirError):
    """Well-formed, but against FHIR's rules or this server's: validation failures."""

    status = 422
    code = "processing"


class ThrottledError(FhirError):
    status = 429
    code = "throttled"


class StoreFullError(FhirError):
    """There is no room to write (RFC 4918 §11.5)."""

    status = 507
    code = "no-store"


class InternalError(FhirError):
    status = 500
    code = "exception"


class NotSupportedError(FhirError):
    status = 501
    code = "not-supported"


class UnavailableError(FhirError):
    status = 503
    code = "transient"


def unknown_type(name: str) -> NotFoundError:
    """For a URL whose first segment is no R4 resource type."""
    return NotFoundError(
        Text(f"{name!r} is not a resource type of FHIR R4.", f"«{name}» نوع منبعی از FHIR R4 نیست."),
        code="not-supported",
        hint=Text("Type names are case-sensitive, as in Patient.", "بزرگی و کوچکی حروف مهم است؛ مانند Patient."),
    )


def unknown_resource(resource_type: str, resource_id: str) -> NotFoundError:
    return NotFoundError(
        Text(
            f"There is no {resource_type}/{resource_id} here.",
            f"منبع {resource_type}/{resource_id} در اینجا وجود ندارد.",
        )
    )


def deleted_resource(resource_type: str, resource_id: str, version: str) -> GoneError:
    return GoneError(
        Text(f"{resource_type}/{resource_id} has been deleted.", f"منبع {resource_type}/{resource_id} حذف شده است."),
        hint=Text("Its history is still readable.", "تاریخچهٔ آن همچنان خواندنی است."),
        headers={"ETag": f'W/"{version}"'},
    )


def version_conflict(resource_type: str, resource_id: str, expected: str, current: str) -> PreconditionError:
    return PreconditionError(
        Text(
            f"{resource_type}/{resource_id} is at version {current}, not {expected} as If-Match says.",
            f"نسخهٔ کنونی {resource_type}/{resource_id} برابر {current} است، نه {expected} که در If-Match آمده است.",
        ),
        hint=Text(
            "Read it again, merge your change, and retry.",
            "منبع را دوباره بخوانید، تغییر خود را اعمال کنید و از نو بفرستید.",
        ),
        headers={"ETag": f'W/"{current}"'},
    )
