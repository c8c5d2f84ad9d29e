"""Who is calling, at the network's level: address and client certificate as a trusted proxy tells them, and nobody else.

`X-Forwarded-For` is read from its right end over trusted proxies; the certificate is RFC 9440's `Client-Cert`, a DER certificate as a
Structured-Field Byte Sequence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from portal.kernel.lifespan import AsgiApp

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """Address and certificate thumbprint (SHA-256, hexadecimal) of a caller; "" where there is none to trust."""

    address: str
    certificate: str


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """An address, IPv4-mapped IPv6 ones as IPv4; None when it is none."""
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def networks(blocks: tuple[str, ...]) -> tuple[Network, ...]:
    """CIDR blocks; one that cannot be read is left out, so that a typing error admits nobody rather than everybody."""
    found: list[Network] = []
    for block in blocks:
        try:
            found.append(ip_network(block.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)


def within(address: Address | None, blocks: Iterable[Network]) -> bool:
    """Whether the address lies in one of the blocks."""
    return address is not None and any(address.version == block.version and address in block for block in blocks)


def caller(peer: str, forwarded_for: Sequence[bytes], client_cert: Sequence[bytes], trusted: tuple[str, ...]) -> Caller:
    """The caller behind `peer`; fields set by anybody but a trusted proxy are ignored."""
    proxies = networks(trusted)
    if not within(parse(peer), proxies):
        return Caller(peer, "")
    address = peer
    hops = [hop.decode("latin-1") for field in forwarded_for for hop in field.split(b",")]
    for hop in reversed(hops):
        address = hop.strip()
        if not within(parse(address), proxies):
            break
    return Caller(address, thumbprint(client_cert[0]) if len(client_cert) == 1 else "")


def thumbprint(field: bytes) -> str:
    """SHA-256 of the certificate in a Client-Cert field, or "" when it cannot be read."""
    text = field.strip()
    if len(text) < 3 or not (text.startswith(b":") and text.endswith(b":")):
        return ""
    try:
        return hashlib.sha256(base64.b64decode(text[1:-1], validate=True)).hexdigest()
    except binascii.Error:
        return ""


def behind_proxies(app: AsgiApp, trusted: tuple[str, ...]) -> AsgiApp:
    """`app` with the real caller as `scope["client"]`; the connection's own peer stays in `scope["gozar.peer"]`.

    Without trusted proxies this is `app` itself: nobody's word about addresses is taken.
    """
    if not trusted:
        return app
    proxies = networks(trusted)

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        client = scope.get("client")
        if client and within(parse(client[0]), proxies):
            hops = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            found = caller(client[0], hops, (), trusted).address
            scope["gozar.peer"] = client[0]
            scope["client"] = (found if parse(found) else client[0], 0)
        await app(scope, receive, send)

    return dispatch
