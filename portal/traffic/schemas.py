"""Wire shapes of the request log."""

from __future__ import annotations

from datetime import datetime

import msgspec

from portal.traffic.explanations import explain
from portal.traffic.models import CallBody, CallRecord


class CallInfo(msgspec.Struct):
    """One call. Times are microseconds; `target` (path and query, redacted) is empty in production."""

    id: str
    request_id: str
    at: datetime
    environment: str
    product: str
    method: str
    route: str
    interaction: str
    target: str
    status: int
    verdict: str
    detail: str
    violated_policies: list[str]
    shadow_policies: list[str]
    ratelimit: str
    gateway_us: int
    upstream_us: int
    duration_us: int
    bytes_in: int
    bytes_out: int

    @classmethod
    def of(cls, record: CallRecord) -> CallInfo:
        return cls(
            record.id,
            record.request_id,
            record.at,
            record.environment,
            record.product_id,
            record.method,
            record.template,
            record.interaction,
            record.target,
            record.status,
            record.code,
            record.detail,
            [name for name in record.violated.split(", ") if name],
            [name for name in record.shadowed.split(", ") if name],
            record.limits,
            record.gateway_us,
            record.upstream_us,
            record.duration_us,
            record.bytes_in,
            record.bytes_out,
        )


class BodiesInfo(msgspec.Struct):
    """What was sent and answered: sandbox only, redacted, cut to 8 KiB, kept for some of the calls."""

    request_type: str
    request: str
    response: str


class CallDetail(msgspec.Struct):
    """One call with its explanation, its bodies where kept, and the command that repeats it (sandbox)."""

    call: CallInfo
    explanation: str
    bodies: BodiesInfo | None
    curl: str

    @classmethod
    def of(cls, record: CallRecord, body: CallBody | None, curl: str) -> CallDetail:
        kept = BodiesInfo(body.request_type, body.request, body.response) if body else None
        return cls(CallInfo.of(record), explain(record.code, record.detail)[1], kept, curl)


class CallPage(msgspec.Struct):
    """Calls, newest first; give `next` as `cursor` for those before them, until it is empty."""

    calls: list[CallInfo]
    next: str
