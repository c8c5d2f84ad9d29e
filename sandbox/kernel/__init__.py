"""No FHIR and no HTTP meaning: time, ids, errors, database drivers, JSON text, ASGI plumbing."""
