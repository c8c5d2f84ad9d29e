"""FHIR operations of the Workflows: what `POST [type]/[id]/$verb` takes, needs and does."""
