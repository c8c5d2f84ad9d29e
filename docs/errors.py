"""The catalogue of the portal's errors, from the error classes themselves.

A problem's `type` is the address of its entry in `reference/errors.md`, so that page must know every code that may be sent.
"""

from __future__ import annotations

import importlib
import pkgutil


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
