"""What a resource must pass before it is stored, by the Tenant's mode: strict refuses, warn remarks, off looks away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sandbox.exchange.calls import Call
from sandbox.exchange.profiling import by_profiles, claimed_profiles
from sandbox.exchange.reading import permitted
from sandbox.fhir import validation
from sandbox.fhir.entries import IndexEntries
from sandbox.fhir.outcomes import Issue, Text, UnprocessableError
from sandbox.security.access import Limit
from sandbox.storage import repository
from sandbox.storage.encoding import floated

Key = tuple[str, str]
"""(type, id) of a resource that is referred to."""

_WHOLE = (Limit(),)


async def check(
    call: Call, resource: dict[str, Any], entries: IndexEntries | None = None, known: Collection[str] = ()
) -> None:
    """Raises `UnprocessableError` with every issue found, unless the Tenant only wants to be told.

    `entries` are its index entries, when they are at hand; `known` are resources (Type/id) that come into being in the same transaction.
    """
    found = entries or call.services.store.indexer.entries(resource)
    needed = await check_all_but_references(call, resource, found, known)
    if needed:
        refuse_missing(call, resource, await missing(call, needed))


async def check_all_but_references(
    call: Call, resource: dict[str, Any], entries: IndexEntries, known: Collection[str] = ()
) -> list[Key]:
    """As `check`, but returns what the resource refers to, for whoever can look for it together with others."""
    mode = call.tenant.validation
    if mode == "off":
        return []
    issues = validation.validate(floated(resource))
    claimed = claimed_profiles(resource)
    if claimed:
        issues = [*issues, *await by_profiles(call, resource, claimed, demanded=False)]
    needed = [key for key in _referred(resource, entries) if "/".join(key) not in known]
    if not issues:
        return needed
    if mode == "strict" and validation.errors(issues):
        issues += _unresolved(resource, await missing(call, needed))
        raise UnprocessableError(issues=issues)
    call.remarks += issues
    return needed


async def missing(call: Call, needed: Sequence[Key]) -> list[Key]:
    """Those of `needed` that are not here, or that the caller is kept from seeing."""
    if not needed:
        return []
    store = call.services.store
    hidden, numbers = [], {}
    for kind, fid in needed:
        seen = await _seen(call, kind, fid)
        if seen is None:
            numbers[store.dictionary.types[kind], fid] = (kind, fid)
        elif not seen:
            hidden.append((kind, fid))
    if numbers:
        hidden += [numbers[key] for key in await repository.absent(store.database, call.tenant, list(numbers))]
    return hidden


def looked_for_plainly(call: Call, kind: str) -> bool:
    """Whether all that counts is that a resource of this type is here, not whether the caller may learn of it.

    Who may see only part of a type is not told of the rest: hidden and absent look the same. Who may not see the type at all, but
    may refer to it, learns that it exists; inside a patient's record only the patient is taken for granted.
    """
    limits = call.access.limits(kind, "r") or call.access.limits(kind, "s")
    return limits == _WHOLE or not (limits or call.access.patient)


async def _seen(call: Call, kind: str, fid: str) -> bool | None:
    """Whether this caller may learn that a resource is here; None when nothing speaks against looking."""
    if looked_for_plainly(call, kind):
        return None
    limits = call.access.limits(kind, "r") or call.access.limits(kind, "s")
    if not limits:
        return kind != "Patient" or fid == call.access.patient
    store = call.services.store
    found = await repository.read(store.database, call.tenant, store.dictionary.types[kind], fid)
    return found is not None and not found.deleted and await permitted(call, found, limits)


async def missing_references(call: Call, resource: dict[str, Any], entries: IndexEntries) -> list[Issue]:
    """An issue for each reference to a resource that is not here."""
    return _unresolved(resource, await missing(call, _referred(resource, entries)))


def _referred(resource: dict[str, Any], entries: IndexEntries) -> list[Key]:
    """What the resource refers to by type and id; a Bundle holds its own Composition or MessageHeader, it does not refer to it."""
    own = ("composition", "message") if resource.get("resourceType") == "Bundle" else ()
    return sorted({(kind, fid) for code, kind, fid, *_ in entries.references if fid and code not in own})


def refuse_missing(call: Call, resource: dict[str, Any], missing: Sequence[Key]) -> None:
    """Raises `UnprocessableError` for references to what is not here, or remarks on them."""
    if not missing:
        return
    issues = _unresolved(resource, missing)
    if call.tenant.validation == "strict":
        raise UnprocessableError(issues=issues)
    call.remarks += issues


def _unresolved(resource: dict[str, Any], missing: Sequence[Key]) -> list[Issue]:
    return [_unresolved_one(resource, f"{kind}/{fid}") for kind, fid in missing]


def _unresolved_one(resource: dict[str, Any], reference: str) -> Issue:
    return Issue(
        "error",
        "not-found",
        Text(f"{reference} is not here.", f"منبع {reference} در اینجا نیست."),
        tuple(_paths(resource, resource["resourceType"], reference)),
        "reference-exists",
        Text(
            "Create it first, or send both in one transaction.",
            "نخست آن را بسازید یا هر دو را در یک تراکنش بفرستید.",
        ),
    )


def _paths(node: Any, path: str, reference: str) -> Iterable[str]:
    """FHIRPaths of the elements that hold `reference`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "reference" and isinstance(value, str) and value.partition("/_history/")[0].endswith(reference):
                yield f"{path}.reference"
            else:
                yield from _paths(value, f"{path}.{key}", reference)
    elif isinstance(node, list):
        for n, item in enumerate(node):
            yield from _paths(item, f"{path}[{n}]", reference)
