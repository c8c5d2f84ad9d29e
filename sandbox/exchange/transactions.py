"""The writes of a transaction: identities first, then references, then one commit."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.exchange.calls import Call
from sandbox.exchange.checking import Key, missing, refuse_missing
from sandbox.exchange.committing import commit
from sandbox.exchange.intents import Intent, Kind, Result, StaleError, condition_of, target_of
from sandbox.exchange.negotiation import version_of
from sandbox.exchange.patching import Patcher, fhirpath_patcher, json_patcher
from sandbox.exchange.reading import must_reach, permitted, unbounded
from sandbox.exchange.writing import draft, draft_but_references, id_in_body, legal_id
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import (
    BadRequestError,
    ConflictError,
    FhirError,
    Issue,
    PreconditionError,
    Text,
    deleted_resource,
    unknown_resource,
    unknown_type,
)
from sandbox.kernel.ids import new_id
from sandbox.search.service import Question
from sandbox.storage import repository
from sandbox.storage.encoding import parse

T = TypeVar("T")
_RETRIES = 4
_TURN = 16
_LINK = re.compile(r'(href|src)="([^"]+)"')
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)\Z")
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2}
_KINDS: dict[str, Kind] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Entry:
    """One entry of a Bundle; `url` is relative to the base."""

    number: int
    method: str
    url: str
    resource: Any
    full_url: str
    request: dict[str, Any]


@dataclass(slots=True)
class _Placed:
    """An entry whose identity is settled."""

    entry: Entry
    rtype: str
    fid: str
    condition: Question | None = None
    met: str = ""

    @property
    def kept(self) -> bool:
        """A conditional create whose resource is there already."""
        return self.entry.method == "POST" and bool(self.met)


async def run_transaction(call: Call, entries: list[Entry], known: Collection[str] = ()) -> list[tuple[Entry, Result]]:
    """All of it or nothing. Raises the `FhirError` of the first entry that cannot be done, naming it.

    `known` are resources (Type/id) that references may point at though they are not here yet.
    """
    ordered = sorted(entries, key=lambda e: _ORDER[e.method])
    for _ in range(_RETRIES):
        placed = [await _at(entry, _place(call, entry)) async for entry in _in_turns(ordered)]
        _refuse_overlap(placed)
        links = _links(call, placed)
        born = {*known, *(f"{p.rtype}/{p.fid}" for p in placed if p.entry.method != "DELETE")}
        intents = [await _at(p.entry, _intent(call, p, links, born)) async for p in _in_turns(placed)]
        await _refuse_missing(call, placed, intents)
        try:
            results = await commit(call, intents)
        except StaleError:
            continue
        return [(p.entry, result) for p, result in zip(placed, results, strict=True)]
    raise ConflictError(
        Text(
            "Other writers keep changing what this transaction touches; try again.",
            "منابع این تراکنش هم‌زمان تغییر می‌کنند؛ دوباره تلاش کنید.",
        ),
        code="transient",
    )


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Items, with a chance for other calls every few: a large Bundle must not keep everybody waiting."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _TURN == 0:
            await asyncio.sleep(0)


async def _at(entry: Entry, step: Any) -> Any:
    """`step`, with errors that say which entry they are about."""
    try:
        return await step
    except FhirError as error:
        place = f"Bundle.entry[{entry.number}]"
        issues = [
            Issue(
                i.severity,
                i.code,
                i.text,
                tuple(_inside(place, e) for e in i.expression) or (place,),
                i.rule,
                i.hint,
                i.diagnostics,
            )
            for i in error.issues
        ]
        raise type(error)(issues=issues, headers=error.headers) from error


def _inside(place: str, expression: str) -> str:
    """An expression on a resource as one on the Bundle."""
    rtype, dot, rest = expression.partition(".")
    if rtype in definitions.RESOURCE_TYPES and rtype != "Bundle":
        return f"{place}.resource{dot}{rest}"
    return expression if expression.startswith("Bundle") else f"{place}.{expression}"


# --- identities -------------------------------------------------------------------------------------------------------


async def _place(call: Call, entry: Entry) -> _Placed:
    path, mark, query = entry.url.partition("?")
    rtype, _, fid = path.partition("/")
    if rtype not in definitions.RESOURCE_TYPES:
        raise unknown_type(rtype)
    if "/" in fid:
        raise _misplaced(entry)
    letter = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}[entry.method]
    call.access.need(rtype, letter)  # type: ignore[arg-type]  # a scope letter
    if entry.method == "POST":
        if fid or mark:
            raise _misplaced(entry)
        condition = entry.request.get("ifNoneExist")
        if not isinstance(condition, str) or not condition:
            return _Placed(entry, rtype, new_id())
        question = await condition_of(call, rtype, condition.removeprefix(rtype))
        met = await target_of(call, rtype, question)
        return _Placed(entry, rtype, met or new_id(), question, met)
    if fid:
        legal_id(fid)
        return _Placed(entry, rtype, fid)
    if not query:
        raise _misplaced(entry)
    question = await condition_of(call, rtype, query)
    met = await target_of(call, rtype, question)
    named = str((entry.resource or {}).get("id") or "") if entry.method == "PUT" else ""
    return _Placed(entry, rtype, met or named or (new_id() if entry.method == "PUT" else "-"), question, met)


def _misplaced(entry: Entry) -> BadRequestError:
    return BadRequestError(
        Text(
            f"{entry.method} {entry.url!r} makes no sense in a transaction.",
            f"درخواست {entry.method} با این نشانی در تراکنش معنا ندارد.",
        ),
        expression=("request.url",),
    )


def _refuse_overlap(placed: list[_Placed]) -> None:
    """http://hl7.org/fhir/R4/http.html#trules: no two entries may touch the same resource."""
    seen: dict[tuple[str, str], int] = {}
    for p in placed:
        if p.fid == "-" or p.kept:
            continue
        other = seen.setdefault((p.rtype, p.fid), p.entry.number)
        if other != p.entry.number:
            raise BadRequestError(
                Text(
                    f"Entries {other} and {p.entry.number} both touch {p.rtype}/{p.fid}.",
                    f"ورودی‌های {other} و {p.entry.number} هر دو به {p.rtype}/{p.fid} مربوط‌اند.",
                ),
                code="duplicate",
                expression=(f"Bundle.entry[{p.entry.number}]",),
            )


