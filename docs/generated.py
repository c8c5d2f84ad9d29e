"""Reference pages written from the running code, so that they cannot disagree with it."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
NOTE = {
    "fa": "*این صفحه از خود برنامه ساخته می‌شود.*\n\n",
    "en": "*This page is generated from the program itself.*\n\n",
}
PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def digits(value: int, language: str) -> str:
    """A whole number with separators, in the digits of the language."""
    text = f"{value:,}"
    return text.translate(PERSIAN_DIGITS).replace(",", "٬") if language == "fa" else text


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return (
        "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)])
        + "\n"
    )


def refusals() -> list[tuple[int, str, str, str]]:
    """Status, code, FHIR issue type and title of every refusal of the gateway, read from its source."""
    from portal.gateway import verdicts

    def value(node: ast.expr) -> object:
        if isinstance(node, ast.Constant):
            return node.value
        return getattr(verdicts, node.id, "") if isinstance(node, ast.Name) else ""

    tree = ast.parse((ROOT / "portal" / "gateway" / "verdicts.py").read_text(encoding="utf-8"))
    found: dict[str, tuple[int, str, str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and len(node.args) >= 4:
            values = [value(arg) for arg in node.args[:4]]
            if isinstance(values[0], int) and values[0] >= 400 and values[1]:
                found[str(values[1])] = (values[0], str(values[1]), str(values[2]), str(values[3]))
    return sorted(found.values())


def errors(language: str) -> str:
    """Catalogue of error codes; each is an anchor that a problem's `type` points at."""
    from errors import catalogue

    fa = language == "fa"
    lines = ["# خطاها\n" if fa else "# Errors\n", NOTE[language]]
    lines.append(
        "پاسخ خطا در هر بخش به شکل همان پروتکل است: `problem+json` (RFC 9457) در درگاه، "
        "خطای OAuth (RFC 6749) در نشانی‌های توکن، و `OperationOutcome` در مسیرهای FHIR.\n"
        if fa
        else "An error has the shape of its protocol: `problem+json` (RFC 9457) in the portal, an OAuth error (RFC 6749) at the token "
        "endpoints, `OperationOutcome` on FHIR paths.\n"
    )
    lines.append("## دروازه\n" if fa else "## Gateway\n")
    lines.append(
        table(
            ("کد", "وضعیت", "نوع FHIR", "معنا") if fa else ("Code", "Status", "FHIR issue", "Meaning"),
            [(f"`{c}`", str(s), f"`{i}`" if i else "", t) for s, c, i, t in refusals()],
        )
    )
    lines.append("\n## درگاه\n" if fa else "\n## Portal\n")
    for code, (status, title, title_fa) in catalogue().items():
        shown, other = (title_fa, title) if fa else (title, title_fa)
        lines.append(f"### {code} {{#{code}}}\n\n**{status}** · {shown}\n\n*{other}*\n")
    return "\n".join(lines)


def products(language: str) -> str:
    """Products with their scopes and plans."""
    from portal.products.catalogue import entries

    fa = language == "fa"
    lines = ["# محصول‌ها، دامنه‌ها و سقف‌ها\n" if fa else "# Products, scopes and limits\n", NOTE[language]]
    lines.append(
        "سقف‌های زیر دقیقاً همان‌هایی است که دروازه اعمال می‌کند. هر پاسخ، مانده را در سرآیند `RateLimit` می‌گوید.\n"
        if fa
        else "The limits below are exactly those the gateway enforces. Every answer tells what is left in its `RateLimit` field.\n"
    )
    for entry in entries():
        lines.append(
            f"## {entry.name_fa if fa else entry.name_en} {{#{entry.id}}}\n\n{entry.summary_fa if fa else entry.summary_en}\n"
        )
        head = (
            ("طرح", "محیط", "در ثانیه", "در دقیقه", "سهمیه", "بها (ریال)")
            if fa
            else ("Plan", "Environment", "Per second", "Per minute", "Quota", "Price (rials)")
        )
        period = {"month": ("در ماه", "a month"), "day": ("در روز", "a day")}
        rows = [
            (
                f"{plan.name_fa if fa else plan.name_en} (`{plan.id}`)",
                plan.environment,
                digits(plan.per_second, language),
                digits(plan.per_minute, language),
                f"{digits(plan.quota, language)} {period[plan.quota_period][0 if fa else 1]}",
                digits(plan.price_rials, language),
            )
            for plan in entry.plans
        ]
        lines.append(table(head, rows))
        head = ("دامنه", "معنا", "تأیید دونفره") if fa else ("Scope", "Meaning", "Two reviewers")
        yes = "بله" if fa else "yes"
        scopes = [
            (f"`{s.scope}`", s.meaning_fa if fa else s.meaning_en, yes if s.sensitive else "") for s in entry.scopes
        ]
        lines.append(table(head, scopes))
    return "\n".join(lines)


