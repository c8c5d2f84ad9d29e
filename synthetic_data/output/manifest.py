"""What a manifest says: the spec, the versions that made the bytes, and a plain statement that all of it is
synthetic."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..population import PopulationSpec

FORMAT_VERSION = 1


def package_version() -> str:
    """The version of the product."""
    try:
        return version("gozar")
    except PackageNotFoundError:
        return "0"


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
    }
