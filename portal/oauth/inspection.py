"""Introspection (RFC 7662, with SMART's fields) and revocation (RFC 7009).

An App learns about, and ends, tokens of its own; anybody else's look inactive.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.oauth import grants, opaque
from portal.oauth.clients import ClientRecord, Clients
from portal.oauth.errors import invalid_grant
from portal.oauth.feed import publish
from portal.oauth.models import DataAccessGrant, RefreshToken
from portal.oauth.tokens import AccessToken, AccessTokens, TokenRefused

INACTIVE: dict[str, Any] = {"active": False}


class Inspection:
    """Looks at tokens of one Environment and ends them."""

    def __init__(self, environment: str, *, tokens: AccessTokens, clients: Clients) -> None:
        self._environment, self._tokens, self._clients = environment, tokens, clients

    async def introspect(
        self, session: AsyncSession, token: str, caller: ClientRecord, now: datetime
    ) -> dict[str, Any]:
        """What `caller` may know about `token`; `{"active": false}` for everything that gives no access, or is not its own."""
        try:
            found = await self._tokens.verify(token, self._environment, now, proven=True)
        except TokenRefused:
            return await self._introspect_refresh(session, token, caller, now)
        owner = await self._clients.get(found.client_id)
        if owner is None or owner.company_id != caller.company_id or not owner.admitted:
            return INACTIVE
        if found.grant and await session.run_sync(grants.standing, found.grant, now) is None:
            return INACTIVE
        return self._about(found)

    def _about(self, token: AccessToken) -> dict[str, Any]:
        about = {
            "active": True,
            "scope": " ".join(token.scopes),
            "client_id": token.client_id,
            "token_type": "DPoP" if token.key_thumbprint else "Bearer",
            "exp": token.expires_at,
            "iat": token.issued_at,
            "sub": token.subject,
            "aud": self._tokens.audience(self._environment),
            "iss": self._tokens.issuer(self._environment),
            "jti": token.jti,
            "cnf": {"jkt": token.key_thumbprint} if token.key_thumbprint else None,
            "patient": token.patient,
            "encounter": token.encounter,
            "fhirUser": token.fhir_user,
            "tenant": token.tenant,
        }
        return {name: value for name, value in about.items() if value}

    async def _introspect_refresh(
        self, session: AsyncSession, token: str, caller: ClientRecord, now: datetime
    ) -> dict[str, Any]:
        row = await session.get(RefreshToken, opaque.digest(token))
        if row is None or row.used_at is not None or row.idle_until <= now:
            return INACTIVE
        owner = await self._clients.get(row.client_id)
        grant: DataAccessGrant | None = await session.run_sync(grants.standing, row.grant_id, now)
        if grant is None or owner is None or owner.company_id != caller.company_id or not owner.admitted:
            return INACTIVE
        if owner.environment != self._environment:
            return INACTIVE
        return {
            "active": True,
            "scope": " ".join(grant.scopes),
            "client_id": row.client_id,
            "exp": int(row.idle_until.timestamp()),
            "iat": int(row.created_at.timestamp()),
            "sub": grant.subject,
            "iss": self._tokens.issuer(self._environment),
        }

    async def revoke(self, session: AsyncSession, token: str, caller: ClientRecord, now: datetime) -> None:
        """End `token`, on every worker; a refresh token ends its whole grant. Unknown tokens are ended already.

        Raises `OAuthFault` for a token of another App.
        """
        row = await session.get(RefreshToken, opaque.digest(token))
        if row is not None:
            self._own(row.client_id, caller)
            grant_id = row.grant_id
            await session.run_sync(lambda inner: grants.revoke_sync(inner, grant_id, why="app", now=now))
            return
        try:
            found = await self._tokens.verify(token, self._environment, now, proven=True)
        except TokenRefused:
            return
        self._own(found.client_id, caller)
        await publish(session, "token", found.jti, 1)

    @staticmethod
    def _own(client_id: str, caller: ClientRecord) -> None:
        if client_id != caller.client_id:
            raise invalid_grant("the token was issued to another App")
