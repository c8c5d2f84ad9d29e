"""Hostile bodies: resources mutated, broken bytes, compression, patches, Bundles and Parameters."""

from __future__ import annotations

import gzip
import json
import zlib
from random import Random
from typing import Any
from urllib.parse import quote

from tests.factories.hostile_values import DATES, KINDS, NUMBERS, TEXTS, Attack, Facts, value


def encoded(rng: Random, pairs: list[tuple[str, str]]) -> str:
    text = "&".join(f"{quote(n, safe=':._-')}={quote(v, safe=',|$:')}" for n, v in pairs)
    if rng.random() < 0.1:
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at]
            + rng.choice(("%", "%zz", "%ff", "%00", "%u0041", "+", "&&&", "=", ";", "%c0%af", "%ed%a0%80"))
            + text[at:]
        )
    return text[:7000]


def _nested(rng: Random, depth: int) -> bytes:
    opening, closing = rng.choice(
        ((b'{"extension":[', b"]}"), (b"[", b"]"), (b'{"a":', b"}"), (b'{"contained":[', b"]}"))
    )
    return opening * depth + b"1" + closing * depth


_RAW = "\u0001raw\u0001"


def _scalar(rng: Random) -> Any:
    pick = rng.random()
    if pick < 0.3:
        return _RAW + rng.choice(NUMBERS) + _RAW
    if pick < 0.6:
        return rng.choice(TEXTS)
    if pick < 0.8:
        return rng.choice(DATES)
    options: tuple[Any, ...] = (
        None,
        True,
        False,
        [],
        {},
        [None],
        [[]],
        {"": ""},
        {"extension": []},
        0,
        -1,
        {"resourceType": "Patient"},
    )
    return rng.choice(options)


def _mutated(rng: Random, value: Any, odds: float) -> Any:
    if rng.random() < odds:
        return rng.choice((_scalar(rng), [value], [value, value], {"a": value}, [value] * 300))
    if isinstance(value, dict):
        made = {k: _mutated(rng, v, odds) for k, v in value.items() if rng.random() > odds / 2}
        if rng.random() < odds * 4:
            names = (
                "id",
                "meta",
                "text",
                "contained",
                "extension",
                "_id",
                "resourceType",
                "value[x]",
                "valueQuantity",
                "_",
                "x" * 300,
                "__proto__",
            )
            made[rng.choice(names)] = _scalar(rng)
        return made
    return [_mutated(rng, v, odds) for v in value] if isinstance(value, list) else value


