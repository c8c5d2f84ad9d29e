"""The authorization server's pages: authorizations, permissions, launch simulator."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router
from litestar.di import Provide

from portal.oauth import identity_pages, interaction_pages, launch_pages, permission_pages, profile_pages
from portal.oauth.people import People
from portal.oauth.service import OAuth
from portal.web.navigation import NavItem
from portal.web.pages import pages

navigation: Sequence[NavItem] = (*launch_pages.NAVIGATION, *profile_pages.NAVIGATION)


def routes(oauth: OAuth, people: People) -> list[Router]:
    """Routers for both languages; `people` answers who can sign in and whose record can be chosen."""
    return [
        Router(
            path="/",
            route_handlers=[
                *pages(*interaction_pages.HANDLERS, *identity_pages.HANDLERS, *permission_pages.HANDLERS),
                *pages(*launch_pages.HANDLERS, *profile_pages.HANDLERS, guards=launch_pages.GUARDS),
            ],
            dependencies={
                "oauth": Provide(lambda: oauth, sync_to_thread=False),
                "people": Provide(lambda: people, sync_to_thread=False),
                "visit": Provide(interaction_pages.visit),
            },
        )
    ]
