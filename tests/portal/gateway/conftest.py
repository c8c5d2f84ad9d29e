"""Databases for the gateway's tests, as the authorization server's tests make them."""

from __future__ import annotations

from tests.portal.oauth.conftest import both, both_urls, migrated_file, postgres_url, secrets_folder, sqlite

__all__ = ["both", "both_urls", "migrated_file", "postgres_url", "secrets_folder", "sqlite"]