def _links(call: Call, placed: list[_Placed]) -> dict[str, str]:
    """What entries are called by one another -> what they are called now."""
    links: dict[str, str] = {}
    for p in placed:
        url = p.entry.full_url
        if not url or p.entry.method == "DELETE":
            continue
        now = f"{p.rtype}/{p.fid}"
        if links.setdefault(url, now) != now:
            raise BadRequestError(
                Text(f"fullUrl {url!r} is used twice.", f"نشانی {url} دو بار به کار رفته است."),
                code="duplicate",
                expression=(f"Bundle.entry[{p.entry.number}].fullUrl",),
            )
        if url.startswith(("http://", "https://")):
            old = "/".join(url.rsplit("/", 2)[1:])
            if old != now and old.startswith(p.rtype + "/"):
                links.setdefault(old, now)
    return links


# --- references -------------------------------------------------------------------------------------------------------


async def _linked(call: Call, resource: Any, links: dict[str, str]) -> Any:
    """A copy of the resource with its references to other entries, and conditional ones, made real."""
    conditional: dict[str, str] = {}
    for reference in set(_references(resource)):
        match = _CONDITIONAL.match(reference)
        if match is not None:
            conditional[reference] = await _resolved(call, match[1], match[2])
        elif reference.startswith("urn:uuid:") and reference not in links:
            raise BadRequestError(
                Text(
                    f"No entry of the transaction has the fullUrl {reference}, to which it refers.",
                    f"هیچ ورودی‌ای در تراکنش نشانی {reference} را که به آن ارجاع شده ندارد.",
                ),
                code="not-found",
                rule="reference-exists",
                expression=("resource",),
                hint=Text("Give that entry this fullUrl.", "همین نشانی را در fullUrl آن ورودی بگذارید."),
            )

    def rename(key: str, text: str) -> str:
        if key == "div":
            return _LINK.sub(lambda m: f'{m[1]}="{links.get(m[2], m[2])}"', text)
        if key == "reference":
            bare, mark, _ = text.partition("/_history/")
            return links.get(text) or conditional.get(text) or (links[bare] if mark and bare in links else text)
        return links.get(text, text) if text.startswith("urn:") else text

    return _renamed(resource, rename)


