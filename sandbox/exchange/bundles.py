"""batch and transaction: POST [base] with a Bundle. http://hl7.org/fhir/R4/http.html#transaction

A batch's entries are requests of their own. A transaction's writes are prepared together, their references to one another
resolved, and committed or refused as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.transactions import Entry, binary_data, run_transaction
from sandbox.fhir.outcomes import BadRequestError, FhirError, Text, TooLargeError, outcome
from sandbox.kernel.clock import instant
from sandbox.kernel.http import Message, Request, Response
from sandbox.storage.encoding import dump

MAX_ENTRIES = 5000
_TOGETHER = 64
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    409: "Conflict", 410: "Gone", 412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


async def submit(call: Call) -> Response:
    bundle = await call.json_body()
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadRequestError(Text("A Bundle is expected here.", "در اینجا یک Bundle لازم است."), code="structure")
    kind = bundle.get("type")
    if kind not in ("batch", "transaction"):
        raise BadRequestError(
            Text(
                f"The Bundle's type is {kind!r}; batch or transaction is expected.",
                "نوع Bundle باید batch یا transaction باشد.",
            ),
            code="value",
            expression=("Bundle.type",),
        )
    entries = list(_entries(call, bundle))
    answers = await _batch(call, entries) if kind == "batch" else await _transaction(call, entries)
    made = {"resourceType": "Bundle", "type": f"{kind}-response"}
    body = dump(made | {"entry": answers} if answers else made)
    return json_response(body)


def _entries(call: Call, bundle: dict[str, Any]) -> Iterator[Entry]:
    listed = bundle.get("entry", [])
    if not isinstance(listed, list):
        raise BadRequestError(
            Text("Bundle.entry must be an array.", "Bundle.entry باید آرایه باشد."), expression=("Bundle.entry",)
        )
    if len(listed) > MAX_ENTRIES:
        raise TooLargeError(
            Text(f"A Bundle may have {MAX_ENTRIES} entries.", f"هر Bundle حداکثر {MAX_ENTRIES} ورودی دارد."),
            code="too-costly",
        )
    for number, item in enumerate(listed):
        yield _entry(call, number, item)


def _entry(call: Call, number: int, item: Any) -> Entry:
    place = f"Bundle.entry[{number}]"
    request = item.get("request") if isinstance(item, dict) else None
    method = request.get("method") if isinstance(request, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(request, dict) or method not in _METHODS or not isinstance(url, str):
        raise BadRequestError(
            Text(
                f"{place} needs request.method and request.url.", f"{place} به request.method و request.url نیاز دارد."
            ),
            code="required",
            expression=(f"{place}.request",),
        )
    resource = item.get("resource")
    if (
        method in ("POST", "PUT", "PATCH")
        and not isinstance(resource, dict)
        and "$" not in url
        and "_search" not in url
    ):
        raise BadRequestError(
            Text(f"{place}: {method} needs a resource.", f"{place}: برای {method} منبع لازم است."),
            code="required",
            expression=(f"{place}.resource",),
        )
    own = url.removeprefix(call.services.base_url).lstrip("/")
    if own.startswith(("http://", "https://")):
        raise BadRequestError(
            Text(f"{place}: the URL lies outside this exchange.", f"{place}: نشانی بیرون از این تبادل است."),
            expression=(f"{place}.request.url",),
        )
    full_url = item.get("fullUrl")
    return Entry(number, method, own, resource, full_url if isinstance(full_url, str) else "", request)


# --- batch ------------------------------------------------------------------------------------------------------------


async def _batch(call: Call, entries: list[Entry]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    for start in range(0, len(entries), _TOGETHER):
        # Side by side, so that their writes share a commit.
        answers += await asyncio.gather(*(_alone(call, entry) for entry in entries[start : start + _TOGETHER]))
    return answers


async def _alone(call: Call, entry: Entry) -> dict[str, Any]:
    """One entry as a request of its own; its failure is its own too."""
    if call.services.dispatch is None:
        raise RuntimeError("the exchange has no dispatcher")
    try:
        return _answer(await call.services.dispatch(call, as_request(call, entry)), entry)
    except FhirError as error:
        return {
            "response": {
                "status": _status(error.status),
                "outcome": outcome(error.issues, call.language),
            }
        }


def as_request(call: Call, entry: Entry) -> Request:
    """A Bundle entry as the request it stands for."""
    path, _, query = entry.url.partition("?")
    headers = [(b"content-type", b"application/fhir+json")]
    for name, header in (
        ("ifNoneExist", b"if-none-exist"),
        ("ifMatch", b"if-match"),
        ("ifNoneMatch", b"if-none-match"),
        ("ifModifiedSince", b"if-modified-since"),
    ):
        value = entry.request.get(name)
        if isinstance(value, str):
            headers.append((header, value.encode("utf-8", "replace")))
    prefer = call.header(b"prefer")
    if prefer is not None:
        headers.append((b"prefer", prefer))
    resource, body = entry.resource, b""
    if entry.method == "PATCH" and isinstance(resource, dict) and resource.get("resourceType") == "Binary":
        headers[0] = (b"content-type", str(resource.get("contentType", "")).encode())
        body = binary_data(entry)
    elif resource is not None:
        body = dump(resource)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": entry.method,
        "path": path,
        "raw_path": quote(path, safe="/$%*:@!,;=+&'()~").encode(),
        "query_string": quote(query, safe="=&%:/?|,;+$*@!'()~[]").encode(),
        "headers": headers,
    }
    return Request(scope, receive)


def _answer(response: Response, entry: Entry) -> dict[str, Any]:
    headers = dict(response.headers)
    told: dict[str, Any] = {"status": _status(response.status)}
    for name, header in (("location", b"location"), ("etag", b"etag")):
        if header in headers:
            told[name] = headers[header].decode()
    made: dict[str, Any] = {}
    if response.body and entry.method != "HEAD":
        made["resource"] = orjson.Fragment(response.body)
    return made | {"response": told}


def _status(code: int) -> str:
    return f"{code} {_REASONS.get(code, '')}".strip()


# --- transaction ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Answers:
    """Answers in the order of the entries."""

    entries: list[Entry]
    found: dict[int, dict[str, Any]] = field(default_factory=dict)

    def listed(self) -> list[dict[str, Any]]:
        return [self.found[entry.number] for entry in self.entries]


async def _transaction(call: Call, entries: list[Entry]) -> list[dict[str, Any]]:
    answers = _Answers(entries)
    writes = [e for e in entries if e.method not in ("GET", "HEAD") and "$" not in e.url and "_search" not in e.url]
    for entry, result in await run_transaction(call, writes):
        told: dict[str, Any] = {"status": _status(result.status)}
        made: dict[str, Any] = {}
        written = result.written
        if written is not None:
            call.subjects.append(f"{written.rtype}/{written.fid}")
            told["location"] = f"{call.services.base_url}/{written.rtype}/{written.fid}/_history/{written.ver}"
            told["etag"] = f'W/"{written.ver}"'
            told["lastModified"] = instant(written.updated)
            if call.prefer.returning == "representation" and written.body:
                made["resource"] = orjson.Fragment(written.body)
        answers.found[entry.number] = made | {"response": told}
    # Reads come last and see what was written (http://hl7.org/fhir/R4/http.html#trules).
    for entry in entries:
        if entry.number not in answers.found:
            answers.found[entry.number] = await _alone(call, entry)
    return answers.listed()
