"""Other people's OAuth and SMART clients work with Gozar as they are."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
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
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from oauthlib.oauth2 import BackendApplicationClient
from playwright.sync_api import sync_playwright
from requests_oauthlib import OAuth2Session
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
NODE = Path(__file__).parent / "node"
CHROMIUM = "/usr/bin/chromium"
CASES = (
    "oauth4webapi-secret",
    "oauth4webapi-key",
    "oauth4webapi-public",
    "openid-client-backend",
    "openid-client-public",
    "openid-client-pushed-with-dpop",
)
PAGE = """<!doctype html><meta charset="utf-8"><title>App</title><script src="/fhir-client.js"></script>
<script>{script}</script><body></body>"""
LAUNCH = """FHIR.oauth2.authorize({{clientId: "{client_id}", scope: "{scope}", redirectUri: "/index.html", iss: "{iss}"}})
.catch(error => {{ document.title = "FAILED " + error.message }})"""
READY = """FHIR.oauth2.ready().then(client => client.patient.read().then(patient => {
  const scope = client.getState("tokenResponse.scope")
  document.title = "READ " + JSON.stringify({patient: patient.id, user: client.user.fhirUser, scope})
})).catch(error => { document.title = "FAILED " + error.message })"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Live:
    """A served installation with three Apps: one with a secret, one with a key, one public."""

    base: str
    setting: dict[str, Any]
    app_page: str

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
        per_second=None,
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


@pytest.fixture(scope="module")
def live(seeded_installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    data, port, app_port = tmp_path_factory.mktemp("live") / "data", free_port(), free_port()
    shutil.copytree(seeded_installation, data)
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
    yield Live(base, setting, app_page)
    server.should_exit = True
    thread.join(30)
    loop.close()


def needs_node() -> None:
    if not (NODE / "node_modules").exists() or shutil.which("node") is None:
        pytest.skip("npm ci --prefix tests/contracts/node has not run")


@pytest.mark.node
@pytest.mark.parametrize("case", CASES)
def test_certified_npm_client(live: Live, case: str) -> None:
    needs_node()
    command = ["node", str(NODE / "clients.mjs"), json.dumps(live.setting), case]
    environ = {**os.environ, "NODE_NO_WARNINGS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        said = ""
        for line in process.stdout:
            said = line.strip()
            if said.startswith("VISIT "):
                process.stdin.write(live.person(said.removeprefix("VISIT ")) + "\n")
                process.stdin.flush()
        trouble = process.stderr.read()
    assert said == "DONE", trouble


def test_authlib_client_with_a_secret_and_with_a_key(live: Live) -> None:
    token_url, setting = f"{live.base}/sandbox/oauth/token", live.setting
    with AuthlibSession(setting["secretClientId"], setting["secret"], scope="system/Patient.rs") as client:
        token = client.fetch_token(token_url, grant_type="client_credentials")
        assert token["expires_in"] == 300
        patients = client.get(f"{setting['fhirBase']}/Patient", params={"_count": "1"})
        assert patients.json()["resourceType"] == "Bundle"
    header = {"kid": setting["privateKey"]["kid"]}
    key = ECKey.import_key(setting["privateKey"])
    # Left alone this client signs for an hour, which SMART forbids; the answer must say so.
    for lifetime, wrong in ((3600, "at most 5 minutes"), (240, "")):
        claims = {"exp": int(time.time()) + lifetime, "jti": new_id("jti")}
        method = PrivateKeyJWT(token_url, alg="ES384", headers=header, claims=claims)
        with AuthlibSession(setting["keyClientId"], key, scope="system/Patient.rs") as client:
            client.register_client_auth_method(method)
            client.token_endpoint_auth_method = method.name
            if wrong:
                with pytest.raises(Exception, match=wrong):
                    client.fetch_token(token_url, grant_type="client_credentials")
            else:
                assert client.fetch_token(token_url, grant_type="client_credentials")["scope"] == "system/Patient.rs"


def test_requests_oauthlib_client(live: Live) -> None:
    setting = live.setting
    # oauthlib refuses plain http otherwise; the server is on the loopback interface.
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    with OAuth2Session(
        client=BackendApplicationClient(setting["secretClientId"], scope="system/Patient.rs")
    ) as session:
        token = session.fetch_token(
            f"{live.base}/sandbox/oauth/token", client_id=setting["secretClientId"], client_secret=setting["secret"]
        )
        assert token["token_type"] == "Bearer"
        answer = session.get(f"{setting['fhirBase']}/Patient", params={"_count": "1"})
        assert answer.status_code == 200
    with OAuth2Session(
        setting["publicClientId"],
        redirect_uri=setting["redirectUri"],
        scope="launch/patient patient/Patient.rs offline_access",
        pkce="S256",
    ) as session:
        url, _ = session.authorization_url(f"{live.base}/sandbox/oauth/authorize", aud=setting["fhirBase"])
        token = session.fetch_token(
            f"{live.base}/sandbox/oauth/token", authorization_response=live.person(url), include_client_id=True
        )
        read = session.get(f"{setting['fhirBase']}/Patient/{token['patient']}")
        assert read.json()["id"] == token["patient"]
        renewed = session.refresh_token(f"{live.base}/sandbox/oauth/token", client_id=setting["publicClientId"])
        assert renewed["refresh_token"] != token["refresh_token"]


@pytest.mark.node
@pytest.mark.browser
def test_fhirclient_launches_reads_and_names_the_person_in_a_browser(live: Live, tmp_path: Path) -> None:
    needs_node()
    if not Path(CHROMIUM).exists():
        pytest.skip("Debian's chromium is not installed")
    scope = "launch/patient patient/Patient.rs openid fhirUser"
    launch = LAUNCH.format(client_id=live.setting["publicClientId"], scope=scope, iss=live.setting["fhirBase"])
    (tmp_path / "launch.html").write_text(PAGE.format(script=launch))
    (tmp_path / "index.html").write_text(PAGE.format(script=READY))
    shutil.copy(NODE / "node_modules" / "fhirclient" / "build" / "fhir-client.js", tmp_path)
    port = urlsplit(live.app_page).port
    assert port is not None
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=[*flags, "--disable-component-update", "--disable-sync"]
            )
            page = browser.new_page()
            page.goto(f"{live.app_page}/launch.html")
            page.click("ul.people button >> nth=0")
            page.click("button[value=allow]")
            page.wait_for_function("/^(READ|FAILED)/.test(document.title)", timeout=30_000)
            said = page.title()
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
    assert said.startswith("READ "), said
    found = json.loads(said.removeprefix("READ "))
    assert found["user"].endswith(f"Patient/{found['patient']}")
    assert found["scope"] == scope
