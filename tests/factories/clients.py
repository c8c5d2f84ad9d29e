"""A served installation and what other people's clients need to use it: Apps with a secret, with a key, and public."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from joserfc.jwk import ECKey
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from portal import demo
from portal.app import create_app
from portal.apps.models import App, Credential, CredentialKind, RedirectUri
from portal.kernel.database import transaction
from portal.kernel.ids import new_id
from portal.kernel.mail import MemoryMailer
from portal.settings import Settings
from tests.factories.oauth import real_now
from tests.factories.postgres import free_port

T = TypeVar("T")
NODE = Path(__file__).parents[1] / "contracts" / "node"
# Suites call as fast as they can; limits have tests of their own.
UNHURRIED = 100_000


@dataclass
class Live:
    """A served installation with three Apps: one with a secret, one with a key, one public."""

    base: str
    setting: dict[str, Any]
    app_page: str
    accounts: dict[str, tuple[str, str]]
    """E-mail and password by role: developer, reviewer, admin."""

    def session(self, role: str) -> str:
        """A bearer token of the portal's JSON API for one of the accounts."""
        email, password = self.accounts[role]
        answer = httpx.post(f"{self.base}/api/v1/sessions", json={"email": email, "password": password}, timeout=30)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    @property
    def fhir(self) -> str:
        """The FHIR base of the sandbox."""
        return str(self.setting["fhirBase"])

    def token(self, scope: str = "system/*.cruds") -> str:
        """An access token of the App with a secret."""
        basic = (self.setting["secretClientId"], self.setting["secret"])
        form = {"grant_type": "client_credentials", "scope": scope}
        answer = httpx.post(f"{self.base}/sandbox/oauth/token", data=form, auth=basic, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def http(self, **more: Any) -> httpx.Client:
        """A client of the FHIR API with a fresh token of the App with a secret."""
        headers = {"authorization": f"Bearer {self.token()}"}
        return httpx.Client(base_url=f"{self.fhir}/", headers=headers, timeout=30, **more)

    def key_file(self, folder: Path) -> Path:
        """The private key of the keyed App as PEM, as SMART backend clients read it."""
        path = folder / "key.pem"
        path.write_bytes(ECKey.import_key(self.setting["privateKey"]).as_pem(private=True))
        return path

    def person(self, url: str) -> str:
        """Go through an authorization as the first citizen of the list, agree to all; where the browser ends up."""
        with httpx.Client(base_url=self.base, headers={"accept": "text/html"}, timeout=30) as browser:
            begun = browser.get(url)
            assert begun.status_code == 303, begun.text
            place = urlsplit(begun.headers["location"]).path
            asked = browser.get(place).text
            person = re.search(r'name="person" value="([^"]+)"', asked)
            assert person is not None
            browser.post(f"{place}/sign-in", data={"csrf_token": _csrf(asked), "person": person.group(1)})
            consent = browser.get(place).text
            keys = re.findall(r'name="scope" value="([^"]+)"', consent)
            form = {"csrf_token": _csrf(consent), "decision": "allow", "scope": keys}
            answer = browser.post(f"{place}/decision", data=form)
            assert answer.status_code == 303, answer.text
            return str(answer.headers["location"])


def _csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', html)
    assert found is not None, html
    return found.group(1)


async def _ready(gozar: Any, session: AsyncSession) -> demo.ReadyApp:
    return await demo.ready_app(
        session,
        environment="sandbox",
        scopes=list(demo.DEFAULT_SCOPES),
        per_second=UNHURRIED,
        per_minute=None,
        quota=None,
        tenants=gozar.tenants,
        pepper=gozar.shell.pepper,
        now=real_now(),
    )


async def _apps(gozar: Any, redirect_uris: list[str]) -> dict[str, Any]:
    key = ECKey.generate_key("P-384", {"kid": "contract", "alg": "ES384", "use": "sig"})
    async with transaction(gozar.sessions) as session:
        secret, keyed, public = [await _ready(gozar, session) for _ in range(3)]
        owner = (await session.get_one(App, keyed.app_id)).created_by
        for app in (keyed, public):
            session.add_all(RedirectUri(client_id=app.client_id, uri=uri) for uri in redirect_uris)
        jwks = {"keys": [key.as_dict(private=False)]}
        session.add(
            Credential(
                id=new_id("crd"),
                client_id=keyed.client_id,
                kind=CredentialKind.JWKS,
                jwks=jwks,
                created_by=owner,
                created_at=real_now(),
            )
        )
        await session.execute(update(App).where(App.id == public.app_id).values(public=True))
    return {
        "secretClientId": secret.client_id,
        "secret": secret.client_secret,
        "keyClientId": keyed.client_id,
        "privateKey": key.as_dict(private=True),
        "publicClientId": public.client_id,
        "redirectUri": redirect_uris[0],
    }


@contextlib.contextmanager
def served(seeded: Path, data: Path) -> Iterator[Live]:
    """Serve a copy of the installation `seeded` from the folder `data` until the block ends."""
    port, app_port = free_port(), free_port()
    shutil.copytree(seeded, data)
    base, app_page = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{app_port}"
    chosen = Settings(data_dir=data, public_url=base, sandbox_population=12, production_population=8)
    gozar = create_app(chosen, mailer=MemoryMailer())
    server = uvicorn.Server(uvicorn.Config(gozar.asgi, port=port, log_level="warning", access_log=False, lifespan="on"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),), daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the server did not start"
        time.sleep(0.05)

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    setting = run(_apps(gozar, [f"{app_page}/index.html", f"{app_page}/callback"]))
    setting |= {"issuer": f"{base}/sandbox", "fhirBase": f"{base}/sandbox/fhir/R4"}
    kept = {name: demo.ACCOUNTS[number] for name, number in (("developer", 0), ("reviewer", 2), ("admin", 4))}
    accounts = {name: (account.email, account.password(gozar.shell.keyring)) for name, account in kept.items()}
    try:
        yield Live(base, setting, app_page, accounts)
    finally:
        server.should_exit = True
        thread.join(30)
        loop.close()


def needs_node() -> None:
    if not (NODE / "node_modules").exists() or shutil.which("node") is None:
        pytest.skip("npm ci --prefix tests/contracts/node has not run")
