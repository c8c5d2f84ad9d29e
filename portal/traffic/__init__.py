"""The request log of an App: each call with its verdict, timing and route template."""
