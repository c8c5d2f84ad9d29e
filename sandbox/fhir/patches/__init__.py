"""Patches as pure functions: a resource and a patch document in, a new resource out.

Both forms of http://hl7.org/fhir/R4/http.html#patch, and JSON Merge Patch. A malformed document is a `BadRequestError`, one that
does not fit the resource an `UnprocessableError`; either names the operation at fault. The given resource is never changed.
"""

from __future__ import annotations

from sandbox.fhir.patches.fhirpath_patch import apply_fhirpath_patch
from sandbox.fhir.patches.json_patch import apply_json_patch
from sandbox.fhir.patches.merge_patch import apply_merge_patch

__all__ = ["apply_fhirpath_patch", "apply_json_patch", "apply_merge_patch"]
