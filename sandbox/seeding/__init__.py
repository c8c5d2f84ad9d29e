"""Base populations: generated, indexed and stored by the same code as a client's write, in bulk."""
