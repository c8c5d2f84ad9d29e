"""FHIR's RESTful interactions over HTTP: one table of routes, from which the CapabilityStatement is generated too."""
