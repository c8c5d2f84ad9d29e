"""Whatever changes an App, by whichever verb of whichever room, reaches the feed.

Rooms below this one may not know the feed, and a revocation must not depend on somebody remembering to announce it: so every portal
session is watched. Importing this module is enough.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session

from portal.apps.models import App, AppEnvironment, Credential, RedirectUri
from portal.companies.models import Company
from portal.kernel.database import PortalSession
from portal.oauth.feed import publish_sync
from portal.oauth.models import ClientProfile
from portal.products.models import Plan
from portal.subscriptions.models import Subscription

# How each table is announced: kind, and the attribute that is the key.
KINDS: dict[type[Any], tuple[str, str]] = {
    AppEnvironment: ("app", "client_id"),
    Credential: ("app", "client_id"),
    RedirectUri: ("app", "client_id"),
    ClientProfile: ("app", "client_id"),
    App: ("apps", "id"),
    Company: ("company", "id"),
    Subscription: ("subscription", "client_id"),
    Plan: ("plan", "id"),
}
# Changes of these say nothing about what is allowed.
SILENT = {"last_used_at", "description", "created_at"}


@event.listens_for(PortalSession, "after_flush")
def _announce_flushed(session: Session, _context: object) -> None:
    told: dict[tuple[str, str], int] = {}
    for changed in (*session.new, *session.dirty, *session.deleted):
        kind = KINDS.get(type(changed))
        if kind is None or (changed in session.dirty and not _matters(changed)):
            continue
        identity = (kind[0], str(getattr(changed, kind[1])))
        epoch = changed.epoch if isinstance(changed, AppEnvironment) else 0
        told[identity] = max(epoch, told.get(identity, 0))
    for (name, key), epoch in told.items():
        publish_sync(session, name, key, epoch)


def _matters(changed: Any) -> bool:
    state: Any = inspect(changed)
    return any(each.key not in SILENT and each.load_history().has_changes() for each in state.attrs)


@event.listens_for(PortalSession, "do_orm_execute")
def _announce_bulk(state: ORMExecuteState) -> None:
    """A bulk UPDATE or DELETE names no rows: tell everybody to forget all of that kind."""
    if not (state.is_update or state.is_delete) or state.bind_mapper is None:
        return
    kind = KINDS.get(state.bind_mapper.class_)
    if kind is None or _only_silent(state.statement):
        return
    publish_sync(state.session, kind[0], "*")


def _only_silent(statement: Any) -> bool:
    values: Any = getattr(statement, "_values", None)
    return bool(values) and all(getattr(column, "key", column) in SILENT for column in values)
