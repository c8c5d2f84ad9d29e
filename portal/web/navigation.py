"""Menus that rooms contribute to: a room above may add a tab to the page of a room below without that room knowing it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Slot = Literal["main", "account", "company", "app", "sandbox", "reviewer", "footer"]


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry. `path` may hold `{id}`, filled with the Company's or App's id; `roles` empty means everyone.

    An `external` path is not under /en in English; `{docs}` stands for the documentation in the reader's language.
    """

    slot: Slot
    path: str
    fa: str
    en: str
    position: int = 50
    icon: str = ""
    roles: frozenset[str] = frozenset()
    external: bool = False


class Navigation:
    """All entries, by slot and position."""

    def __init__(self, items: Iterable[NavItem] = ()) -> None:
        self._items = sorted(items, key=lambda item: item.position)

    def items(self, slot: Slot, *, role: str = "") -> list[NavItem]:
        """Entries of `slot` that somebody with `role` may see."""
        return [item for item in self._items if item.slot == slot and (not item.roles or role in item.roles)]
