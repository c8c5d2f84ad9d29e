"""Parameters of an operation: from the query of a GET, or from the Parameters resource of a POST.

http://hl7.org/fhir/R4/operations.html#executes
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sandbox.exchange.calls import Call
from sandbox.exchange.negotiation import FORM, media_type, need_json, read_body
from sandbox.fhir import dates
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.search.request import pairs
from sandbox.storage.encoding import parse

_IGNORED = frozenset({"_format", "_pretty"})


class Inputs:
    """Named values, each possibly several times; resources apart from plain values."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.resources: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, Any] = {}
        self.repeated: dict[str, list[Any]] = {}
        """Structured values, every occurrence."""
        self.body: dict[str, Any] | None = None
        """The body itself when it was a resource other than Parameters."""

    def one(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[-1]

    def words(self, name: str) -> list[str]:
        """Comma-separated values of all occurrences."""
        return [word for value in self.values.get(name, []) for word in value.split(",") if word]

    def references(self, name: str) -> list[str]:
        """`reference` of each valueReference."""
        named = [value.get("reference") for value in self.repeated.get(name, []) if isinstance(value, dict)]
        return [reference for reference in named if isinstance(reference, str)]

    def number(self, name: str, default: int, *, least: int = 0, most: int = 10_000) -> int:
        text = self.one(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
            raise bad(name, f"must be a whole number of at least {least}", f"باید عدد صحیحی دست‌کم {least} باشد")
        return min(int(text), most)

    def flag(self, name: str) -> bool:
        text = self.one(name, "false")
        if text not in ("true", "false"):
            raise bad(name, "must be true or false", "باید true یا false باشد")
        return text == "true"

    def moment(self, name: str) -> dates.DateRange | None:
        text = self.one(name)
        return dates.search_range(text, name) if text else None

    def allow(self, names: Collection[str]) -> None:
        """Raises `BadRequestError` for a parameter that the operation does not have."""
        for name in (*self.values, *self.resources):
            if name not in names and name not in _IGNORED:
                known = ", ".join(sorted(names))
                raise BadRequestError(
                    Text(f"This operation has no parameter {name!r}.", f"این عملیات پارامتر «{name}» ندارد."),
                    code="not-supported",
                    hint=Text(f"It takes {known}.", f"پارامترها: {known}."),
                )


def bad(name: str, en: str, fa: str) -> BadRequestError:
    return BadRequestError(Text(f"Parameter {name} {en}.", f"پارامتر {name} {fa}."), code="value")


async def read(call: Call) -> Inputs:
    """Inputs of a call; a POST may carry a form, Parameters or, for one resource, the resource itself."""
    found = Inputs()
    for name, value in call.query:
        found.values.setdefault(name, []).append(value)
    if call.request.method != "POST":
        return found
    kind = media_type(call.request)
    raw = await read_body(call.request)
    if kind == FORM:
        for name, value in pairs(raw):
            found.values.setdefault(name, []).append(value)
        return found
    if not raw.strip():
        return found
    need_json(kind)
    body = parse(raw)
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise BadRequestError(
            Text("The body must be a FHIR resource.", "بدنه باید منبعی از FHIR باشد."), code="structure"
        )
    if body["resourceType"] != "Parameters":
        found.body = body
        return found
    _parameters(body, found)
    return found


def _parameters(body: Mapping[str, Any], found: Inputs) -> None:
    listed = body.get("parameter", [])
    if not isinstance(listed, list) or not all(isinstance(p, dict) and isinstance(p.get("name"), str) for p in listed):
        raise BadRequestError(
            Text(
                "Parameters.parameter must be an array of named parameters.",
                "Parameters.parameter باید آرایه‌ای از پارامترهای نام‌دار باشد.",
            ),
            code="structure",
            expression=("Parameters.parameter",),
        )
    for parameter in listed:
        name = parameter["name"]
        resource = parameter.get("resource")
        if isinstance(resource, dict):
            found.resources[name] = resource
            continue
        for key, value in parameter.items():
            if not key.startswith("value"):
                continue
            if isinstance(value, (dict, list)):
                found.parts[name] = value
                found.repeated.setdefault(name, []).append(value)
            else:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                found.values.setdefault(name, []).append(text)
