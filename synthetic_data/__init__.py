"""Synthetic Iranian populations: deterministic, coherent, and nobody's real data.

`generate(PopulationSpec(...))` streams batches: first the shared infrastructure, then one batch per person.
"""

from .errors import PopulationError, SpecError, UnknownStoryError
from .generator import Batch, generate
from .population import Cohort, PopulationSpec

__all__ = ["Batch", "Cohort", "PopulationError", "PopulationSpec", "SpecError", "UnknownStoryError", "generate"]
