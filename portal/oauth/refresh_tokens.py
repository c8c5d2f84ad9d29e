"""Refresh tokens: rotated for public Apps, kept for those that prove themselves; reuse ends the grant (RFC 9700 section 4.14).

A public App may lose the answer that carried its new token. So the immediate predecessor is honoured for ten seconds more, with the
same successor, as long as that successor has not been used itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.oauth import opaque
from portal.oauth.errors import invalid_grant, invalid_request
from portal.oauth.grants import revoke_sync, standing
from portal.oauth.models import DataAccessGrant, RefreshToken

IDLE = timedelta(days=30)
LONGEST = timedelta(days=90)
GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh token stands for, and the token to use next time."""

    grant: DataAccessGrant
    token: str


def wanted(grant: DataAccessGrant) -> bool:
    """Whether the citizen agreed to access that outlives the access token."""
    return "offline_access" in grant.scopes or "online_access" in grant.scopes


def issue(session: Session, grant: DataAccessGrant, *, thumbprint: str, now: datetime) -> str:
    """The first refresh token of a grant."""
    token = opaque.new_token(opaque.REFRESH)
    _store(session, token, grant, thumbprint=thumbprint, now=now, ends_at=now + LONGEST)
    return token


def _store(
    session: Session, token: str, grant: DataAccessGrant, *, thumbprint: str, now: datetime, ends_at: datetime
) -> None:
    session.add(
        RefreshToken(
            token_hash=opaque.digest(token),
            client_id=grant.client_id,
            grant_id=grant.id,
            thumbprint=thumbprint,
            created_at=now,
            idle_until=min(now + IDLE, ends_at),
            ends_at=ends_at,
        )
    )
    session.flush()


def use(
    session: Session, *, token: str, client_id: str, rotate: bool, thumbprint: str, key: bytes, now: datetime
) -> Refreshed:
    """Honour a refresh token, or raise `OAuthFault`. `rotate` for public Apps; `key` derives successors."""
    if not token:
        raise invalid_request("refresh_token is needed")
    row = session.get(RefreshToken, opaque.digest(token))
    if row is None or row.client_id != client_id:
        raise invalid_grant("the refresh token is not valid for this App")
    if row.thumbprint and row.thumbprint != thumbprint:
        raise invalid_grant("the refresh token is bound to another DPoP key")
    grant = standing(session, row.grant_id, now)
    if grant is None:
        raise invalid_grant("the permission behind this refresh token has ended")
    if row.idle_until <= now or row.ends_at <= now:
        raise invalid_grant("the refresh token has expired")
    if not rotate:
        return _keep(session, row, grant, token, now)
    following = opaque.successor(token, key)
    won = session.execute(
        update(RefreshToken)
        .where(RefreshToken.token_hash == row.token_hash, RefreshToken.used_at.is_(None))
        .values(used_at=now, successor_hash=opaque.digest(following))
        .returning(RefreshToken.token_hash)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if won is not None:
        _store(session, following, grant, thumbprint=row.thumbprint, now=now, ends_at=row.ends_at)
    else:
        session.refresh(row)
        if not _within_grace(session, row, now):
            revoke_sync(session, grant.id, why="refresh-token-reused", now=now)
            raise invalid_grant("the refresh token was used before; everything issued for it has been revoked")
    return Refreshed(grant, following)


def _keep(session: Session, row: RefreshToken, grant: DataAccessGrant, token: str, now: datetime) -> Refreshed:
    if row.used_at is not None:
        # It was rotated while the App was still public.
        revoke_sync(session, grant.id, why="refresh-token-reused", now=now)
        raise invalid_grant("the refresh token was used before; everything issued for it has been revoked")
    if row.idle_until < now + IDLE - timedelta(hours=1):
        row.idle_until = min(now + IDLE, row.ends_at)
    return Refreshed(grant, token)


def _within_grace(session: Session, row: RefreshToken, now: datetime) -> bool:
    if row.used_at is None or row.successor_hash is None or now - row.used_at > GRACE:
        return False
    following = session.get(RefreshToken, row.successor_hash)
    return following is not None and following.used_at is None
