"""The `gozar` command: serve, set up, and do from a script what the pages do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
import uvicorn
from sqlalchemy import select

from portal import demo, exchanges
from portal.app import Gozar, create_app
from portal.apps.models import App, AppEnvironment
from portal.audit import checkpoints, verification
from portal.conformance.cli import conformance, evidence
from portal.kernel.clock import SystemClock
from portal.kernel.database import transaction
from portal.kernel.errors import DomainError
from portal.kernel.logs import configure_logs
from portal.kernel.signing import PortalSigner
from portal.kernel.smtp import InvalidMailServer
from portal.oauth import keys_cli
from portal.reviews import suspensions
from portal.reviews.production import Grade, Target
from portal.settings import InvalidSetting, Settings, from_env, serve_at
from portal.tenants.cli import Work as TenantWork
from portal.tenants.cli import commands as tenant_commands

T = TypeVar("T")


ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 -- compared with, not bound to


class CommandFailed(click.ClickException):
    """One clear line on standard error and exit code 1."""


def settings() -> Settings:
    """The environment's settings, or one clear line."""
    try:
        return from_env()
    except InvalidSetting as error:
        raise CommandFailed(str(error)) from error


@asynccontextmanager
async def opened() -> AsyncIterator[Gozar]:
    """The installation, ready for a command beside a running server or alone."""
    gozar = create_app(settings())
    async with gozar.backbone():
        if settings().demo:
            async with transaction(gozar.sessions) as session:
                await demo.seed(session, gozar.shell.keyring, gozar.shell.clock.now())
        yield gozar


def run(work: Callable[[Gozar], Awaitable[T]]) -> T:
    """Run `work` on the opened installation; business errors become one line."""

    async def main() -> T:
        async with opened() as gozar:
            return await work(gozar)

    try:
        return asyncio.run(main())
    except (DomainError, InvalidMailServer) as error:
        raise CommandFailed(str(error)) from error
    except (OSError, httpx.HTTPError) as error:
        raise CommandFailed(f"{type(error).__name__}: {error}") from error


