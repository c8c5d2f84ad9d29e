"""`gozar conformance` and `gozar evidence`: runs from a terminal or a CI job over the JSON API, and offline verification.

The composition of commands hooks these in: `main.add_command(conformance)`, `main.add_command(evidence)`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import httpx

from portal.conformance.service import EVIDENCE_TYPE
from portal.kernel.signing import BadSignature, verify


class ApiRefused(click.ClickException):
    """The portal said no; its words are shown."""


class Api:
    """The few calls that a run needs."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60
        )

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """One call; a refusal becomes one clear line."""
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ApiRefused(f"the portal does not answer: {error}") from error
        if answer.status_code >= 400:
            problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            raise ApiRefused(
                f"{answer.status_code}: {problem.get('detail') or problem.get('title') or answer.text[:200]}"
            )
        return answer


@click.group()
def conformance() -> None:
    """Prove an App by its own sandbox traffic."""


@conformance.command("run")
@click.argument("app")
@click.option("--version", "app_version", required=True, help="version of the app that is judged")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="address of the portal")
@click.option("--token", required=True, envvar="GOZAR_TOKEN", help="personal token of a developer of the company")
@click.option("--scope", default="", help="space-separated scopes production will be asked for; absent: all")
@click.option("--command", default="", help="runs for each scenario, with its id and inputs as JSON in its arguments")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="write JUnit XML here")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="write the report to read here")
@click.option("--lang", type=click.Choice(["fa", "en"]), default="fa", show_default=True, help="language of --html")
@click.option(
    "--evidence",
    "evidence_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="write the signed evidence here",
)
def run(
    app: str,
    app_version: str,
    url: str,
    token: str,
    scope: str,
    command: str,
    junit: Path | None,
    html: Path | None,
    lang: str,
    evidence_file: Path | None,
) -> None:
    """Walk APP through every scenario, judge what it did, and exit with 1 unless it passes.

    With --command each scenario is handed to your own driver (`COMMAND SCENARIO INPUTS`); without, you are told what to do and
    press Enter when it is done.
    """
    api = Api(url, token)
    wanted = {"app_version": app_version, **({"scopes": scope.split()} if scope else {})}
    state = api.call("POST", f"/apps/{app}/conformance/runs", wanted).json()
    path = f"/conformance/runs/{state['id']}"
    while state["current"]:
        step = next(row for row in state["steps"] if row["scenario"] == state["current"])
        _perform(step, command)
        state = api.call("POST", f"{path}/next").json()
    report = api.call("POST", f"{path}/judge").json()
    _show(report)
    if junit is not None:
        junit.write_bytes(api.call("GET", f"{path}/junit").content)
    if html is not None:
        html.write_bytes(api.call("GET", f"{path}/html?lang={lang}").content)
    if evidence_file is not None:
        evidence_file.write_text(
            api.call("GET", f"/evidence/{report['evidence']}").json()["jws"] + "\n", encoding="ascii"
        )
    click.echo(f"evidence  {report['evidence']}")
    if not report["passes"]:
        raise SystemExit(1)


def _perform(step: dict[str, Any], command: str) -> None:
    inputs = json.dumps(step["inputs"], ensure_ascii=False)
    click.echo(f"\n{step['scenario']}: {step['title']['en']}\n  {step['do']['en']}\n  {inputs}")
    if not command:
        click.prompt("  press Enter when your app has done it", default="", show_default=False, prompt_suffix=" ")
        return
    # The developer's own command, from their own command line.
    done = subprocess.run([*shlex.split(command), step["scenario"], inputs], check=False)  # noqa: S603
    if done.returncode:
        click.echo(f"  the command ended with {done.returncode}; the run goes on", err=True)


def _show(report: dict[str, Any]) -> None:
    for row in report["results"]:
        if row["proof"] == "check" and row["result"] in ("fail", "skip"):
            click.echo(f"{row['result']:<5} {row['level']:<7} {row['id']:<10} {row['title']['en']}: {row['en']}")
            if row["result"] == "fail":
                click.echo(f"      {row['hint']['en']}  [{' '.join(row['calls'][:3])}]")
    found = report["counts"]
    click.echo(
        f"\n{'PASSES' if report['passes'] else 'DOES NOT PASS'}: {found['pass']} pass, {found['fail']} fail, "
        f"{found['skip']} skip, {found['omit']} omit; {report['calls']} calls; suite {report['suite_version']}"
    )


@click.group()
def evidence() -> None:
    """Signed evidence of conformance runs."""


@evidence.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="the portal's key set, saved from /api/v1/signing-keys",
)
@click.option("--app", default="", help="the App that the evidence must be of")
@click.option("--app-version", default="", help="the version of the App that it must be of")
@click.option("--suite", default="", help="the suite version that it must be of")
def verify_file(file: Path, keys: Path, app: str, app_version: str, suite: str) -> None:
    """Check FILE with nothing but the portal's key set; prints what was signed, exits with 1 when it does not hold.

    With --app, --app-version or --suite it must also be the evidence of these: a genuine one of something else exits with 1.
    """
    try:
        found = verify(file.read_text(encoding="ascii"), json.loads(keys.read_text(encoding="utf-8")), EVIDENCE_TYPE)
    except (BadSignature, ValueError) as error:
        click.echo(f"NOT VALID: {error}", err=True)
        sys.exit(1)
    for name, wanted in (("app", app), ("app_version", app_version), ("suite_version", suite)):
        if wanted and found[name] != wanted:
            click.echo(f"NOT THIS ONE: it is signed for {name} {found[name]}, not {wanted}", err=True)
            sys.exit(1)
    click.echo(
        f"valid: {found['id']} of app {found['app']} version {found['app_version']}, judged {found['judged_at']}"
    )
    click.echo(
        f"suite {found['suite_version']}; {found['traffic']['calls']} calls, sha256 {found['traffic']['sha256']}"
    )
    click.echo(f"{'passes' if found['passes'] else 'does not pass'}: {found['counts']}")
