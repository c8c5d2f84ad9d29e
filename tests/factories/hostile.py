"""Hostile FHIR calls from a seed: searches, bodies, patches, Bundles, Parameters, paths, header fields and encodings.

The calls are pure data; who sends them decides what an answer may look like. The same seed gives the same calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from sandbox.fhir import definitions
from tests.factories.hostile_bodies import body, bundle, compressed, encoded, operation, patch, raw
from tests.factories.hostile_values import HEADERS, KINDS, MODIFIERS, RESULT_PARAMETERS, TEXTS, Attack, Facts, value

__all__ = ["Attack", "Facts", "attacks"]
Maker = Callable[[Random, Facts], Attack]


def attacks(seed: int, count: int, facts: Facts) -> Iterator[Attack]:
    """`count` calls, the kinds in turn."""
    for number in range(count):
        rng = Random(f"{seed}/{number}")
        made = MAKERS[number % len(MAKERS)](rng, facts)
        if rng.random() < 0.2:
            name = rng.choice(list(HEADERS))
            made.headers[name] = rng.choice(HEADERS[name])
        yield made


def _pair(rng: Random, facts: Facts, rtype: str) -> tuple[str, str]:
    pick = rng.random()
    codes = list(definitions.search_parameters(rtype)) or ["_id"]
    if pick < 0.3:
        name = rng.choice(RESULT_PARAMETERS)
        values = (
            "",
            "0",
            "-1",
            "99999999999",
            "true",
            "*",
            f"{rtype}:*",
            f"{rtype}:{rng.choice(codes)}",
            "A:b:c",
            "count",
            ",",
            "-",
            "x",
        )
        return name, rng.choice(values) if rng.random() < 0.7 else value(rng, facts)
    code = rng.choice(codes)
    modifier = rng.choice(MODIFIERS)
    name = f"{code}:{modifier}" if modifier else code
    if pick < 0.45:
        name += "." + rng.choice([*codes, "name", "identifier", "a.b.c.d", "_id", "subject.name", ""])
    elif pick < 0.55:
        other = rng.choice(sorted(definitions.RESOURCE_TYPES))
        name = "_has:" + ":".join(
            rng.choice((other, rtype, "patient", "subject", "", "code", "_has")) for _ in range(rng.randint(0, 7))
        )
    elif pick < 0.6:
        name = rng.choice(TEXTS)[:500]
    return name, value(rng, facts)


def search(rng: Random, facts: Facts) -> Attack:
    rtype = rng.choice(sorted(definitions.RESOURCE_TYPES) + ["Patient", "Observation", "Condition", "Encounter"] * 20)
    query = encoded(rng, [_pair(rng, facts, rtype) for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 120)))])
    where = rng.choice(
        (
            rtype,
            rtype,
            rtype,
            "",
            f"Patient/{facts.ref(rng).rpartition('/')[2] or 'x'}/{rtype}",
            f"{rtype}/_history",
            "_history",
        )
    )
    if rng.random() < 0.2:
        form = {"content-type": rng.choice(("application/x-www-form-urlencoded", *KINDS))}
        return Attack("POST", f"{where}/_search".lstrip("/"), form, query.encode())
    return Attack(rng.choice(("GET", "GET", "GET", "HEAD", "DELETE", "PATCH", "PUT")), f"{where}?{query}")


def path(rng: Random, facts: Facts) -> Attack:
    pieces = (
        "Patient", "patient", "Patient%2F1", "%00", "%2e%2e", "..", ".", "", "$", "$everything", "_history", "_search", "metadata",
        "%E2%80%8F", "a" * 65, "a" * 3000,
        "*", "Observation", "1", "-1", "9" * 30, ";x=1", "%5c", "%25", "%ff", "admin", "Patient?x", "@", "+", "%20", ".well-known",
        "smart-configuration", "%F0%9F%98%80",
        "$%65verything", "_History", "Patient.json", facts.ref(rng), "(", "'", "[", "|",
    )  # fmt: skip
    made = "/".join(rng.choice(pieces) for _ in range(rng.randint(1, 5)))
    methods = (
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "HEAD",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "get",
        "BREW",
        "CONNECT",
        "M-SEARCH",
    )
    made_body = b'{"resourceType":"Patient"}' if rng.random() < 0.3 else b""
    return Attack(rng.choice(methods), made, {"content-type": "application/fhir+json"} if made_body else {}, made_body)


MAKERS: tuple[Maker, ...] = (search, body, patch, bundle, operation, search, raw, path, search, compressed)
