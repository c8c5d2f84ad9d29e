"""What reviews need from outside: where documents are kept."""

from __future__ import annotations

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from portal.kernel.blobs import Blobs

BlobsPort = NamedDependency[SkipValidation[Blobs]]


def blobs_dependency(blobs: Blobs) -> dict[str, Provide]:
    """`dependencies` of an application whose documents lie in `blobs`."""

    def provide() -> Blobs:
        return blobs

    return {"blobs": Provide(provide, sync_to_thread=False)}
