"""Fetching a URL that somebody else chose, without being led inside our own network.

https on port 443 only, no user name, no redirects, 3 seconds and 64 KiB; the name is resolved once, every address it has must be
public, and the connection goes to the address that was checked, with the certificate still verified for the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

PATIENCE = 3.0
MAX_BODY = 65_536
_MAX_HEAD = 16_384

# `is_global` alone calls some of these public (measured): transition mechanisms that wrap an inner address, and multicast.
_INSIDE = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/8",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
    )
)
Resolve = Callable[[str], Awaitable[list[str]]]
Get = Callable[[str, str, str], Awaitable[bytes]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchRefused(Exception):
    """The URL will not be fetched, or did not answer as it should; the message is safe to log."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet and to nothing that leads back inside."""
    try:
        found: Address = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return False
    inside = any(found.version == network.version and found in network for network in _INSIDE)
    return found.is_global and not inside and not found.is_multicast and not found.is_reserved


def target(url: str) -> tuple[str, str]:
    """Host and request target of an acceptable URL; raises `FetchRefused`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchRefused("the URL cannot be read") from error
    host = parts.hostname or ""
    if parts.scheme != "https" or port not in (None, 443) or parts.username is not None or parts.fragment or not host:
        raise FetchRefused("only https URLs on port 443 without user name or fragment are fetched")
    if not url.isascii() or any(ord(letter) <= 32 or letter == "\\" for letter in url):
        raise FetchRefused("the URL holds characters that are not allowed")
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def resolve(host: str) -> list[str]:
    """Every address of `host`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def fetch(url: str, *, resolver: Resolve | None = None, get: Get | None = None) -> bytes:
    """Body of a 200 answer to GET `url`; raises `FetchRefused`. `resolver` and `get` (address, host, path) are ports."""
    host, path = target(url)
    try:
        async with asyncio.timeout(PATIENCE):
            addresses = await (resolver or resolve)(host)
            if not addresses or not all(is_public(address) for address in addresses):
                raise FetchRefused("the host does not resolve to public addresses only")
            return await (get or read_https)(addresses[0], host, path)
    except TimeoutError as error:
        raise FetchRefused("the host did not answer within 3 seconds") from error
    except (OSError, ssl.SSLError, UnicodeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise FetchRefused(f"the host could not be reached: {type(error).__name__}") from error


async def read_https(
    address: str, host: str, path: str, *, port: int = 443, context: ssl.SSLContext | None = None
) -> bytes:
    """GET `path` from `address`, whose certificate must be `host`'s; raises `FetchRefused` for anything but a plain 200."""
    reader, writer = await asyncio.open_connection(
        address,
        port,
        ssl=context or ssl.create_default_context(),
        server_hostname=host,
        limit=_MAX_HEAD,
        ssl_handshake_timeout=PATIENCE,
    )
    try:
        # HTTP/1.0: one answer, then the end; no chunks to take apart.
        writer.write(
            f"GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\nUser-Agent: gozar\r\n\r\n".encode(
                "ascii"
            )
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = head.split(" ", 2)[1:2]
        if status != ["200"]:
            raise FetchRefused("the answer is not 200 (redirects are not followed)")
        if "transfer-encoding:" in head.lower() or "content-encoding:" in head.lower():
            raise FetchRefused("the answer uses an encoding that was not asked for")
        body = bytearray()
        while chunk := await reader.read(8192):
            body += chunk
            if len(body) > MAX_BODY:
                raise FetchRefused("the answer is larger than 64 KiB")
        return bytes(body)
    finally:
        writer.close()
