"""One call through the gateway, from its first byte to its record."""

from __future__ import annotations

from dataclasses import dataclass, field

from portal.gateway.access import Access, Terms
from portal.gateway.headers import Headers
from portal.gateway.leases import Lease
from portal.gateway.verdicts import ADMITTED

SEEN_BYTES = 16 * 1024
"""Bytes noted of each body; the log keeps half of that after redaction."""


class Seen:
    """The first bytes of a sandbox call's request and answer."""

    __slots__ = ("answer", "answer_type", "request", "request_type", "room")

    def __init__(self, request_type: str) -> None:
        self.request_type = request_type
        self.answer_type = ""
        self.request: list[bytes] = []
        self.answer: list[bytes] = []
        self.room = [SEEN_BYTES, SEEN_BYTES]


@dataclass(slots=True)
class Call:
    """What is known of a call; admission fills it in, the meter reads it. Times are monotonic nanoseconds."""

    id: str
    request_id: str
    method: str
    environment: str
    started: int
    template: str = ""
    interaction: str = ""
    product: str = ""
    access: Access | None = None
    terms: Terms | None = None
    cost: int = 1
    flying: bool = False
    """Whether it holds a place in flight."""
    lease: Lease | None = None
    code: str = ADMITTED
    violated: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    status: int = 0
    forwarded: int = 0
    """When the Upstream was given the call; 0 when it was refused before."""
    answered: int = 0
    """When the Upstream began to answer."""
    ended: int = 0
    target: str = ""
    """Raw path and query; noted in the sandbox only."""
    detail: str = ""
    """What the refusal said."""
    bodies: Seen | None = None
    """What passed, cut to a bound; noted in the sandbox only."""
    bytes_in: int = 0
    bytes_out: int = 0
    limits: Headers = field(default_factory=list)
    """RateLimit fields of the answer, whatever it will be."""