def _references(node: Any) -> list[str]:
    found, stack = [], [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            reference = current.get("reference")
            if isinstance(reference, str):
                found.append(reference)
            stack += current.values()
        elif isinstance(current, list):
            stack += current
    return found


def _renamed(node: Any, rename: Callable[[str, str], str], key: str = "") -> Any:
    if isinstance(node, dict):
        return {k: _renamed(v, rename, k) for k, v in node.items()}
    if isinstance(node, list):
        return [_renamed(item, rename, key) for item in node]
    return rename(key, node) if isinstance(node, str) else node


async def _resolved(call: Call, rtype: str, query: str) -> str:
    """Whom a conditional reference means; it must be exactly one resource."""
    if rtype not in definitions.RESOURCE_TYPES:
        raise unknown_type(rtype)
    met = await target_of(call, rtype, await condition_of(call, rtype, query))
    if not met:
        raise PreconditionError(
            Text(
                f"The conditional reference {rtype}?{query} matches nothing.",
                f"ارجاع شرطی {rtype}?{query} با هیچ منبعی سازگار نیست.",
            ),
            code="not-found",
        )
    return f"{rtype}/{met}"


# --- intents ----------------------------------------------------------------------------------------------------------


async def _intent(call: Call, p: _Placed, links: dict[str, str], born: Collection[str]) -> Intent:
    entry, kind = p.entry, _KINDS[p.entry.method]
    match = entry.request.get("ifMatch")
    if_match = version_of(match.encode(), "ifMatch") if isinstance(match, str) and match.strip() != "*" else ""
    new = entry.request.get("ifNoneMatch") == "*"
    made = Intent(kind, p.rtype, p.fid, None, None, p.condition, p.met, if_match, new)
    if kind == "delete" or p.kept:
        return made
    if kind == "patch":
        return await _patch(call, p, made)
    resource = entry.resource
    if resource.get("resourceType") != p.rtype:
        raise BadRequestError(
            Text(
                f"The URL says {p.rtype}, the resource {resource.get('resourceType')!r}.",
                f"نشانی {p.rtype} است ولی منبع از نوع دیگری است.",
            ),
            expression=("resource.resourceType",),
        )
    if kind == "update" and p.condition is None:
        id_in_body(resource, p.fid, p.rtype)
        await must_reach(call, p.rtype, p.fid, "u")
    linked = await _linked(call, resource, links)
    made.resource, made.rows, made.needed = await draft_but_references(call, linked, p.fid, born)
    return made


async def _refuse_missing(call: Call, placed: list[_Placed], intents: list[Intent]) -> None:
    """All references out of the Bundle are looked for together."""
    gone = set(await missing(call, sorted({key for intent in intents for key in intent.needed})))
    for p, intent in zip(placed, intents, strict=True):
        if gone:
            await _at(p.entry, _refuse(call, intent, gone))
        intent.needed = ()


async def _refuse(call: Call, intent: Intent, gone: set[Key]) -> None:
    refuse_missing(call, intent.resource or {}, [key for key in intent.needed if key in gone])


async def _patch(call: Call, p: _Placed, made: Intent) -> Intent:
    store = call.services.store
    current = await repository.read(store.database, call.tenant, store.dictionary.types[p.rtype], p.fid)
    limits = call.access.limits(p.rtype, "u")
    if current is None or not (unbounded(limits, current.body) or await permitted(call, current, limits)):
        raise unknown_resource(p.rtype, p.fid)
    if current.deleted:
        raise deleted_resource(p.rtype, p.fid, str(current.ver))
    made.resource, made.rows = await draft(call, _patcher(p.entry)(current.body), p.fid)
    made.prepared_on = current.ver
    return made


def _patcher(entry: Entry) -> Patcher:
    """A patch in a Bundle is Parameters, or a Binary that holds a JSON Patch."""
    resource = entry.resource
    if resource.get("resourceType") == "Parameters":
        return fhirpath_patcher(resource)
    if resource.get("resourceType") != "Binary":
        raise BadRequestError(
            Text("A patch is Parameters or a Binary.", "وصله باید Parameters یا Binary باشد."), expression=("resource",)
        )
    return json_patcher(parse(binary_data(entry)))


def binary_data(entry: Entry) -> bytes:
    """What a Binary entry holds."""
    try:
        return base64.b64decode(str(entry.resource.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError(
            Text("The patch's data is not base64.", "دادهٔ وصله base64 نیست."), expression=("resource.data",)
        ) from None
