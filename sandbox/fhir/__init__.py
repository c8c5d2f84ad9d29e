"""FHIR R4 (4.0.1) itself: definitions, paths, validation, indexing. Pure: no I/O but loading its own data files."""
