"""Synthetic Iranian populations: deterministic, coherent, and nobody's real data."""
