"""Authorization codes: bound to App, redirect URI, PKCE challenge and DPoP key; used once, within a minute."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from portal.oauth import opaque
from portal.oauth.errors import invalid_grant, invalid_request
from portal.oauth.grants import revoke_sync
from portal.oauth.models import AuthorizationCode, DataAccessGrant, Interaction
from portal.oauth.signatures import b64url

LIFETIME = timedelta(seconds=60)
# RFC 7636 section 4.1.
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


async def issue(
    session: AsyncSession, interaction: Interaction, grant: DataAccessGrant, *, now: datetime, stale: bool = False
) -> str:
    """A new code for what was agreed; `stale` makes one that has already expired (a fault of the launch simulator)."""
    code = opaque.new_token(opaque.CODE)
    session.add(
        AuthorizationCode(
            code_hash=opaque.digest(code),
            client_id=interaction.client_id,
            grant_id=grant.id,
            redirect_uri=interaction.redirect_uri,
            challenge=interaction.challenge,
            nonce=interaction.nonce,
            thumbprint=interaction.thumbprint,
            expires_at=now - LIFETIME if stale else now + LIFETIME,
        )
    )
    await session.flush()
    return code


def redeem(
    session: Session,
    *,
    code: str,
    client_id: str,
    redirect_uri: str,
    verifier: str,
    thumbprint: str,
    now: datetime,
) -> AuthorizationCode:
    """Take the code, or raise `OAuthFault`; of concurrent callers one succeeds, and a second use ends the whole grant."""
    if not code or not redirect_uri or not verifier:
        raise invalid_request("code, redirect_uri and code_verifier are needed")
    row = session.get(AuthorizationCode, opaque.digest(code))
    if row is None or row.client_id != client_id:
        raise invalid_grant("the authorization code is not valid for this App")
    if row.used_at is not None:
        raise _replayed(session, row, now)
    if row.expires_at <= now:
        raise invalid_grant("the authorization code has expired")
    if row.redirect_uri != redirect_uri:
        raise invalid_grant("redirect_uri differs from the authorization request")
    if not VERIFIER.fullmatch(verifier) or not _fits(verifier, row.challenge):
        raise invalid_grant("code_verifier does not fit the code_challenge")
    if row.thumbprint and row.thumbprint != thumbprint:
        raise invalid_grant("the authorization code is bound to another DPoP key")
    taken = session.execute(
        update(AuthorizationCode)
        .where(AuthorizationCode.code_hash == row.code_hash, AuthorizationCode.used_at.is_(None))
        .values(used_at=now)
        .returning(AuthorizationCode.code_hash)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if taken is None:
        raise _replayed(session, row, now)
    return row


def _fits(verifier: str, challenge: str) -> bool:
    return hmac.compare_digest(b64url(hashlib.sha256(verifier.encode("ascii")).digest()), challenge)


def _replayed(session: Session, row: AuthorizationCode, now: datetime) -> Exception:
    # RFC 6749 section 4.1.2: whoever used it first may be a thief, so nobody keeps what it gave.
    revoke_sync(session, row.grant_id, why="code-replayed", now=now)
    return invalid_grant("the authorization code was used before; everything issued for it has been revoked")
