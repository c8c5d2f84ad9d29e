"""A FHIR R4 exchange over synthetic patients, one copy-on-write tenant per App."""
