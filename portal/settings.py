"""The portal's settings: frozen values, read from the environment in one place only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENTS = ("sandbox", "production")
DATABASES = ("GOZAR_DATABASE_URL", "GOZAR_SANDBOX_DATABASE_URL", "GOZAR_PRODUCTION_DATABASE_URL")


class InvalidSetting(Exception):
    """A `GOZAR_*` variable holds a value that cannot be used; the message names it and says how to mend it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a deployment may choose.

    Empty URLs mean the embedded default: SQLite files under `data_dir`, counters in memory, both exchanges in this process.
    """

    data_dir: Path
    public_url: str = "http://127.0.0.1:8000"
    database_url: str = ""
    sandbox_database_url: str = ""
    production_database_url: str = ""
    redis_url: str = ""
    sandbox_population: int = 200
    production_population: int = 60
    sandbox_upstream: str = ""
    production_upstream: str = ""
    stripe_api_base: str = ""
    stripe_api_key: str = ""
    stripe_webhook_secret: str = ""
    smtp_url: str = ""
    identity_issuer: str = ""
    identity_client_id: str = ""
    identity_client_secret: str = ""
    trusted_proxies: tuple[str, ...] = ()
    docs_dir: Path = Path("build/docs")
    demo: bool = True
    reviewers_need_second_factor: bool = False

    @property
    def portal_database_url(self) -> str:
        """SQLAlchemy URL of the portal's own database."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'portal.sqlite3'}"

    def exchange_database_url(self, environment: str) -> str:
        """SQLAlchemy URL of the embedded exchange of `environment`."""
        chosen = self.sandbox_database_url if environment == "sandbox" else self.production_database_url
        return chosen or f"sqlite+aiosqlite:///{self.data_dir / f'{environment}.sqlite3'}"

    def issuer(self, environment: str) -> str:
        """RFC 8414 issuer of `environment`: PUBLIC_URL/{environment}."""
        return f"{self.public_url}/{environment}"

    def fhir_base_url(self, environment: str) -> str:
        """Public FHIR base of `environment`, which is also the audience of its access tokens."""
        return f"{self.public_url}/{environment}/fhir/R4"

    def upstream_url(self, environment: str) -> str:
        """Base URL of a remote exchange, or empty for the embedded one."""
        return self.sandbox_upstream if environment == "sandbox" else self.production_upstream


def from_env(environ: Mapping[str, str] | None = None) -> Settings:
    """Read `GOZAR_*`; raises `InvalidSetting` naming the variable that cannot be used."""
    env = os.environ if environ is None else environ
    data_dir = Path(env.get("GOZAR_DATA_DIR", ".gozar")).absolute()
    public_url = (env.get("GOZAR_PUBLIC_URL") or _remembered_url(data_dir)).rstrip("/")
    if not public_url.startswith(("http://", "https://")):
        raise InvalidSetting(f"GOZAR_PUBLIC_URL must start with http:// or https://, not {public_url!r}")
    databases = {name: _database_url(env, name) for name in DATABASES}
    given = [url for url in databases.values() if url]
    if len(set(given)) < len(given):
        raise InvalidSetting(f"{', '.join(DATABASES)} must name different databases: each owns its schema")
    return Settings(
        data_dir=data_dir,
        public_url=public_url,
        database_url=databases["GOZAR_DATABASE_URL"],
        sandbox_database_url=databases["GOZAR_SANDBOX_DATABASE_URL"],
        production_database_url=databases["GOZAR_PRODUCTION_DATABASE_URL"],
        redis_url=env.get("GOZAR_REDIS_URL", ""),
        sandbox_population=_count(env, "GOZAR_SANDBOX_POPULATION", 200),
        production_population=_count(env, "GOZAR_PRODUCTION_POPULATION", 60),
        sandbox_upstream=env.get("GOZAR_SANDBOX_UPSTREAM", "").rstrip("/"),
        production_upstream=env.get("GOZAR_PRODUCTION_UPSTREAM", "").rstrip("/"),
        stripe_api_base=env.get("GOZAR_STRIPE_API_BASE", ""),
        stripe_api_key=env.get("GOZAR_STRIPE_API_KEY", ""),
        stripe_webhook_secret=env.get("GOZAR_STRIPE_WEBHOOK_SECRET", ""),
        identity_issuer=env.get("GOZAR_IDENTITY_ISSUER", "").rstrip("/"),
        identity_client_id=env.get("GOZAR_IDENTITY_CLIENT_ID", ""),
        identity_client_secret=env.get("GOZAR_IDENTITY_CLIENT_SECRET", ""),
        smtp_url=env.get("GOZAR_SMTP_URL", ""),
        trusted_proxies=tuple(
            block.strip() for block in env.get("GOZAR_TRUSTED_PROXIES", "").split(",") if block.strip()
        ),
        docs_dir=Path(env.get("GOZAR_DOCS_DIR", "build/docs")).absolute(),
        demo=env.get("GOZAR_DEMO", "1") not in ("0", "false", "no"),
        reviewers_need_second_factor=env.get("GOZAR_REVIEWER_SECOND_FACTOR", "0") in ("1", "true", "yes"),
    )


# The asynchronous driver that serves each kind of database; an address may name the kind alone, as most tools write it.
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def _database_url(env: Mapping[str, str], name: str) -> str:
    """`postgresql://...` or `sqlite:///...`, with or without a driver's name, as the SQLAlchemy URL of the driver in use."""
    text = env.get(name, "").strip()
    if not text:
        return ""
    scheme, separator, rest = text.partition("://")
    driver = _DRIVERS.get(scheme.partition("+")[0])
    if not separator or driver is None:
        raise InvalidSetting(f"{name} must be a postgresql:// or sqlite:/// address, not one of {scheme[:30]!r}")
    return f"{driver}://{rest}"


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000_000:
        raise InvalidSetting(f"{name} must be a whole number from 1 to 10000000, not {text!r}")
    return int(text)


PUBLIC_URL_FILE = "public-url"


def _remembered_url(data_dir: Path) -> str:
    """Where the installation in `data_dir` was last served, so that a command beside the server prints the right addresses."""
    try:
        return (data_dir / PUBLIC_URL_FILE).read_text(encoding="utf-8").strip() or "http://127.0.0.1:8000"
    except OSError:
        return "http://127.0.0.1:8000"


def serve_at(url: str) -> Settings:
    """Settings of a server that will answer at `url` unless GOZAR_PUBLIC_URL says otherwise; worker processes inherit it."""
    os.environ.setdefault("GOZAR_PUBLIC_URL", url)
    settings = from_env()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / PUBLIC_URL_FILE).write_text(settings.public_url + "\n", encoding="utf-8")
    return settings
