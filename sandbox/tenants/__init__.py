"""Tenant: a writable data set of one App over a shared, read-only base population."""
