"""Other people's OAuth and SMART clients work with Gozar as they are."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from oauthlib.oauth2 import BackendApplicationClient
from playwright.sync_api import sync_playwright
from requests_oauthlib import OAuth2Session

from portal.kernel.ids import new_id
from tests.factories.clients import NODE, Live, needs_node

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
