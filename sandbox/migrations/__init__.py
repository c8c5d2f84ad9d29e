"""Alembic migrations of the exchange database, run at start-up."""
