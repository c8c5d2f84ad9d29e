"""A call as a curl command, for the one who wants to try it again. The token is a variable: the log never had it."""

from __future__ import annotations

import shlex

from portal.traffic.models import CallBody, CallRecord


def command(record: CallRecord, body: CallBody | None, public_url: str) -> str:
    """The command, or "" in production, where neither path nor body is kept."""
    if not record.target:
        return ""
    parts = ["curl"]
    if record.method not in ("GET", "POST") or (record.method == "POST" and not (body and body.request)):
        parts += ["-X", record.method] if record.method != "HEAD" else ["--head"]
    parts += ["-H", '"Authorization: Bearer $TOKEN"']
    if body is not None and body.request:
        parts += ["-H", shlex.quote(f"Content-Type: {body.request_type}"), "--data-raw", shlex.quote(body.request)]
    parts.append(shlex.quote(f"{public_url}{record.target}"))
    return " ".join(parts)
