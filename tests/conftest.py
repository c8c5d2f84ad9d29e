"""Shared fixtures. The only file that may patch anything."""

from __future__ import annotations
