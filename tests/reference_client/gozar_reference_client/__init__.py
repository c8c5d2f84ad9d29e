"""Reference client of Gozar: see README.md."""

from __future__ import annotations

from .app import App
from .client import FhirClient
from .state import State
from .tokens import TokenSource
from .transport import ConsentWithdrawn, GaveUp, Refused, Transport

__all__ = ["App", "ConsentWithdrawn", "FhirClient", "GaveUp", "Refused", "State", "TokenSource", "Transport"]
