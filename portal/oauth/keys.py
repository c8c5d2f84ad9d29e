"""Signing keys: ES256 for access tokens, RS256 for ID tokens (OpenID Connect Discovery requires it), separate for each Environment.

A key is published before it signs and stays published until the last token it signed has expired; an emergency removal takes it
out of the set at once, on every worker, by the feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import Key, import_key
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.database import SessionMaker, transaction
from portal.kernel.errors import NotFound
from portal.oauth import vault
from portal.oauth.feed import Event, Feed, publish
from portal.oauth.models import SigningKey
from portal.oauth.signatures import PrivateKey, PublicKey, Signer

ALGORITHMS = ("ES256", "RS256")
LEAD = timedelta(hours=24)
ROTATION = timedelta(days=90)
# Longest token lifetime plus the time for which others may keep our key set.
AFTERLIFE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A published key, opened."""

    kid: str
    algorithm: str
    signs_from: datetime
    retires_at: datetime | None
    private: PrivateKey
    public: PublicKey
    jwk: dict[str, Any]


class KeyRing:
    """The published keys of both Environments, in memory. `load` before use; the feed keeps it current."""

    def __init__(self, maker: SessionMaker, *, vault_key: bytes, feed: Feed) -> None:
        self._maker, self._vault_key = maker, vault_key
        self._keys: dict[str, dict[str, LoadedKey]] = {}
        self._signers: dict[tuple[str, str, str], tuple[Signer, LoadedKey]] = {}
        self._stale = False
        self._reloading = asyncio.Lock()
        feed.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if event.kind != "key":
            return
        self._stale = True
        if event.epoch:
            # Epoch 1 marks an emergency removal: do not wait for the reload.
            for keys in self._keys.values():
                keys.pop(event.key, None)
            self._signers.clear()

    async def load(self, environments: tuple[str, ...], now: datetime) -> None:
        """Make missing keys of `environments`, then read all."""
        async with transaction(self._maker) as session:
            for environment in environments:
                for algorithm in ALGORITHMS:
                    if await newest(session, environment, algorithm) is None:
                        await create(
                            session, environment, algorithm, vault_key=self._vault_key, now=now, signs_from=now
                        )
        await self.reload(now)

    async def reload(self, now: datetime) -> None:
        """Read the published keys again."""
        async with self._reloading:
            self._stale = False
            async with self._maker() as session:
                alive = or_(SigningKey.retires_at.is_(None), SigningKey.retires_at > now)
                rows = await session.scalars(select(SigningKey).where(SigningKey.removed_at.is_(None), alive))
                fresh: dict[str, dict[str, LoadedKey]] = {}
                for row in rows:
                    known = self._keys.get(row.environment, {}).get(row.kid)
                    opened = known if known and known.retires_at == row.retires_at else self._open(row)
                    fresh.setdefault(row.environment, {})[row.kid] = opened
            self._keys, self._signers = fresh, {}

    async def freshen(self, now: datetime) -> None:
        """Reload if the feed said that keys changed."""
        if self._stale:
            await self.reload(now)

    def _open(self, row: SigningKey) -> LoadedKey:
        plain = vault.unseal(row.private, key=self._vault_key, purpose=row.kid)
        private: Any = serialization.load_der_private_key(plain, password=None)
        public = private.public_key()
        jwk = public_jwk(public)
        return LoadedKey(
            kid=row.kid,
            algorithm=row.algorithm,
            signs_from=row.signs_from,
            retires_at=row.retires_at,
            private=private,
            public=public,
            jwk={**jwk.as_dict(private=False), "kid": row.kid, "use": "sig", "alg": row.algorithm},
        )

    def signer(self, environment: str, algorithm: str, typ: str, now: datetime) -> Signer:
        """What signs tokens of `typ` now: the newest key whose time has come."""
        cached = self._signers.get((environment, algorithm, typ))
        if cached is not None and not self._superseded(environment, cached[1], now):
            return cached[0]
        ready = [
            key
            for key in self._keys.get(environment, {}).values()
            if key.algorithm == algorithm and key.signs_from <= now
        ]
        chosen = max(ready, key=lambda key: (key.signs_from, key.kid))
        signer = Signer(algorithm=algorithm, key=chosen.private, kid=chosen.kid, typ=typ)
        self._signers[environment, algorithm, typ] = signer, chosen
        return signer

    def _superseded(self, environment: str, current: LoadedKey, now: datetime) -> bool:
        return any(
            current.signs_from < key.signs_from <= now and key.algorithm == current.algorithm
            for key in self._keys[environment].values()
        )

    def public(self, environment: str, kid: str, algorithm: str, now: datetime) -> PublicKey | None:
        """The published key `kid`, or None: unknown, retired, removed, or meant for another algorithm."""
        key = self._keys.get(environment, {}).get(kid)
        if key is None or key.algorithm != algorithm or (key.retires_at is not None and key.retires_at <= now):
            return None
        return key.public

    def jwks(self, environment: str, now: datetime) -> Mapping[str, Any]:
        """The key set (RFC 7517) of `environment`: keys that signed, sign, and will sign next."""
        keys = sorted(self._keys.get(environment, {}).values(), key=lambda key: (key.signs_from, key.kid))
        return {"keys": [key.jwk for key in keys if key.retires_at is None or key.retires_at > now]}


