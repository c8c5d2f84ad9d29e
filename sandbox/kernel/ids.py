"""Ids: random, never guessable, and valid as FHIR logical ids (`[A-Za-z0-9\\-\\.]{1,64}`)."""

from __future__ import annotations

import re
from uuid import uuid4

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


def new_id() -> str:
    """A fresh logical id."""
    return str(uuid4())


def is_fhir_id(text: str) -> bool:
    """Whether `text` may be a logical id (http://hl7.org/fhir/R4/datatypes.html#id)."""
    return _FHIR_ID.match(text) is not None
