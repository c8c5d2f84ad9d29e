"""A Company with Apps, and the authorization server over them, for tests and benchmarks."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.apps import secrets
from portal.apps.models import App, AppEnvironment, Credential, CredentialKind, RedirectUri
from portal.companies.models import Company, CompanyStatus
from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.ids import new_id
from portal.oauth.failures import NoFailures
from portal.oauth.models import ClientProfile
from portal.oauth.service import OAuth
from portal.users.models import User

PUBLIC_URL = "https://gozar.test"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SCOPES = [
    "system/Patient.cruds",
    "system/Observation.rs",
    "patient/*.cruds",
    "user/*.cruds",
    "launch",
    "launch/patient",
    "openid",
    "fhirUser",
    "online_access",
    "offline_access",
]


@dataclass(slots=True)
class MadeApp:
    """An App as its developer knows it."""

    client_id: str
    app_id: str
    company_id: str
    secret: str = ""
    key: Key | None = None

    @property
    def basic(self) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()}


def new_key(algorithm: str) -> Key:
    """A private key for `algorithm`."""
    if algorithm in ("ES256", "ES384"):
        return ECKey.generate_key("P-256" if algorithm == "ES256" else "P-384", {"kid": new_id("kid")})
    if algorithm in ("Ed25519", "EdDSA"):
        return OKPKey.generate_key("Ed25519", {"kid": new_id("kid")})
    return RSAKey.generate_key(2048, {"kid": new_id("kid")})


async def make_app(
    maker: SessionMaker,
    *,
    pepper: bytes,
    environment: str = "sandbox",
    scopes: list[str] | None = None,
    key: Key | None = None,
    jwks_uri: str = "",
    public: bool = False,
    redirect_uris: tuple[str, ...] = ("https://app.test/callback",),
    profile: dict[str, Any] | None = None,
    now: datetime = NOW,
) -> MadeApp:
    """A Company, its owner and an App with one Credential (a secret, unless `key` or `jwks_uri` is given, or it is public)."""
    made = MadeApp(new_id("gz"), new_id("app"), new_id("com"), key=key)
    user = new_id("usr")
    async with transaction(maker) as session:
        session.add(User(id=user, email=f"{user}@x.test", name="U", password_hash="-", created_at=now))
        national = str(int.from_bytes(made.company_id.encode()) % 10**11).rjust(11, "0")
        session.add(
            Company(
                id=made.company_id,
                name="Darmanyar",
                national_id=national,
                status=CompanyStatus.VERIFIED,
                created_at=now,
            )
        )
        await session.flush()
        session.add(
            App(id=made.app_id, company_id=made.company_id, name="Nabz", public=public, created_by=user, created_at=now)
        )
        await session.flush()
        session.add(
            AppEnvironment(
                client_id=made.client_id,
                app_id=made.app_id,
                environment=environment,
                tenant=new_id("tnt") if environment == "sandbox" else "",
                scopes=SCOPES if scopes is None else scopes,
                created_at=now,
            )
        )
        await session.flush()
        session.add_all(RedirectUri(client_id=made.client_id, uri=uri) for uri in redirect_uris)
        credential = Credential(
            id=new_id("crd"),
            client_id=made.client_id,
            kind=CredentialKind.SECRET,
            created_by=user,
            created_at=now,
            expires_at=None,
        )
        if jwks_uri:
            credential.kind, credential.jwks_uri = CredentialKind.JWKS_URI, jwks_uri
        elif key is not None:
            credential.kind, credential.jwks = CredentialKind.JWKS, {"keys": [key.as_dict(private=False)]}
        elif not public:
            made.secret = secrets.new_secret(environment)
            credential.secret_hash = secrets.digest(made.secret, pepper)
            credential.secret_hint = secrets.hint(made.secret)
        if not public:
            session.add(credential)
        if profile:
            session.add(ClientProfile(client_id=made.client_id, **profile))
    return made


def oauth_over(engine: AsyncEngine, maker: SessionMaker, folder: Path, clock: FixedClock, **options: Any) -> OAuth:
    """An authorization server whose housekeeping waits to be called, and that hears everybody out however often they fail."""
    options.setdefault("failures", NoFailures())
    return OAuth(
        public_url=PUBLIC_URL,
        keys_dir=folder / "keys",
        engine=engine,
        maker=maker,
        clock=clock,
        tidy_every=3600,
        **options,
    )


def assertion(app: MadeApp, algorithm: str, *, now: datetime = NOW, environment: str = "sandbox", **claims: Any) -> str:
    """A client assertion as SMART describes it; `claims` replace or, when None, remove single claims."""
    assert app.key is not None
    payload: dict[str, Any] = {
        "iss": app.client_id,
        "sub": app.client_id,
        "aud": f"{PUBLIC_URL}/{environment}/oauth/token",
        "exp": int(now.timestamp()) + 120,
        "iat": int(now.timestamp()),
        "jti": new_id("jti"),
        **claims,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    header = {"alg": algorithm, "kid": app.key.kid, "typ": "JWT"}
    return jwt.encode(header, payload, app.key, algorithms=[algorithm])


def assertion_form(text: str, **more: str) -> dict[str, str]:
    """A token request with a client assertion."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": text,
        **more,
    }


def claims_of(token: str) -> dict[str, Any]:
    """Payload of a JWT, not verified."""
    part = token.split(".")[1]
    decoded: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def header_of(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    decoded: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def real_now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


VERIFIER = "v" * 64
CALLBACK = "https://app.test/callback"


def challenge_of(verifier: str) -> str:
    """S256 code challenge (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorization_form(client_id: str, /, *, environment: str = "sandbox", **changes: str | None) -> dict[str, str]:
    """A right authorization request; `changes` replace or, when None, remove single parameters."""
    form: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "launch/patient patient/Observation.rs openid fhirUser offline_access",
        "state": "s" * 22,
        "aud": f"{PUBLIC_URL}/{environment}/fhir/R4",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def code_form(client_id: str, code: str, /, **changes: str | None) -> dict[str, str]:
    """A token request for a code of a public App."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def dpop_proof(key: Key, *, method: str = "POST", url: str, now: datetime = NOW, **claims: Any) -> str:
    """A DPoP proof (RFC 9449)."""
    payload = {"jti": new_id("jti"), "htm": method, "htu": url, "iat": int(now.timestamp()), **claims}
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, payload, key, algorithms=["ES256"])
