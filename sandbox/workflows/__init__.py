"""The operator's services: one file per Workflow, each a state machine over FHIR resources of one Tenant."""
