"""FHIRPath Patch: a Parameters resource of add, insert, delete, replace and move. http://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from sandbox.fhir import definitions
from sandbox.fhir.fhirpath.engine import Environment, EvaluationError, evaluator
from sandbox.fhir.fhirpath.items import IncomparableError, Item, of_resource
from sandbox.fhir.fhirpath.syntax import (
    Binary,
    Call,
    FhirPathSyntaxError,
    Indexer,
    Member,
    Node,
    TypeTest,
    Unary,
    parse,
)
from sandbox.fhir.outcomes import BadRequestError, Text, UnprocessableError

MAX_OPERATIONS: Final = 1000
_NEEDS: Final = {
    "add": ("path", "name", "value"), "insert": ("path", "index", "value"), "delete": ("path",), "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}  # fmt: skip
_KINDS: Final = {
    "path": "valueString",
    "name": "valueString",
    "index": "valueInteger",
    "source": "valueInteger",
    "destination": "valueInteger",
}
# A client's regular expression could keep the server busy for hours; paths that need one do not exist.
_FORBIDDEN: Final = frozenset({"matches", "replaceMatches", "trace", "repeat"})


def apply_fhirpath_patch(resource: dict[str, Any], patch: object) -> dict[str, Any]:
    """The patched resource. Operations run in order, each seeing what the ones before it did."""
    operations = _operations(patch)
    changed = deepcopy(resource)
    for i, parts in enumerate(operations):
        _Operation(parts, i).apply(changed)
    return changed


class _Value:
    """A value to put in: its JSON and, unless it is an anonymous backbone, its FHIR type."""

    def __init__(self, json: Any, kind: str) -> None:
        self.json, self.kind = json, kind


def _operations(patch: object) -> list[dict[str, Any]]:
    parameters = (
        patch.get("parameter") if isinstance(patch, dict) and patch.get("resourceType") == "Parameters" else None
    )
    if not isinstance(parameters, list) or not parameters:
        raise _malformed(
            None, Text("a Parameters resource with operations is needed", "منبع Parameters با دست‌کم یک عملیات لازم است")
        )
    if len(parameters) > MAX_OPERATIONS:
        raise _malformed(
            None, Text(f"at most {MAX_OPERATIONS} operations are allowed", f"حداکثر {MAX_OPERATIONS} عملیات مجاز است")
        )
    return [_parts(p, i) for i, p in enumerate(parameters)]


def _parts(parameter: object, i: int) -> dict[str, Any]:
    """The parts of one operation by name, checked for presence and type."""
    parts = parameter.get("part") if isinstance(parameter, dict) and parameter.get("name") == "operation" else None
    if not isinstance(parts, list) or not all(isinstance(p, dict) for p in parts):
        raise _malformed(
            i, Text("a parameter named 'operation' with parts is needed", "پارامتری به نام operation با part لازم است")
        )
    named = {str(p.get("name")): p for p in parts}
    kind = named.get("type", {}).get("valueCode")
    if not isinstance(kind, str) or kind not in _NEEDS:
        raise _malformed(
            i, Text(f"type {kind!r} is none of {', '.join(_NEEDS)}", f"type «{kind}» هیچ‌یک از {', '.join(_NEEDS)} نیست")
        )
    found: dict[str, Any] = {"type": kind}
    for name in _NEEDS[kind]:
        part = named.get(name)
        if part is None:
            raise _malformed(i, Text(f"{kind} needs {name}", f"عملیات {kind} به {name} نیاز دارد"))
        found[name] = _value(part, i) if name == "value" else _argument(part, name, i)
    return found


def _argument(part: dict[str, Any], name: str, i: int) -> Any:
    value = part.get(_KINDS[name])
    sound = isinstance(value, str) and value if _KINDS[name] == "valueString" else type(value) is int and value >= 0
    if not sound:
        raise _malformed(i, Text(f"{name} needs a {_KINDS[name]}", f"مقدار {name} باید در {_KINDS[name]} بیاید"))
    return value


def _value(part: dict[str, Any], i: int) -> _Value:
    """`value[x]`, or nested parts for a backbone that no data type describes."""
    for key, value in part.items():
        if key.startswith("value"):
            kind = key.removeprefix("value")
            primitive = kind[:1].lower() + kind[1:]
            return _Value(value, primitive if definitions.is_type(primitive) else kind)
    if isinstance(part.get("resource"), dict):
        return _Value(part["resource"], "Resource")
    inner = part.get("part")
    if not isinstance(inner, list) or not inner:
        raise _malformed(i, Text("the value is missing", "مقدار نیامده است"))
    made: dict[str, Any] = {}
    for one in inner:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise _malformed(i, Text("each part of a value needs a name", "هر جزء مقدار باید نام داشته باشد"))
        made.setdefault(one["name"], []).append(_value(one, i))
    return _Value(made, "")


def _malformed(i: int | None, why: Text) -> BadRequestError:
    where = (
        Text("The FHIRPath Patch", "وصلهٔ FHIRPath")
        if i is None
        else Text(f"Operation {i} of the patch", f"عملیات {i} وصله")
    )
    return BadRequestError(
        Text(f"{where.en}: {why.en}.", f"{where.fa}: {why.fa}."),
        code="structure",
        rule="fhirpath-patch",
        expression=() if i is None else (f"Parameters.parameter[{i}]",),
    )


class _Operation:
    """One operation, with its position for error messages."""

    def __init__(self, parts: dict[str, Any], i: int) -> None:
        self.parts, self.i = parts, i

    def fail(self, en: str, fa: str) -> UnprocessableError:
        kind, path = self.parts["type"], self.parts["path"]
        return UnprocessableError(
            Text(
                f"Operation {self.i} ({kind} {path}) cannot be applied: {en}.",
                f"عملیات {self.i} ({kind} {path}) اعمال‌پذیر نیست: {fa}.",
            ),
            code="processing",
            rule="fhirpath-patch",
            expression=(f"Parameters.parameter[{self.i}]",),
        )

    def apply(self, resource: dict[str, Any]) -> None:
        root = of_resource(resource)
        node = self.parsed()
        kind = self.parts["type"]
        if kind in {"insert", "move"}:
            self.reorder(root, node, kind)
            return
        items = self.select(root, self.parts["path"])
        if kind == "delete" and not items:
            return
        if len(items) != 1:
            raise self.fail(
                f"the path selects {len(items)} elements, not one", f"مسیر به‌جای یک عنصر، {len(items)} عنصر برمی‌گزیند"
            )
        if kind == "add":
            self.add(items[0], self.parts["name"], self.parts["value"])
        elif items[0].parent is None:
            raise self.fail("the whole resource cannot be replaced or deleted", "کل منبع را نمی‌توان جایگزین یا حذف کرد")
        elif kind == "delete":
            self.delete(items[0])
        else:
            self.replace(items[0], self.parts["value"])

    def parsed(self) -> Node:
        try:
            node = parse(self.parts["path"])
        except FhirPathSyntaxError as error:
            raise _malformed(
                self.i, Text(f"the path is not FHIRPath: {error}", "مسیر عبارت FHIRPath درستی نیست")
            ) from error
        _refuse_costly(node, self.i)
        return node

    def select(self, root: Item, path: str) -> list[Item]:
        try:
            return evaluator(path)([root], Environment(root))
        except (EvaluationError, IncomparableError) as error:
            raise self.fail(f"the path cannot be evaluated: {error}", "مسیر ارزیابی‌پذیر نیست") from error

    def add(self, target: Item, name: str, value: _Value) -> None:
        node = target.value
        if not isinstance(node, dict):
            raise self.fail("its target is a primitive", "هدف آن مقدار ساده است")
        key, many = self.place(target, name, value)
        json = self.json(value, self.child_type(target, name))
        if many:
            node.setdefault(key, []).append(json)
        elif key in node:
            raise self.fail(f"{key} is there already", f"{key} از پیش هست")
        else:
            node[key] = json

    def place(self, target: Item, name: str, value: _Value) -> tuple[str, bool]:
        """The JSON name under which a value goes, and whether it is an array."""
        element = (
            definitions.type_of(target.type).elements.get(name.removesuffix("[x]"))
            if definitions.is_type(target.type)
            else None
        )
        if element is None:
            raise self.fail(f"{target.type} has no element {name!r}", f"در {target.type} عنصری به نام «{name}» نیست")
        if not element.choice:
            return name, element.many
        key = next((n for n, kind in element.json_names if kind == value.kind), None)
        if key is None:
            raise self.fail(f"{name}[x] cannot be a {value.kind}", f"{name}[x] نمی‌تواند از نوع {value.kind} باشد")
        return key, False

    def child_type(self, target: Item, name: str) -> str:
        element = definitions.type_of(target.type).elements[name.removesuffix("[x]")]
        return element.types[0].code if element.types else ""

    def json(self, value: _Value, type_name: str) -> Any:
        """The JSON of a value; the parts of a backbone find their names and arrays in its definition."""
        if value.kind:
            return deepcopy(value.json)
        made: dict[str, Any] = {}
        holder = Item(made, type_name)
        for name, values in value.json.items():
            for one in values:
                self.add(holder, name, one)
        return made

    def delete(self, item: Item) -> None:
        owner = item.parent
        while owner is not None:
            _remove(owner.value, item.key, item.index)
            # What a deletion empties would be invalid FHIR: it goes as well, up to the resource itself.
            if owner.value or owner.parent is None:
                return
            item, owner = owner, owner.parent

    def replace(self, item: Item, value: _Value) -> None:
        owner = item.parent
        assert owner is not None  # noqa: S101 (apply() has refused the root)
        json = self.json(value, item.type)
        if item.index is not None:
            owner.value[item.key][item.index] = json
            return
        name = _element_name(owner.type, item.key)
        key, _ = self.place(owner, name, value) if name else (item.key, False)
        if key != item.key:
            _remove(owner.value, item.key, None)
        owner.value.pop("_" + item.key, None)
        owner.value[key] = json

    def reorder(self, root: Item, node: Node, kind: str) -> None:
        """insert and move work on the list that the path's last name denotes."""
        if not isinstance(node, Member):
            raise self.fail("the path must end with the name of a list", "مسیر باید به نام یک فهرست ختم شود")
        path = self.parts["path"]
        owner_path = path[: path.rstrip().rindex(".")] if node.target is not None else "$this"
        owners = self.select(root, owner_path)
        if len(owners) != 1 or not isinstance(owners[0].value, dict):
            raise self.fail("the path does not select one list", "مسیر یک فهرست مشخص برنمی‌گزیند")
        owner = owners[0]
        existing = owner.value.get(node.name)
        if existing is not None and not isinstance(existing, list):
            raise self.fail(f"{node.name} is not a list", f"{node.name} فهرست نیست")
        items: list[Any] = list(existing or [])
        if kind == "insert":
            if self.parts["index"] > len(items):
                raise self.fail(f"the list has only {len(items)} elements", f"فهرست فقط {len(items)} عضو دارد")
            value = self.parts["value"]
            if not self.place(owner, node.name, value)[1]:
                raise self.fail(f"{node.name} is not a list", f"{node.name} فهرست نیست")
            items.insert(self.parts["index"], self.json(value, self.child_type(owner, node.name)))
        else:
            source, destination = self.parts["source"], self.parts["destination"]
            if max(source, destination) >= len(items):
                raise self.fail(f"the list has only {len(items)} elements", f"فهرست فقط {len(items)} عضو دارد")
            items.insert(destination, items.pop(source))
        owner.value[node.name] = items


def _element_name(type_name: str, key: str) -> str:
    if not definitions.is_type(type_name):
        return ""
    return next(
        (e.name for e in definitions.type_of(type_name).elements.values() for n, _ in e.json_names if n == key), ""
    )


def _remove(node: dict[str, Any], key: str, index: int | None) -> None:
    """Take a value out with its `_` companion; an array that is left empty goes too."""
    for name in (key, "_" + key):
        if index is None:
            node.pop(name, None)
            continue
        values = node.get(name)
        if isinstance(values, list) and index < len(values):
            del values[index]
            if not any(v is not None for v in values):
                del node[name]


def _refuse_costly(node: Node, i: int) -> None:
    stack: list[Node | None] = [node]
    while stack:
        match stack.pop():
            case Call(target, name, arguments):
                if name in _FORBIDDEN:
                    raise _malformed(i, Text(f"{name}() is not allowed in a patch", f"تابع {name}() در وصله مجاز نیست"))
                stack += [target, *arguments]
            case Binary(_, left, right) | Indexer(left, right):
                stack += [left, right]
            case Member(target, _) | Unary(_, target) | TypeTest(_, target, _):
                stack.append(target)
