"""What nobody should send: the values, header fields and media types that hostile calls are made of, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

TEXTS = (
    "", " ", "x", "\u0000", "a\u0000b", "\ud7ff", "\ufeff", "\u202e", "\u200c", "ي", "ی", "كريم", "😀", "𝒳" * 50, "a" * 5000,
    "' OR 1=1 --", '"; DROP TABLE version; --', "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "../../etc/passwd",
    "%00", "%2e%2e%2f", "\\", "\\,", "\\$", "\\|", "|", "||", "a|b|c", ",", ",,", "$", "a$b", ":", "*", "?", "&", "#", "=", "\r\n",
    "null", "true", "NaN", "Infinity", "-0", "1e400", "1E-400", "9" * 400, "0x10", "1_000", "٣", "۱۲۳", "12,5", "+1", "--1", ".5", "5.",
)  # fmt: skip
DATES = (
    "0000", "0000-00-00", "0001-01-01", "9999", "9999-12-31", "10000-01-01", "2020-13", "2020-02-30", "2021-02-29", "2020-1-1",
    "2016-12-31T23:59:60Z", "2020-01-01T24:00:00Z", "2020-01-01T24:00:01Z", "2020-01-01T25:00Z", "2020-01-01T00:00:00+14:00",
    "2020-01-01T00:00:00+99:99", "2020-01-01T00:00:00.123456789012Z", "2020-01-01T00:00:00", "2020-01-01 00:00", "1405/09/01",
    "1405-09-01", "1370-12-30", "20200101", "today", "-2020", "2020-01-01Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
)  # fmt: skip
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "EQ", "xx")
MODIFIERS = (
    "", "", "", "missing", "exact", "contains", "not", "text", "in", "not-in", "of-type", "identifier", "above", "below", "Patient",
    "Nonsense", "iterate", "", "exact:exact", "patient.name", "code-text", "\u0000",
)  # fmt: skip
NUMBERS: tuple[str, ...] = (
    "0", "-0", "0.0", "-0.0", "1e400", "-1e400", "1e-400", "1E+2", "1.0000000000000000000000000001", "9" * 30, "9" * 5000,
    "9223372036854775808", "-9223372036854775809", "1e308", "0.1e-7", "123456789012345678901234567890.5",
)  # fmt: skip
RESULT_PARAMETERS = (
    "_sort", "_count", "_include", "_revinclude", "_include:iterate", "_summary", "_elements", "_total", "_format", "_pretty",
    "_cursor", "_type", "_contained", "_has", "_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content",
    "_list", "_filter", "_query", "_maxresults", "_score", "_since", "_at", "_offset", "_page",
)  # fmt: skip
HEADERS = {
    "accept": ("*/*", "", "text/html", "application/fhir+xml", "application/xml;q=0.5, */*;q=0.1", "q=1", ";;;", "image/png", "a" * 3000),
    "if-match": ('W/"1"', '"1"', "1", "*", "", 'W/"', "W/\"999999999999999999999\"", 'W/"1", W/"2"', "é"),
    "if-none-match": ("*", 'W/"1"', "", '"', "1,2,3," * 100),
    "if-modified-since": ("Sat, 01 Jan 2000 00:00:00 GMT", "yesterday", "", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT"),
    "if-none-exist": ("identifier=x|1", "", "nonsense=1", "_id=", "identifier=%00", "?identifier=a", "gender=male&_sort=x", "%zz"),
    "prefer": ("return=minimal", "return=OperationOutcome", "respond-async", "handling=lenient", "handling=strict", "a=b;c", "=,;"),
    "range": ("bytes=0-1", "bytes=9-1", "bytes=-", "bytes=99999999999999999999-", "lines=1-2", "bytes=0-0,2-3"),
    "accept-language": ("fa", "en", "fa-IR,en;q=0.5", "*", ";q=", "x" * 500, "en;q=NaN"),
    "x-request-id": ("a", "", "x" * 500, "<script>", "\t"),
    "x-http-method-override": ("DELETE", "PUT"),
}  # fmt: skip
KINDS = (
    "application/fhir+json", "application/json", "application/json-patch+json", "application/merge-patch+json", "application/fhir+xml",
    "application/x-www-form-urlencoded", "text/plain", "", "application/fhir+json; charset=utf-16", "application/fhir+json; charset=latin1",
    "application/fhir+json;fhirVersion=3.0", "multipart/form-data; boundary=x", "multipart/form-data", "application/fhir+ndjson", "/",
    "application/octet-stream", "application/json; charset=", "APPLICATION/FHIR+JSON; CHARSET=UTF-8",
)  # fmt: skip


@dataclass
class Attack:
    """One request below the FHIR base. `path` is raw: what is not ASCII is already encoded."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.path[:300]} { ({k: v[:80] for k, v in self.headers.items()}) } {self.body[:600]!r}"


@dataclass
class Facts:
    """What the attacker knows of the server: resources to begin from, and names of operations."""

    resources: list[dict[str, Any]]
    operations: list[str]

    def ref(self, rng: Random) -> str:
        one = rng.choice(self.resources)
        return rng.choice(
            (
                f"{one['resourceType']}/{one['id']}",
                one["id"],
                "Patient/none",
                "urn:uuid:x",
                "http://x/Patient/1",
                "#a",
                "",
            )
        )


def value(rng: Random, facts: Facts, *, lists: bool = True) -> str:
    pick = rng.random()
    if pick < 0.35:
        return rng.choice(TEXTS)
    if pick < 0.55:
        return rng.choice(PREFIXES) + rng.choice(DATES)
    if pick < 0.7:
        return (
            rng.choice(PREFIXES)
            + rng.choice(NUMBERS)
            + rng.choice(("", "", "|http://unitsofmeasure.org|mg", "||mg", "|", "|a|b|c"))
        )
    if pick < 0.9 or not lists:
        return facts.ref(rng)
    return ",".join(value(rng, facts, lists=False) for _ in range(rng.choice((2, 3, 250))))[:6000]
