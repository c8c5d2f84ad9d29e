"""A portal with every room."""

from __future__ import annotations

from tests.portal.apps.conftest import portal

__all__ = ["portal"]