def show(value: Any, *, as_json: bool) -> None:
    """Print `value` as JSON, or as aligned lines."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=2))
        return
    for row in value if isinstance(value, list) else [value]:
        width = max(len(name) for name in row)
        for name, each in row.items():
            print(f"{name:<{width}}  {' '.join(each) if isinstance(each, list) else each}")
        print()


@click.group()
@click.version_option(package_name="gozar")
def main() -> None:
    """Gozar: the developer programme of the national electronic health operator."""
    configure_logs()


main.add_command(conformance)
main.add_command(evidence)


def _with_keys(work: keys_cli.Work) -> list[dict[str, Any]]:
    async def opened_work(gozar: Gozar) -> list[dict[str, Any]]:
        async with transaction(gozar.sessions) as session:
            return await work(session, gozar.oauth.vault_key, gozar.shell.clock.now())

    return run(opened_work)


main.add_command(keys_cli.commands(_with_keys))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
def serve(host: str, port: int, workers: int) -> None:
    """Set up what is missing, then serve the portal, the gateway and the embedded exchanges."""
    try:
        values = serve_at(f"http://{'127.0.0.1' if host in ANYWHERE else host}:{port}")
    except (InvalidSetting, OSError) as error:
        raise CommandFailed(str(error)) from error
    click.echo("preparing databases, keys and synthetic patients ...", err=True)
    accounts = run(_accounts)
    click.echo(
        f"\n  Gozar   {values.public_url}/     English: {values.public_url}/en/     docs: {values.public_url}/docs/\n",
        err=True,
    )
    if values.demo:
        click.echo("  demo accounts:", err=True)
        for row in accounts:
            click.echo(f"    {row['role']:<10} {row['email']:<36} {row['password']}", err=True)
    click.echo("\n  a ready app:  gozar demo-app --environment sandbox --json\n", err=True)
    uvicorn.run(
        "portal.asgi:create",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        # Whose word about callers counts is GOZAR_TRUSTED_PROXIES' to say, and is read in one place.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


@main.command()
def init() -> None:
    """Migrate the databases and load the catalogue, the demo company and the base populations, where they are missing."""
    run(_accounts)
    click.echo("ready")


async def _accounts(gozar: Gozar) -> list[dict[str, str]]:
    return [
        {"email": account.email, "password": account.password(gozar.shell.keyring), "role": account.role.value}
        for account in demo.ACCOUNTS
    ]


@main.command("demo-accounts")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def demo_accounts(as_json: bool) -> None:
    """E-mail, password and role of the demo accounts."""
    show(run(_accounts), as_json=as_json)


@main.command("demo-app")
@click.option("--environment", type=click.Choice(["sandbox", "production"]), default="sandbox", show_default=True)
@click.option("--scope", default=" ".join(demo.DEFAULT_SCOPES), help="space-separated scopes the app may ask for")
@click.option("--rate-limit", default="", help="N/second or N/minute instead of the plan's")
@click.option("--quota", type=click.IntRange(0), default=None, help="calls a month instead of the plan's")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def demo_app(environment: str, scope: str, rate_limit: str, quota: int | None, as_json: bool) -> None:
    """Make a new App of the demo company with a Credential and, in the sandbox, a Tenant of its own."""

    async def work(gozar: Gozar) -> dict[str, Any]:
        per_second, per_minute = demo.parse_limit(rate_limit) if rate_limit else (None, None)
        scopes = demo.parse_scopes(scope)
        async with transaction(gozar.sessions) as session:
            made = await demo.ready_app(
                session,
                environment=environment,
                scopes=scopes,
                per_second=per_second,
                per_minute=per_minute,
                quota=quota,
                tenants=gozar.tenants,
                pepper=gozar.shell.pepper,
                now=gozar.shell.clock.now(),
            )
        values = settings()
        return {
            "app_id": made.app_id,
            "client_id": made.client_id,
            "client_secret": made.client_secret,
            "token_url": f"{values.issuer(environment)}/oauth/token",
            "fhir_base_url": values.fhir_base_url(environment),
            "scopes": made.scopes,
            "tenant": made.tenant,
        }

    show(run(work), as_json=as_json)


@main.command()
@click.argument("app")
@click.option("--reason", default="suspended from the command line", show_default=True)
def suspend(app: str, reason: str) -> None:
    """Refuse every call of APP (its id or a client id) from the next one on."""

    async def work(gozar: Gozar) -> str:
        async with transaction(gozar.sessions) as session:
            found = await _find_app(session, app)
            await suspensions.impose(
                session,
                target=Target.APP,
                target_id=found.id,
                grade=Grade.INVOLUNTARY,
                reason_code="incident",
                reason=reason,
                by=None,
                actor="cli",
                now=gozar.shell.clock.now(),
            )
            return found.id

    click.echo(f"suspended {run(work)}")


async def _find_app(session: Any, given: str) -> App:
    query = select(App).outerjoin(AppEnvironment, AppEnvironment.app_id == App.id)
    found: App | None = (
        await session.scalars(query.where((App.id == given) | (AppEnvironment.client_id == given)))
    ).first()
    if found is None:
        raise CommandFailed(f"there is no app with id or client id {given!r}")
    return found


def _on_tenants(work: TenantWork) -> Any:
    """Run a command of `gozar tenant` in one transaction."""

    async def opened_work(gozar: Gozar) -> Any:
        async with transaction(gozar.sessions) as session:
            return await work(session, gozar.controls, gozar.shell.clock.now())

    return run(opened_work)


main.add_command(tenant_commands(_on_tenants))


@main.group()
def population() -> None:
    """The synthetic people that new Tenants stand on."""


@population.command("load")
@click.option("--patients", type=click.IntRange(1, 10_000_000), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
def load_population(patients: int, seed: int) -> None:
    """Load a population into the embedded sandbox in bulk; Tenants made from now on stand on it. Resumes where it was interrupted."""
    values = settings()
    if values.sandbox_upstream:
        raise CommandFailed("the sandbox is remote (GOZAR_SANDBOX_UPSTREAM): load the population there")

    def progress(count: int) -> None:
        click.echo(f"\r  {count:>12,} resources", nl=False, err=True)

    async def work() -> Any:
        loader = exchanges.load(exchanges.LOADER)
        into = exchanges.exchange_settings(values, "sandbox")
        return await loader(into, clock=SystemClock(), patients=patients, seed=seed, progress=progress)

    values.data_dir.mkdir(parents=True, exist_ok=True)
    done = asyncio.run(work())
    click.echo("", err=True)
    click.echo(f"{patients:,} people, {done.resources:,} resources" + ("" if done.fresh else " (loaded before)"))


@main.group("audit")
def audit_log() -> None:
    """The audit log."""


@audit_log.command()
@click.option(
    "--checkpoint",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a file of signed checkpoints kept elsewhere",
)
def verify(checkpoint: tuple[Path, ...]) -> None:
    """Check the whole chain and every signed checkpoint; exit code 1 names what was edited, deleted, moved or cut off."""

    async def work(gozar: Gozar) -> list[verification.Finding]:
        async with gozar.sessions() as session:
            kept_elsewhere = [line for path in checkpoint for line in path.read_text("ascii").split()]
            return await verification.findings(session, jwks=portal_signer(gozar).jwks(), kept=kept_elsewhere)

    found = run(work)
    if found:
        for row in found:
            click.echo(f"entry {row.number}: {row.kind}: {row.detail}", err=True)
        raise CommandFailed(f"the audit log is broken at entry {found[0].number}")
    click.echo("the audit log is whole")


def portal_signer(gozar: Gozar) -> PortalSigner:
    """The portal's own signature."""
    return PortalSigner(gozar.shell.keyring.derive("portal-signature"))


@audit_log.command("checkpoint")
def audit_checkpoint() -> None:
    """Sign where the log stands now and print the checkpoint: keep it somewhere else."""

    async def work(gozar: Gozar) -> str:
        async with transaction(gozar.sessions) as session:
            await checkpoints.checkpoint(session, signer=portal_signer(gozar), now=gozar.shell.clock.now())
            last = await checkpoints.latest(session)
        if last is None:
            raise CommandFailed("the audit log is empty")
        return last.jws

    click.echo(run(work))


@audit_log.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
def audit_export(file: Path) -> None:
    """Write the whole log to FILE as JSON lines, checkpoints at the end."""

    async def work(gozar: Gozar) -> int:
        count = 0
        with file.open("wb") as out:
            async with gozar.sessions() as session:
                async for line in checkpoints.export(session):
                    out.write(line)
                    count += 1
        return count

    click.echo(f"{run(work)} lines written to {file}")


if __name__ == "__main__":
    sys.exit(main())