def _dumped(rng: Random, value: Any) -> bytes:
    """JSON with numbers no float can hold, and sometimes keys given twice or lone surrogates."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    escaped = json.dumps(_RAW)[1:-1]
    for mark in (_RAW, escaped):
        text = text.replace(f'"{mark}', "").replace(f'{mark}"', "")
    if rng.random() < 0.1:
        text = text.replace(": ", rng.choice((': "\\ud800", "a": ', ": 1, ", ':"\\udc00\\ud800","id":')), 1)
    if rng.random() < 0.05:
        text = text.replace('"', rng.choice(('"\\u0000', "'", '"\x07')), 1)
    return text.encode("utf-8", "surrogatepass")


def _target(rng: Random, resource: dict[str, Any]) -> tuple[str, str]:
    rtype, fid = str(resource.get("resourceType", "Patient")), str(resource.get("id", "x"))
    return rng.choice(
        (
            ("POST", rtype),
            ("PUT", f"{rtype}/{quote(fid, safe='')}"),
            ("POST", f"{rtype}/$validate"),
            ("PUT", f"{rtype}?_id={fid}"),
        )
    )


def body(rng: Random, facts: Facts) -> Attack:
    resource = rng.choice(facts.resources)
    method, path = _target(rng, resource)
    content = _dumped(rng, _mutated(rng, resource, rng.choice((0.01, 0.03, 0.1, 0.4))))
    return Attack(method, path, {"content-type": "application/fhir+json"}, content)


def raw(rng: Random, facts: Facts) -> Attack:
    resource = rng.choice(facts.resources)
    method, path = _target(rng, resource)
    good = json.dumps(resource).encode()
    at = rng.randrange(len(good))
    content = rng.choice(
        (
            b"", b" ", b"null", b"[]", b"{}", b'"x"', b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"), good[:at], good + good,
            good + b"\0",
            good[:at] + bytes([rng.randrange(256)]) + good[at + 1 :], good[:at] + b"\xff\xfe" + good[at:], b"\0" * 100, _nested(rng, 40),
            _nested(rng, 5000), _nested(rng, 200_000), b'{"resourceType":"Patient","resourceType":"Observation"}', b"9" * 100_000,
            b'{"resourceType":"Patient","name":[' + b'{"family":"a"},' * 20_000 + b"{}]}", b"<Patient xmlns='http://hl7.org/fhir'/>",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--", b'{"resourceType":"' + b"A" * 100_000 + b'"}',
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Patient xmlns="http://hl7.org/fhir"><id value="&b;"/></Patient>',
            b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>', b"<" * 5000,
            b"<Patient xmlns='http://hl7.org/fhir'>" + b"<extension url='x'>" * 3000 + b"</extension>" * 3000 + b"</Patient>",
        )
    )  # fmt: skip
    return Attack(method, path, {"content-type": rng.choice(KINDS)}, content)


def compressed(rng: Random, facts: Facts) -> Attack:
    resource = rng.choice(facts.resources)
    method, path = _target(rng, resource)
    good = json.dumps(resource).encode()
    bomb = (
        gzip.compress(b'{"resourceType":"Patient","x":"' + b"a" * 40_000_000 + b'"}')
        if rng.random() < 0.1
        else gzip.compress(good)
    )
    content = rng.choice(
        (
            gzip.compress(good),
            zlib.compress(good),
            gzip.compress(good)[:-5],
            good,
            b"",
            gzip.compress(gzip.compress(good)),
            bomb,
        )
    )
    coding = rng.choice(("gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "identity", "", "GZIP", "compress"))
    return Attack(method, path, {"content-type": "application/fhir+json", "content-encoding": coding}, content)


def patch(rng: Random, facts: Facts) -> Attack:
    resource = rng.choice(facts.resources)
    path = f"{resource['resourceType']}/{resource['id']}"
    pick = rng.random()
    if pick < 0.45:
        places = (
            "/name/0/family",
            "/name/-",
            "/-",
            "",
            "/",
            "/a/b",
            "/~2",
            "/~0~1",
            "/name/99999999999999999999",
            "/name/00",
            "/id",
            "/meta",
            "x",
            "/extension/0",
        )
        ops = ("add", "remove", "replace", "move", "copy", "test", "ADD", "", None, 5)
        steps: Any = [
            {k: v for k, v in {"op": rng.choice(ops), "path": rng.choice(places), "from": rng.choice(places),
            "value": _scalar(rng)}.items() if rng.random() > 0.1}
            for _ in range(rng.choice((1, 2, 5, 3000)))
        ]  # fmt: skip
        steps = rng.choice((steps, steps, steps, {"a": steps}, "x", None, [steps]))
        return Attack("PATCH", path, {"content-type": "application/json-patch+json"}, _dumped(rng, steps))
    if pick < 0.8:
        paths = (
            "Patient.name",
            "Patient",
            "name[0]",
            "Patient.name.where(",
            "a" * 2000,
            "(" * 3000,
            "Patient.name | Patient.id",
            "1+1",
            "%resource",
            "'",
            "Patient.id",
            "descendants()",
        )
        parts = [
            {"name": n, v: rng.choice((*paths, _scalar(rng)))}
            for n, v in (("type", "valueCode"), ("path", "valueString"), ("name", "valueString"), ("value", "valueString"), ("index",
            "valueInteger"))
            if rng.random() > 0.1
        ]  # fmt: skip
        if parts and rng.random() > 0.2:
            parts[0] = {"name": "type", "valueCode": rng.choice(("add", "insert", "delete", "replace", "move", "x"))}
        document: Any = {
            "resourceType": "Parameters",
            "parameter": [{"name": "operation", "part": parts}] * rng.choice((1, 1, 200)),
        }
        return Attack(
            "PATCH", path, {"content-type": "application/fhir+json"}, _dumped(rng, _mutated(rng, document, 0.03))
        )
    return Attack("PATCH", path, {"content-type": rng.choice(KINDS)}, _dumped(rng, _mutated(rng, resource, 0.1)))


def _entry(rng: Random, facts: Facts, urns: list[str]) -> Any:
    resource = rng.choice(facts.resources)
    reference = f"{resource['resourceType']}/{resource['id']}"
    urls = (
        resource["resourceType"], reference, f"{reference}/_history/1", f"/{reference}", f"http://evil.example/{reference}", "", "?",
        "Patient?", "metadata",
        "$export", "Patient/$match", f"{reference}/$everything", "../../admin/tenants", "Patient?identifier=x|1", "a" * 3000,
        "Patient/%00", "//", "Patient/a b",
        "Observation?patient=" + facts.ref(rng), rng.choice(TEXTS), "Bundle", "_history", "Patient/../Patient/1",
    )  # fmt: skip
    request = {
        "method": rng.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "get", "Post", "OPTIONS", "", 1, None)),
        "url": rng.choice(urls),
        rng.choice(("ifMatch", "ifNoneExist", "ifNoneMatch", "ifModifiedSince", "x")): rng.choice(
            (*TEXTS, 'W/"1"', "identifier=a|b", 5)
        ),
    }
    entry: dict[str, Any] = {"fullUrl": rng.choice((*urns, rng.choice(TEXTS), reference)), "request": request}
    if rng.random() < 0.8:
        entry["resource"] = {
            **resource,
            "subject": {"reference": rng.choice((*urns, facts.ref(rng)))},
            "id": rng.choice((resource["id"], "x", "a b")),
        }
    return _mutated(rng, entry, rng.choice((0, 0, 0.02)))


def bundle(rng: Random, facts: Facts) -> Attack:
    urns = [f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(4)]
    entries = [_entry(rng, facts, urns) for _ in range(rng.choice((0, 1, 1, 2, 4, 30)))]
    if rng.random() < 0.02:
        entries = [{"request": {"method": "GET", "url": "Patient/none"}}] * 10_000
    if rng.random() < 0.1:
        cycle = [
            {"fullUrl": urns[n], "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "hasMember": [{"reference": urns[1 - n]}]},
             "request": {"method": "POST", "url": "Observation"}} for n in (0, 1)
        ]  # fmt: skip
        entries += cycle
    kind = rng.choice(("transaction", "transaction", "batch", "batch", "history", "document", "", None, "Transaction"))
    document = {"resourceType": "Bundle", "type": kind, "entry": entries}
    return Attack(
        "POST",
        rng.choice(("", "", "", "Bundle")),
        {"content-type": "application/fhir+json"},
        _dumped(rng, _mutated(rng, document, 0.003)),
    )


def operation(rng: Random, facts: Facts) -> Attack:
    path = rng.choice(facts.operations).replace("{id}", facts.ref(rng).rpartition("/")[2] or "x")
    names = (
        "resource", "url", "code", "system", "display", "coding", "codeableConcept", "onlyCertainMatches", "count", "max", "_type",
        "_since", "_typeFilter",
        "filter", "offset", "start", "end", "patient", "slot", "mode", "profile", "meta", "codeA", "codeB", "_outputFormat", "job",
        "type", "reason", "value",
    )  # fmt: skip
    if rng.random() < 0.5:
        query = encoded(rng, [(rng.choice(names), value(rng, facts)) for _ in range(rng.choice((0, 1, 2, 4)))])
        return Attack("GET", f"{path}?{query}", {"prefer": rng.choice(("respond-async", "return=minimal"))})
    kinds = (
        "valueString",
        "valueCode",
        "valueUri",
        "valueInteger",
        "valueBoolean",
        "valueDateTime",
        "valueCoding",
        "valueReference",
        "resource",
        "part",
        "valueIdentifier",
    )
    given = [
        {"name": rng.choice((*names, None, 1, "")), rng.choice(kinds): rng.choice((_scalar(rng), rng.choice(facts.resources),
        {"reference": facts.ref(rng)}, {"system": "x", "code": "y"}))}
        for _ in range(rng.choice((0, 1, 2, 5)))
    ]  # fmt: skip
    document: Any = {"resourceType": "Parameters", "parameter": given}
    if rng.random() < 0.2:
        document = rng.choice((rng.choice(facts.resources), [], None, {"resourceType": "Parameters", "parameter": {}}))
    kind = "application/fhir+json" if rng.random() < 0.9 else rng.choice(KINDS)
    return Attack("POST", path, {"content-type": kind}, _dumped(rng, _mutated(rng, document, rng.choice((0, 0.05)))))
