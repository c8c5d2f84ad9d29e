"""Versions as the bytes that are served, and the index rows by which they are found; always within a Tenant's layers."""
