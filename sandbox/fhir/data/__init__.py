"""Compact tables of the official R4 definitions; `python -m sandbox.fhir.data` rebuilds them (see SOURCE.md)."""
