"""What a ReviewRequest is about, frozen: scopes, redirects, keys, answers, evidence. Approvals bind its hash; drift and diff compare it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment, Credential, CredentialKind, RedirectUri
from portal.reviews.models import ReviewRequest, ReviewScope

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs between two snapshots; `area` is scopes, redirects, keys, answers, evidence or app."""

    area: str
    key: str
    change: Change
    before: str
    after: str


def thumbprint(key: dict[str, Any]) -> str:
    """RFC 7638 thumbprint (hex) of a public JWK."""
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
    names = members.get(str(key.get("kty")), ("kty",))
    return hashlib.sha256(
        orjson.dumps({name: key.get(name) for name in names}, option=orjson.OPT_SORT_KEYS)
    ).hexdigest()


def _key_names(credential: Credential) -> list[str]:
    if credential.kind == CredentialKind.JWKS_URI:
        return [credential.jwks_uri]
    if credential.kind == CredentialKind.JWKS and credential.jwks:
        return [thumbprint(key) for key in credential.jwks.get("keys", [])]
    return []


async def of_app(session: AsyncSession, app: App) -> dict[str, Any]:
    """The App's own part: what it is, its redirect URIs and registered public keys per Environment."""
    clients = (await session.scalars(select(AppEnvironment).where(AppEnvironment.app_id == app.id))).all()
    names = {client.client_id: client.environment for client in clients}
    redirects = await session.scalars(select(RedirectUri).where(RedirectUri.client_id.in_(names)))
    credentials = await session.scalars(
        select(Credential).where(Credential.client_id.in_(names), Credential.revoked_at.is_(None))
    )
    return {
        "app": {"name": app.name, "homepage": app.homepage, "public": app.public},
        "redirects": sorted(f"{names[row.client_id]} {row.uri}" for row in redirects),
        "keys": sorted(f"{names[row.client_id]} {name}" for row in credentials for name in _key_names(row)),
    }


async def take(session: AsyncSession, request: ReviewRequest) -> dict[str, Any]:
    """The whole snapshot of `request` as things stand now."""
    app = await session.get_one(App, request.app_id)
    scopes = await session.scalars(select(ReviewScope).where(ReviewScope.request_id == request.id))
    return {
        **await of_app(session, app),
        "scopes": {row.scope: row.justification for row in scopes},
        "answers": dict(request.answers),
        "evidence": request.evidence_id,
        "app_version": request.app_version,
    }


def digest(snapshot: dict[str, Any]) -> str:
    """SHA-256 (hex) of a snapshot's canonical JSON."""
    return hashlib.sha256(orjson.dumps(snapshot, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _flat(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): item if isinstance(item, str) else orjson.dumps(item).decode() for key, item in value.items()}
    if isinstance(value, list):
        return {str(item): str(item) for item in value}
    return {"": str(value)} if value not in (None, "") else {}


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """What changed from one snapshot to another, in the order a reviewer reads."""
    found: list[Difference] = []
    for area in ("scopes", "redirects", "keys", "app_version", "evidence", "answers", "app"):
        old, new = _flat(before.get(area)), _flat(after.get(area))
        for key in sorted(old.keys() | new.keys()):
            if key not in new:
                found.append(Difference(area, key, "removed", old[key], ""))
            elif key not in old:
                found.append(Difference(area, key, "added", "", new[key]))
            elif old[key] != new[key]:
                found.append(Difference(area, key, "changed", old[key], new[key]))
    return found
