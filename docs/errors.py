"""Write the catalogue of errors, `reference/errors.md` of both sites, from the error classes themselves.

A problem's `type` is the address of its entry here, so the page must know every code that the portal may send.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = {
    "en": (
        "# Errors\n\nThe portal's API answers errors as `application/problem+json` (RFC 9457). `type` is the address of an entry "
        "on this page, `errors` names the fields of a refused form, `request_id` is what support asks for. Written from the "
        "error classes at every build.\n"
    ),
    "fa": (
        "# خطاها\n\nAPI درگاه خطا را به شکل `application/problem+json` (RFC 9457) برمی‌گرداند. `type` نشانی یکی از بخش‌های همین "
        "صفحه است، `errors` فیلدهای نادرست را نام می‌برد و `request_id` همان است که پشتیبانی می‌پرسد. این صفحه در هر ساخت از خود "
        "کلاس‌های خطا نوشته می‌شود.\n"
    ),
}
STATUS = {"en": "HTTP status", "fa": "وضعیت HTTP"}


def catalogue() -> dict[str, tuple[int, str, str]]:
    """Status, English and Persian title of every code, in order of the codes."""
    import portal
    from portal.kernel.errors import DomainError
    from portal.web.problems import PLAIN, status_of

    for module in pkgutil.walk_packages(portal.__path__, "portal."):
        if ".migrations" not in module.name and not module.name.endswith((".asgi", ".cli")):
            importlib.import_module(module.name)
    found = {code: (status, title, title_fa) for status, (code, title, title_fa) in PLAIN.items()}
    waiting = [DomainError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if "code" in vars(kind) and kind is not DomainError:
            found[kind.code] = (status_of(kind.__new__(kind)), kind.title, kind.title_fa)
    return dict(sorted(found.items()))


def page(language: str) -> str:
    """The Markdown page of `language`."""
    entries = [
        f"\n## {code}\n\n{title_fa if language == 'fa' else title}.\n\n{STATUS[language]}: `{status}`\n"
        for code, (status, title, title_fa) in catalogue().items()
    ]
    return HEAD[language] + "".join(entries)


def write() -> None:
    """Write both pages."""
    for language in HEAD:
        (ROOT / "docs" / language / "reference" / "errors.md").write_text(page(language), "utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{len(catalogue())} errors\n")
