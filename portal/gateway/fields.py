"""The request fields the gateway itself acts on, read in one pass."""

from __future__ import annotations

from portal.gateway.headers import Headers

_REQUEST_ID_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


class Fields:
    """`length` is -1 when Content-Length is not one whole number; `request_id` is "" unless it is well formed."""

    __slots__ = (
        "authorization",
        "certificate",
        "chunked",
        "content_type",
        "forwarded_for",
        "length",
        "origin",
        "request_id",
        "size",
        "wanted_method",
    )

    def __init__(self, headers: Headers) -> None:
        self.authorization: tuple[bytes, ...] = ()
        self.certificate: tuple[bytes, ...] = ()
        self.forwarded_for: tuple[bytes, ...] = ()
        self.chunked = False
        self.content_type = ""
        self.length = 0
        self.origin = b""
        self.request_id = ""
        self.wanted_method = b""
        size = 4 * len(headers)
        lengths: list[bytes] = []
        for name, value in headers:
            size += len(name) + len(value)
            if name in _READ:
                if name == b"authorization":
                    self.authorization += (value,)
                elif name == b"content-length":
                    lengths.append(value)
                else:
                    self._note(name, value)
        self.size = size
        if lengths:
            sound = len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 16
            self.length = int(lengths[0]) if sound else -1

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"x-request-id":
            if value and len(value) <= 64 and _REQUEST_ID_LETTERS.issuperset(value):
                self.request_id = value.decode("ascii")
        elif name == b"content-type":
            self.content_type = value[:100].decode("latin-1")
        elif name == b"transfer-encoding":
            self.chunked = True
        elif name == b"origin":
            self.origin = value
        elif name == b"access-control-request-method":
            self.wanted_method = value
        elif name == b"x-forwarded-for":
            self.forwarded_for += (value,)
        elif name == b"client-cert":
            self.certificate += (value,)


_READ = frozenset(
    {
        b"authorization",
        b"x-request-id",
        b"content-type",
        b"content-length",
        b"transfer-encoding",
        b"origin",
        b"access-control-request-method",
        b"x-forwarded-for",
        b"client-cert",
    }
)
