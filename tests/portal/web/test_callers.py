"""Who called is what a trusted proxy says, and nobody else; the gateway and everything behind the portal agree on it."""

from __future__ import annotations

from typing import Any

import pytest

from portal.web.callers import behind_proxies

PROXIES = ("10.0.0.0/8", "127.0.0.1/32", "::1/128")


async def seen(peer: str | None, forwarded: list[bytes], trusted: tuple[str, ...] = PROXIES) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.update(scope)

    scope = {
        "type": "http",
        "client": (peer, 40000) if peer else None,
        "headers": [(b"x-forwarded-for", value) for value in forwarded],
    }
    await behind_proxies(app, trusted)(scope, None, None)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.1.2.3", [b"203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", [b"6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", [b"6.6.6.6", b"203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("127.0.0.1", [b"2001:db8::7"], "2001:db8::7"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", [b"not an address"], "10.1.2.3"),
        ("10.1.2.3", [b"\xff"], "10.1.2.3"),
        ("203.0.113.9", [b"127.0.0.1"], "203.0.113.9"),
    ],
)
async def test_the_caller_is_the_last_hop_that_a_trusted_proxy_reports(
    peer: str, forwarded: list[bytes], caller: str
) -> None:
    found = await seen(peer, forwarded)
    assert found["client"][0] == caller
    assert found.get("gozar.peer", peer) == peer


async def test_nobody_is_believed_without_trusted_proxies() -> None:
    found = await seen("127.0.0.1", [b"203.0.113.9"], trusted=())
    assert found["client"][0] == "127.0.0.1" and "gozar.peer" not in found


async def test_a_connection_without_an_address_passes() -> None:
    assert (await seen(None, [b"203.0.113.9"]))["client"] is None
