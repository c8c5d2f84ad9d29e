"""One call through the gateway, from its first byte to its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from portal.gateway.access import Access, Terms
from portal.gateway.leases import Lease
from portal.gateway.tokens import Claims
from portal.gateway.verdicts import ADMITTED, Refused

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


WITNESSED_BYTES = 256 * 1024
"""Bytes noted of each body while a conformance run records the App."""
WITNESSED_FIELDS = frozenset(
    (
        b"accept", b"content-type", b"user-agent", b"x-request-id", b"if-match", b"if-none-match", b"if-none-exist",
        b"if-modified-since", b"prefer", b"retry-after", b"etag", b"location", b"last-modified",
    )
)  # fmt: skip


def witnessed_fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The header fields that conformance checks look at, lower-cased; none of them carries a credential."""
    return {
        name.lower().decode("latin-1"): value[:500].decode("latin-1")
        for name, value in headers
        if name.lower() in WITNESSED_FIELDS
    }


class Witness:
    """What a conformance run needs of a call beyond its record: the token's id and header fields. Its bodies are kept whole."""

    __slots__ = ("answered", "scopes", "sent", "token")

    def __init__(self, token: str, scopes: str) -> None:
        self.token = token
        self.scopes = scopes
        self.sent: dict[str, str] = {}
        self.answered: dict[str, str] = {}


class Call:
    """What is known of a call; admission fills it in, the meter reads it. Times are monotonic nanoseconds.

    Defaults stand in the class: most of them are never set, and a call is made for every request.
    """

    template: str = ""
    interaction: str = ""
    product: str = ""
    access: Access | None = None
    terms: Terms | None = None
    claims: Claims | None = None
    cut: Refused | None = None
    """Why it was broken off while it ran."""
    cost: int = 1
    flying: bool = False
    """Whether it holds a place in flight."""
    lease: Lease | None = None
    code: str = ADMITTED
    violated: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    status: int = 0
    at_us: int = 0
    """Unix microseconds at which it was judged; 0 when it was refused before."""
    forwarded: int = 0
    """When the Upstream was given the call; 0 when it was refused before."""
    answered: int = 0
    """When the Upstream began to answer."""
    ended: int = 0
    raw_path: bytes = b""
    target: str = ""
    """Raw path and query; noted in the sandbox only."""
    detail: str = ""
    """What the refusal said."""
    witness: Witness | None = None
    """Noted only while a conformance run records the App."""
    bodies: Seen | None = None
    """What passed, cut to a bound; noted in the sandbox only."""
    bytes_in: int = 0
    bytes_out: int = 0
    cors: Sequence[tuple[bytes, bytes]] = ()
    limits: Sequence[tuple[bytes, bytes]] = ()
    """RateLimit fields of the answer, whatever it will be."""

    def __init__(self, call_id: str, request_id: str, method: str, environment: str, started: int) -> None:
        self.id = call_id
        self.request_id = request_id
        self.method = method
        self.environment = environment
        self.started = started