def commands(language: str) -> str:
    """Every `gozar` command with its options."""
    from portal.cli import main

    fa = language == "fa"
    lines = ["# فرمان‌های gozar\n" if fa else "# The gozar command\n", NOTE[language]]

    def describe(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            for name, each in sorted(command.commands.items()):
                describe(each, f"{path} {name}")
            return
        context = click.Context(command, info_name=path)
        lines.append(f"## {path}\n\n{(command.help or '').strip()}\n\n```text\n{command.get_usage(context)}\n```\n")
        rows = []
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None:
                rows.append((f"`{record[0]}`", record[1]))
        if rows:
            lines.append(table(("گزینه", "معنا") if fa else ("Option", "Meaning"), rows))

    describe(main, "gozar")
    return "\n".join(lines)


@cache
def openapi() -> dict[str, Any]:
    """The portal's OpenAPI document."""
    from portal.app import create_app
    from portal.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        document: dict[str, Any] = create_app(Settings(data_dir=Path(folder))).litestar.openapi_schema.to_schema()
    return document


def portal_api(language: str) -> str:
    """Operations of the portal's JSON API."""
    fa = language == "fa"
    lines = ["# API درگاه\n" if fa else "# Portal API\n", NOTE[language]]
    lines.append(
        "سند کامل OpenAPI در `/api/v1/openapi.json` است. با `POST /api/v1/sessions` یا توکن شخصی وارد شوید "
        "و آن را در سرآیند `Authorization: Bearer` بفرستید.\n"
        if fa
        else "The whole OpenAPI document is at `/api/v1/openapi.json`. Sign in with `POST /api/v1/sessions` or a personal token "
        "and send it as `Authorization: Bearer`.\n"
    )
    rows: dict[str, list[tuple[str, ...]]] = {}
    for path, operations in sorted(openapi()["paths"].items()):
        group = path.removeprefix("/api/v1/").split("/")[0]
        for method, operation in operations.items():
            if method in ("get", "post", "put", "patch", "delete"):
                text = (
                    str(operation.get("description") or operation.get("summary") or "")
                    .split("\n\n")[0]
                    .replace("\n", " ")
                )
                answers = " ".join(sorted(code for code in operation["responses"] if code < "3"))
                rows.setdefault(group, []).append((f"`{method.upper()}`", f"`{path}`", text, answers))
    for group, found in rows.items():
        lines.append(f"## {group}\n")
        lines.append(
            table(("روش", "نشانی", "کار", "پاسخ") if fa else ("Method", "Path", "What it does", "Answers"), found)
        )
    return "\n".join(lines)


def fhir_api(language: str) -> str:
    """What the exchange answers, from its own CapabilityStatement."""
    import orjson

    from sandbox.exchange.capabilities import statement

    fa = language == "fa"
    rest = orjson.loads(statement("https://gozar.example/sandbox/fhir/R4", "https://gozar.example/sandbox", 0))["rest"][
        0
    ]
    lines = ["# FHIR R4\n" if not fa else "# API سلامت (FHIR R4)\n", NOTE[language]]
    lines.append(
        f"این جدول از همان سندی است که `/{{env}}/fhir/R4/metadata` می‌دهد: {digits(len(rest['resource']), language)} نوع منبع.\n"
        if fa
        else f"The same statement that `/{{env}}/fhir/R4/metadata` returns: {digits(len(rest['resource']), language)} resource types.\n"
    )
    common = None
    for resource in rest["resource"]:
        codes = {parameter["name"] for parameter in resource.get("searchParam", [])}
        common = codes if common is None else common & codes
    shared = sorted(common or ())
    lines.append(
        ("پارامترهای مشترک همهٔ انواع: " if fa else "Parameters that every type has: ")
        + " ".join(f"`{c}`" for c in shared)
        + "\n"
    )
    interactions = " ".join(f"`{i['code']}`" for i in rest["resource"][0]["interaction"])
    lines.append(("تعامل‌ها: " if fa else "Interactions: ") + interactions + "\n")
    rows = []
    for resource in rest["resource"]:
        codes = sorted(p["name"] for p in resource.get("searchParam", []) if p["name"] not in shared)
        rows.append((f"`{resource['type']}`", " ".join(f"`{c}`" for c in codes)))
    lines.append(table(("نوع", "پارامترهای جست‌وجو") if fa else ("Type", "Search parameters"), rows))
    return "\n".join(lines)


PAGES: dict[str, Callable[[str], str]] = {
    "reference/commands.md": commands,
    "reference/errors.md": errors,
    "reference/fhir.md": fhir_api,
    "reference/portal-api.md": portal_api,
    "reference/products.md": products,
}


@cache
def content(page: str, language: str) -> str:
    """Markdown of a generated page."""
    return re.sub(r"\n{3,}", "\n\n", PAGES[page](language))
