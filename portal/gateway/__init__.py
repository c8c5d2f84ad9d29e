"""The way in for Apps: admits a call, forwards it to its Upstream, meters it."""
