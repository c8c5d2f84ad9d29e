"""Proof that a population is coherent and looks like the country: invariants over records, and statistics against targets."""
