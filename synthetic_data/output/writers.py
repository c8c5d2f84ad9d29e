"""The formats a population can be written in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..population import PopulationSpec
from .bundles import write_bundles
from .ndjson import write_ndjson
from .progress import Progress

Writer = Callable[[PopulationSpec, Path, int, Progress, bool], dict[str, Any]]
"""(spec, directory, jobs, progress, overwrite) -> manifest."""


def _parquet(spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool) -> dict[str, Any]:
    from .parquet import write_parquet  # pyarrow is large, and only this format needs it

    return write_parquet(spec, path, jobs, progress, overwrite)


WRITERS: dict[str, Writer] = {"ndjson": write_ndjson, "bundle": write_bundles, "parquet": _parquet}
