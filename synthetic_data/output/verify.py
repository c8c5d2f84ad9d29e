"""`python -m synthetic_data verify DIR`: is a directory whole, unchanged, coherent, marked and safe?"""

import json
import re
from array import array
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ..errors import OutputError, SpecError
from ..population import PopulationSpec
from ..safety import clean, scan, scan_text
from .directory import MANIFEST, PARTIAL, PROGRESS

_REFERENCE = re.compile(rb'"reference":\s*"([^"#][^"]*)"')
_IDENTIFIER = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROOM = 4_000_000  # references kept before the repeated ones among them are dropped
_MOST = 20  # findings that are printed one by one


class Verification:
    """The findings of one directory. `problems` is empty when all is well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.count = 0
        self.resources = 0
        self.tier = "A"
        self._ids: array[int] = array("q")
        self._references: array[int] = array("q")
        self._names: dict[int, bytes] = {}
        self._room = _ROOM

    def problem(self, text: str) -> None:
        """Note a finding; only the first ones are kept in words."""
        self.count += 1
        if len(self.problems) < _MOST:
            self.problems.append(text)

    def run(self) -> None:
        """Look at everything."""
        manifest = self._manifest()
        self.tier = manifest.get("spec", {}).get("identifiers", "A")
        entries = {entry.name: entry for entry in self.path.iterdir() if entry.name != MANIFEST}
        present = {name for name, entry in entries.items() if entry.is_file()}
        for name in sorted(set(entries) - set(manifest["files"])):
            self.problem(f"{name}: not listed in the manifest" + (" (unfinished)" if name.endswith(PARTIAL) else ""))
        for name, listed in manifest["files"].items():
            if name not in present:
                self.problem(f"{name}: listed in the manifest but missing")
            else:
                self._file(self.path / name, listed)
        # A directory of changes refers to resources written before: its references are not all inside.
        self._settle(manifest.get("format") != "parquet" and manifest.get("spec", {}).get("changes_since") is None)

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads((self.path / MANIFEST).read_bytes())
            _check(manifest)
        except FileNotFoundError as error:
            unfinished = " (an unfinished run)" if (self.path / PROGRESS).exists() else ""
            raise OutputError(f"{self.path} holds no whole population: {MANIFEST} is missing{unfinished}") from error
        except (ValueError, KeyError, TypeError, AttributeError, SpecError, RecursionError) as error:
            raise OutputError(f"{self.path / MANIFEST} is not a manifest") from error
        except OSError as error:
            raise OutputError(f"cannot read {self.path}: {error.strerror}") from error
        return dict(manifest)

    def _file(self, path: Path, listed: dict[str, Any]) -> None:
        digest = sha256()
        found = 0
        with path.open("rb") as file:
            if path.suffix == ".ndjson":
                for number, line in enumerate(file, 1):
                    digest.update(line)
                    found += 1
                    self._line(line, f"{path.name}:{number}", path.stem)
            else:
                content = file.read()
                digest.update(content)
                if path.suffix == ".json":
                    found = self._bundle(content, path.name)
                elif path.suffix == ".parquet" and digest.hexdigest() == listed["sha256"]:
                    found = self._table(path)
                else:
                    found = listed["resources"]
        if digest.hexdigest() != listed["sha256"]:
            self.problem(f"{path.name}: the bytes are not those of the manifest (sha256 differs)")
        if found != listed["resources"]:
            self.problem(f"{path.name}: {found} resources instead of {listed['resources']}")

    def _table(self, path: Path) -> int:
        from .parquet import rows, texts  # pyarrow is large, and only tables need it

        for column, text in texts(path):
            for found in scan_text(text, self.tier):
                self.problem(f"{path.name}: column {column}: {found}")
        count = rows(path)
        self.resources += count
        return count

    def _line(self, line: bytes, place: str, kind: str) -> None:
        try:
            resource = orjson.loads(line)
        except ValueError:
            self.problem(f"{place}: not JSON")
            return
        if not isinstance(resource, dict) or resource.get("resourceType") != kind:
            self.problem(f"{place}: not a {kind}")
            return
        self._resource(resource, line, place, everywhere=True)

    def _bundle(self, content: bytes, name: str) -> int:
        try:
            entries = [entry["resource"] for entry in orjson.loads(content)["entry"]]
        except (ValueError, KeyError, TypeError):
            self.problem(f"{name}: not a Bundle")
            return 0
        inside = {f"{entry.get('resourceType')}/{entry.get('id')}".encode() for entry in entries}
        if len(inside) != len(entries):
            self.problem(f"{name}: an id is used twice")
        for index, resource in enumerate(entries):
            line = orjson.dumps(resource)
            place = f"{name}: entry {index}"
            self._resource(resource, line, place, everywhere=False)
            for reference in _REFERENCE.findall(line):
                if reference not in inside:
                    self.problem(f"{place}: {reference.decode()} is not in the Bundle")
        return len(entries)

    def _resource(self, resource: dict[str, Any], line: bytes, place: str, everywhere: bool) -> None:
        self.resources += 1
        kind, identifier = resource.get("resourceType"), resource.get("id")
        if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
            self.problem(f"{place}: {identifier!r} is not a FHIR id")
        labels = (resource.get("meta") or {}).get("security") or []
        if not any(label.get("code") == "HTEST" for label in labels):
            self.problem(f"{place}: meta.security does not say HTEST")
        if not clean(resource, self.tier):
            for found in scan(resource, self.tier):
                self.problem(f"{place}: {found}")
        if everywhere:
            self._ids.append(hash(f"{kind}/{identifier}".encode()))
            for reference in _REFERENCE.findall(line):
                key = hash(reference)
                self._references.append(key)
                if len(self._references) > self._room:
                    self._references = array("q", np.unique(np.frombuffer(self._references, dtype=np.int64)).tobytes())
                    self._room = _ROOM + len(self._references)
                if len(self._names) < 200_000:
                    self._names[key] = reference

    def _settle(self, everywhere: bool) -> None:
        """Whether ids are unique and references resolve, over all files."""
        if not everywhere or not len(self._ids):
            return
        ids = np.frombuffer(self._ids, dtype=np.int64)
        unique, counts = np.unique(ids, return_counts=True)
        if twice := int((counts > 1).sum()):
            self.problem(f"{twice} ids are used twice")
        references = np.unique(np.frombuffer(self._references, dtype=np.int64)) if len(self._references) else unique
        missing = references[~np.isin(references, unique)]
        for key in missing[:5].tolist():
            self.problem(f"the reference {self._names.get(key, b'(not kept)').decode()} leads nowhere")
        if len(missing) > 5:
            self.problem(f"{len(missing)} references lead nowhere")


def _check(manifest: Any) -> None:
    """Raise TypeError, KeyError or ValueError unless this has the shape of a manifest."""
    for name, listed in manifest["files"].items():
        if Path(name).name != name or not _DIGEST.fullmatch(listed["sha256"]):
            raise ValueError(name)
        if not isinstance(listed["resources"], int) or not isinstance(listed["bytes"], int):
            raise TypeError(name)
    PopulationSpec.from_dict(manifest["spec"])


def verify(path: Path) -> Verification:
    """Verify a directory; raises OutputError when it holds no whole population."""
    if not path.is_dir():
        raise OutputError(f"{path} is not a directory")
    verification = Verification(path)
    verification.run()
    return verification


def report_lines(verification: Verification) -> Iterator[str]:
    """What to print about a verification that found problems."""
    yield from verification.problems
    if verification.count > len(verification.problems):
        yield f"... and {verification.count - len(verification.problems):,} more"
