"""Reference data of the Workflows: drugs, holidays, Personas. Each file states its licence and source."""
