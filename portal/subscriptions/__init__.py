"""An App on a Plan."""
