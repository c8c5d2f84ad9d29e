"""Everything of this room that the composition root mounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portal.reviews import (
    api,
    attachment_api,
    attachment_pages,
    desk_api,
    desk_pages,
    draft_pages,
    pages,
    proof_pages,
    suspension_api,
    suspension_pages,
)
from portal.web.navigation import NavItem

routes: Sequence[Any] = [
    *api.routes,
    *attachment_api.routes,
    *desk_api.routes,
    *suspension_api.routes,
    *pages.routes,
    *draft_pages.routes,
    *attachment_pages.routes,
    *desk_pages.routes,
    *suspension_pages.routes,
    *proof_pages.routes,
]

navigation: Sequence[NavItem] = [
    *pages.navigation,
    *desk_pages.navigation,
    *suspension_pages.navigation,
    *proof_pages.navigation,
]
