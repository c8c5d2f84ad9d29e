"""What a manifest says: the spec, the versions that made the bytes, and a plain statement that all of it is
synthetic."""

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..conditions.registry import stories
from ..errors import OutputError
from ..generator import Batch
from ..population import PopulationSpec
from .directory import MANIFEST

FORMAT_VERSION = 1


def package_version() -> str:
    """The version of the product."""
    try:
        return version("gozar")
    except PackageNotFoundError:
        return "0"


@cache
def inputs() -> dict[str, str]:
    """The files a population is made from, with their hashes: published tables, stories and catalogues, and no record of anybody."""
    root = files("synthetic_data")
    found = {}
    for folder in ("world/data", "catalogue", "conditions", "life"):
        for entry in root.joinpath(folder).iterdir():
            if entry.name.endswith((".json", ".toml")):
                found[f"{folder}/{entry.name}"] = sha256(entry.read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def read_spec(path: Path) -> tuple[PopulationSpec, str]:
    """The spec and the format of a population written before; raises OutputError when there is none."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        return PopulationSpec.from_dict(manifest["spec"]), str(manifest["format"])
    except OSError as error:
        raise OutputError(f"{path} holds no whole population: {MANIFEST} cannot be read") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(f"{path / MANIFEST} is not a manifest") from error


class Tally:
    """Counts people by what was written about them, over the batches of a run: {what: people}."""

    def __init__(self, known: dict[str, int] | None = None) -> None:
        self.counts = dict(known or {})

    def add(self, found: dict[str, int]) -> None:
        """Add the counts of a shard."""
        for name, count in found.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def told(self) -> dict[str, dict[str, int]]:
        """The part of the manifest that reports them."""
        told: dict[str, dict[str, int]] = {"diagnosed": {}, "imperfections": {}}
        by_code = {story.code: story.id for story in stories().values()}
        for name, count in sorted(self.counts.items()):
            kind, _, what = name.partition(":")
            told[kind][by_code.get(what, what) if kind == "diagnosed" else what] = count
        return {kind: counts for kind, counts in told.items() if counts}


_IMPERFECT = re.compile(rb'CodeSystem/imperfection","code":"([a-z-]+)"')


def count(batch: Batch, imperfect: bool) -> dict[str, int]:
    """What one person adds to the tally: a 1 for each story with a diagnosis, and, where there may be some (`imperfect`), the
    number of each imperfection."""
    start = len(batch.label) + 1
    known = [identifier for kind, identifier, _ in batch.resources if kind == "Condition"]
    found = dict.fromkeys(["diagnosed:" + identifier[start:].rstrip("0123456789") for identifier in known], 1)
    if imperfect:
        for _, _, content in batch.resources:
            if content.find(b"CodeSystem/imperfection", 0, 600) > 0:  # meta comes first in everything that is written
                for name in _IMPERFECT.findall(content):
                    key = "imperfections:" + name.decode().replace("-", "_")
                    found[key] = found.get(key, 0) + 1
    return found


def achieved(manifest: dict[str, Any], spec: PopulationSpec) -> Iterator[str]:
    """For a cohort, how far the people written show what was asked for."""
    if spec.cohort is None or not manifest["people"]:
        return
    yield "achieved: sex and age 100%" + ("" if spec.cohort.payer is None else ", insurer 100%")
    for name in spec.cohort.stories:
        share = manifest.get("diagnosed", {}).get(name, 0) / manifest["people"]
        yield f"achieved: {name} begun in 100%, with a recorded diagnosis in {share:.0%} (the others do not know of it)"


def describe(spec: PopulationSpec, form: str) -> dict[str, Any]:
    """The part of the manifest known before the first byte; it also tells whether an interrupted run may be resumed."""
    return {
        "notice": "SYNTHETIC: no real person is described; every resource carries meta.security HTEST",
        "format": form,
        "format_version": FORMAT_VERSION,
        "fhir_version": "4.0.1",
        "generator": {"name": "gozar synthetic_data", "version": package_version()},
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "spec": spec.to_dict(),
        "inputs": inputs(),
    }
