"""Structured logs on standard error: one line an event, readable on a terminal, JSON elsewhere.

No secret and no citizen's identifier may reach a log: fields with telling names are masked here, whoever wrote them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

MASK = "…"
SECRET_NAMES = frozenset(
    {
        "access_token",
        "assertion",
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "cookie",
        "identifier",
        "national_code",
        "password",
        "refresh_token",
        "secret",
        "token",
    }
)


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name says that it is secret."""
    for name in event:
        if name.lower() in SECRET_NAMES:
            event[name] = MASK
    return event


def configure_logs(*, terminal: bool | None = None) -> None:
    """Set up structlog and the standard library's loggers; `terminal` None asks standard error itself."""
    pretty = sys.stderr.isatty() if terminal is None else terminal
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Authlib's debug lines hold whole tokens; httpx's info lines hold whole URLs; uvicorn's access log repeats the request log.
    for name, level in (
        ("authlib", logging.WARNING),
        ("httpx", logging.WARNING),
        ("uvicorn.access", logging.WARNING),
        ("alembic", logging.WARNING),
    ):
        logging.getLogger(name).setLevel(level)
