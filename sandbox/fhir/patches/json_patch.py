"""JSON Patch (RFC 6902) over JSON Pointers (RFC 6901)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from sandbox.fhir.outcomes import BadRequestError, Text, UnprocessableError

MAX_OPERATIONS: Final = 1000
MAX_COPIED: Final = 20_000
_NEEDS: Final = {
    "add": ("path", "value"), "remove": ("path",), "replace": ("path", "value"), "move": ("from", "path"),
    "copy": ("from", "path"), "test": ("path", "value"),
}  # fmt: skip


def apply_json_patch(resource: dict[str, Any], operations: object) -> Any:
    """The patched document. Atomic: an operation that fails leaves nothing done."""
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise BadRequestError(
            Text("A JSON Patch is an array of operations.", "وصلهٔ JSON باید آرایه‌ای از عملیات باشد."),
            code="structure",
            rule="json-patch",
        )
    if len(operations) > MAX_OPERATIONS:
        raise BadRequestError(
            Text(
                f"A patch may have at most {MAX_OPERATIONS} operations.",
                f"وصله حداکثر {MAX_OPERATIONS} عملیات می‌پذیرد.",
            ),
            code="too-costly",
            rule="json-patch",
        )
    steps = [_checked(operation, i) for i, operation in enumerate(operations)]
    document: Any = deepcopy(resource)
    emptied: list[Any] = []
    for i, operation in enumerate(steps):
        document = _Step(operation, i, emptied).apply(document)
    _prune(document, {id(node) for node in emptied})
    return document


def _prune(node: Any, emptied: set[int]) -> None:
    """FHIR JSON knows no empty arrays or objects: what the patch itself emptied goes as well, parents included."""
    for key, child in list(
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    )[::-1]:
        if isinstance(child, (dict, list)):
            held = bool(child)
            _prune(child, emptied)
            if not child and (held or id(child) in emptied):
                del node[key]


def _checked(operation: dict[str, Any], i: int) -> dict[str, Any]:
    name = operation.get("op")
    if not isinstance(name, str) or name not in _NEEDS:
        raise _malformed(i, Text(f"unknown op {name!r}", f"op «{name}» شناخته نیست"))
    for member in _NEEDS[name]:
        if member not in operation:
            raise _malformed(i, Text(f"{name} needs {member!r}", f"عملیات {name} به «{member}» نیاز دارد"))
        if member != "value" and not _is_pointer(operation[member]):
            raise _malformed(
                i,
                Text(f"{operation[member]!r} is not a JSON Pointer", f"«{operation[member]}» نشانی JSON Pointer نیست"),
            )
    return operation


def _is_pointer(text: object) -> bool:
    return (
        isinstance(text, str)
        and (text == "" or text.startswith("/"))
        and "~" not in text.replace("~0", "").replace("~1", "")
    )


def _malformed(i: int, why: Text) -> BadRequestError:
    return BadRequestError(
        Text(f"Operation {i} of the JSON Patch: {why.en}.", f"عملیات {i} در وصلهٔ JSON: {why.fa}."),
        code="structure",
        rule="json-patch",
    )


class _Step:
    """One operation, with its position for error messages."""

    def __init__(self, operation: dict[str, Any], i: int, emptied: list[Any]) -> None:
        self.operation, self.i, self.emptied = operation, i, emptied

    def fail(self, en: str, fa: str) -> UnprocessableError:
        name, path = self.operation["op"], self.operation["path"]
        return UnprocessableError(
            Text(
                f"Operation {self.i} ({name} {path!r}) cannot be applied: {en}.",
                f"عملیات {self.i} ({name} «{path}») اعمال‌پذیر نیست: {fa}.",
            ),
            code="processing",
            rule="json-patch",
        )

    def apply(self, document: Any) -> Any:
        name, path = self.operation["op"], self.operation["path"]
        if name == "test":
            if not same(self.get(document, path), self.operation["value"]):
                raise self.fail("the value is another", "مقدار چیز دیگری است")
            return document
        if name == "remove":
            return self.remove(document, path)
        if name == "replace":
            self.get(document, path)
            return self.set(document, path, deepcopy(self.operation["value"]))
        if name == "add":
            return self.add(document, path, deepcopy(self.operation["value"]))
        source = self.operation["from"]
        found = self.get(document, source)
        if name == "copy" and _size(found) > MAX_COPIED:
            raise self.fail("the value is too large to copy", "مقدار برای رونوشت بیش از اندازه بزرگ است")
        value = deepcopy(found)
        if name == "move":
            if path.startswith(source + "/"):
                raise self.fail("a value cannot move into itself", "مقدار را نمی‌توان به درون خودش برد")
            document = self.remove(document, source)
        return self.add(document, path, value)

    def get(self, document: Any, path: str) -> Any:
        node = document
        for step in _tokens(path):
            if isinstance(node, list):
                node = node[self.position(node, step, len(node) - 1)]
            elif isinstance(node, dict) and step in node:
                node = node[step]
            else:
                raise self.fail(f"there is no {path!r}", f"«{path}» وجود ندارد")
        return node

    def position(self, array: list[Any], step: str, last: int) -> int:
        """An array index: digits without leading zeros (RFC 6901 §4), at most `last`."""
        if not (step.isascii() and step.isdigit()) or (step != "0" and step[0] == "0") or len(step) > 9:
            raise self.fail(f"{step!r} is not an array index", f"«{step}» شمارهٔ آرایه نیست")
        if int(step) > last:
            raise self.fail(f"the array has only {len(array)} elements", f"آرایه فقط {len(array)} عضو دارد")
        return int(step)

    def parent(self, document: Any, path: str) -> tuple[Any, str]:
        head, _, step = path.rpartition("/")
        return self.get(document, head), _unescaped(step)

    def add(self, document: Any, path: str, value: Any) -> Any:
        if path == "":
            return value
        node, step = self.parent(document, path)
        if isinstance(node, list):
            node.insert(len(node) if step == "-" else self.position(node, step, len(node)), value)
        elif isinstance(node, dict):
            node[step] = value
        else:
            raise self.fail("its parent holds no elements", "والد آن عنصری در خود ندارد")
        return document

    def set(self, document: Any, path: str, value: Any) -> Any:
        if path == "":
            return value
        node, step = self.parent(document, path)
        node[int(step) if isinstance(node, list) else step] = value
        return document

    def remove(self, document: Any, path: str) -> Any:
        self.get(document, path)
        if path == "":
            raise self.fail("the whole resource cannot be removed", "کل منبع را نمی‌توان حذف کرد")
        node, step = self.parent(document, path)
        del node[int(step) if isinstance(node, list) else step]
        if not node:
            self.emptied.append(node)
        return document


def _size(value: Any) -> int:
    """Nodes of a value. A patch that copies a document into itself over and over doubles it each time."""
    total, stack = 0, [value]
    while stack and total <= MAX_COPIED:
        node = stack.pop()
        total += 1
        stack.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
    return total


def _tokens(path: str) -> list[str]:
    return [_unescaped(step) for step in path.split("/")[1:]]


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def same(left: Any, right: Any) -> bool:
    """JSON equality (RFC 6902 §4.6): true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
