"""Synthetic Iranian populations: deterministic, coherent, and nobody's real data.

`generate(PopulationSpec(...))` streams batches: first the shared infrastructure, then one batch per person.
"""

from typing import TYPE_CHECKING, Any

from .errors import PopulationError, SpecError, UnknownStoryError

if TYPE_CHECKING:
    from .generator import Batch, generate
    from .population import Cohort, PopulationSpec

__all__ = ["Batch", "Cohort", "PopulationError", "PopulationSpec", "SpecError", "UnknownStoryError", "generate"]


def __getattr__(name: str) -> Any:
    # The engine is read on first use: `--help` and a wrong option should not wait for it.
    if name in ("Batch", "generate"):
        from . import generator

        return getattr(generator, name)
    if name in ("Cohort", "PopulationSpec"):
        from . import population

        return getattr(population, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