def public_jwk(key: PublicKey) -> Key:
    """`key` as a JWK (RFC 7517)."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return import_key(pem, "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC")


async def newest(session: AsyncSession, environment: str, algorithm: str) -> SigningKey | None:
    """The key that signs last of those not removed."""
    query = select(SigningKey).where(
        SigningKey.environment == environment, SigningKey.algorithm == algorithm, SigningKey.removed_at.is_(None)
    )
    return (await session.scalars(query.order_by(SigningKey.signs_from.desc(), SigningKey.kid.desc()).limit(1))).first()


async def create(
    session: AsyncSession, environment: str, algorithm: str, *, vault_key: bytes, now: datetime, signs_from: datetime
) -> SigningKey:
    """Make a key and publish it; it signs from `signs_from`. Its id is its RFC 7638 thumbprint."""
    private: PrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    kid = public_jwk(private.public_key()).thumbprint()
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = SigningKey(
        kid=kid,
        environment=environment,
        algorithm=algorithm,
        private=vault.seal(der, key=vault_key, purpose=kid),
        created_at=now,
        signs_from=signs_from,
    )
    session.add(key)
    await session.flush()
    await publish(session, "key", kid)
    return key


async def rotate(
    session: AsyncSession, environment: str, algorithm: str, *, vault_key: bytes, now: datetime, lead: timedelta = LEAD
) -> SigningKey:
    """Publish a successor that signs after `lead`; its predecessors leave the set once their last token has expired."""
    key = await create(session, environment, algorithm, vault_key=vault_key, now=now, signs_from=now + lead)
    query = select(SigningKey).where(
        SigningKey.environment == environment,
        SigningKey.algorithm == algorithm,
        SigningKey.kid != key.kid,
        SigningKey.retires_at.is_(None),
        SigningKey.removed_at.is_(None),
    )
    for old in await session.scalars(query):
        old.retires_at = key.signs_from + AFTERLIFE
    return key


async def _has_lasting(session: AsyncSession, environment: str, algorithm: str) -> bool:
    query = select(SigningKey.kid).where(
        SigningKey.environment == environment,
        SigningKey.algorithm == algorithm,
        SigningKey.removed_at.is_(None),
        SigningKey.retires_at.is_(None),
    )
    return (await session.scalars(query.limit(1))).first() is not None


async def rotate_due(
    session: AsyncSession, environments: tuple[str, ...], *, vault_key: bytes, now: datetime
) -> list[SigningKey]:
    """Rotate what will be older than `ROTATION` when its successor signs; a job calls this daily."""
    made = []
    for environment in environments:
        for algorithm in ALGORITHMS:
            current = await newest(session, environment, algorithm)
            if current is not None and current.signs_from + ROTATION <= now + LEAD:
                made.append(await rotate(session, environment, algorithm, vault_key=vault_key, now=now))
    return made


async def remove(session: AsyncSession, kid: str, *, vault_key: bytes, now: datetime) -> SigningKey:
    """Take a key out of the set at once, on every worker; returns the key that signs in its place. Raises `NotFound`."""
    key = await session.get(SigningKey, kid)
    if key is None or key.removed_at is not None:
        raise NotFound("there is no such signing key")
    key.removed_at = now
    await session.flush()
    await publish(session, "key", kid, 1)
    query = select(SigningKey).where(
        SigningKey.environment == key.environment,
        SigningKey.algorithm == key.algorithm,
        SigningKey.removed_at.is_(None),
        SigningKey.signs_from <= now,
        or_(SigningKey.retires_at.is_(None), SigningKey.retires_at > now + AFTERLIFE),
    )
    standby = (await session.scalars(query.order_by(SigningKey.signs_from.desc()).limit(1))).first()
    if standby is not None:
        if not await _has_lasting(session, key.environment, key.algorithm):
            # What was removed was to follow it: without a successor it signs on.
            standby.retires_at = None
        return standby
    return await create(session, key.environment, key.algorithm, vault_key=vault_key, now=now, signs_from=now)
