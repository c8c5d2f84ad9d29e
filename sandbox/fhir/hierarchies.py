"""What stands above and below a code: by a code system's own concepts, or by the spelling of its codes.

ICD-10 and ATC ship with no table here, and need none for this: a code's ancestors are beginnings of its own text
(https://www.who.int/standards/classifications/classification-of-diseases, https://atcddd.fhi.no/atc/structure_and_principles/).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sandbox.fhir.codesystems import CodeSystem

_ATC_LENGTHS: Final = (1, 3, 4, 5, 7)
_ICD_10: Final = re.compile(r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?\Z", re.ASCII)
_ATC: Final = re.compile(r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?\Z", re.ASCII)


def _above_icd_10(code: str) -> list[str] | None:
    """E11.92 -> E11, E11.9, E11.92; a category has three characters."""
    if not _ICD_10.match(code):
        return None
    return [code[:3], *(code[:n] for n in range(4, len(code) + 1) if code[n - 1] != ".")]


def _above_atc(code: str) -> list[str] | None:
    """A10BA02 -> A, A10, A10B, A10BA, A10BA02."""
    return [code[:n] for n in _ATC_LENGTHS if n <= len(code)] if _ATC.match(code) else None


SPELLED: Final[dict[str, Callable[[str], list[str] | None]]] = {
    "http://hl7.org/fhir/sid/icd-10": _above_icd_10,
    "http://hl7.org/fhir/sid/icd-10-cm": _above_icd_10,
    "http://hl7.org/fhir/sid/icd-10-gm": _above_icd_10,
    "http://www.whocc.no/atc": _above_atc,
}
"""Systems whose codes spell out their own hierarchy: code -> itself and all above it, None for what is no code of theirs."""


def above(system: CodeSystem, code: str) -> set[str]:
    """A code and everything it is a kind of; empty for a code that the system does not have."""
    found: set[str] = set()
    queue = [concept.code] if (concept := system.find(code)) else []
    while queue:
        current = queue.pop()
        if current not in found:
            found.add(current)
            concept = system.concepts.get(current)
            queue += concept.parents if concept else ()
    return found


def below(system: CodeSystem, code: str) -> set[str]:
    """A code and every kind of it; empty for a code that the system does not have."""
    concept = system.find(code)
    return {c for c in system.concepts if system.is_a(c, concept.code)} if concept else set()
