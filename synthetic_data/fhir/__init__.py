"""FHIR R4 output: one exporter per resource family, writing bytes from pre-encoded fragments."""
