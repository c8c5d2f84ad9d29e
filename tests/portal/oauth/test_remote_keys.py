"""Keys by URL: what is fetched, from where, and how often."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.clock import FixedClock
from portal.oauth.addresses import FetchRefused, fetch, is_public, read_https, target
from portal.oauth.remote_keys import RemoteKeys
from tests.factories.oauth import NOW, assertion, assertion_form, new_key, real_now

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104 -- refused here
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "185.143.232.1", "2606:4700::1111", "2a00:1450::5"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.test/jwks",
        "https://keys.test:8443/jwks",
        "https://user@keys.test/jwks",
        "https://user:pass@keys.test/jwks",
        "https://keys.test/jwks#x",
        "https:///jwks",
        "https://keys.test/j wks",
        "https://keys.test/\r\nHost: x",
        "https://keys.test\\@127.0.0.1/",
        "https://[::1",
        "https://keys.test:port/",
        "file:///etc/passwd",
        "ftp://keys.test/",
        "",
    ],
)
def test_url_that_is_not_plain_https_is_not_fetched(url: str) -> None:
    with pytest.raises(FetchRefused):
        target(url)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        host, path = target(url)
    except FetchRefused:
        return
    assert host and path.startswith("/")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], []])
async def test_host_with_any_address_inside_is_not_contacted(addresses: list[str]) -> None:
    async def resolver(_host: str) -> list[str]:
        return addresses

    with pytest.raises(FetchRefused, match="public addresses"):
        await fetch("https://keys.test/", resolver=resolver)


async def test_connection_goes_to_the_address_that_was_checked() -> None:
    answers, contacted = [["8.8.8.8"], ["127.0.0.1"]], []

    async def rebinding(_host: str) -> list[str]:
        return answers.pop(0)

    async def get(address: str, host: str, path: str) -> bytes:
        contacted.append((address, host, path))
        return b"{}"

    await fetch("https://keys.test/jwks?a=b", resolver=rebinding, get=get)
    assert contacted == [("8.8.8.8", "keys.test", "/jwks?a=b")]
    assert len(answers) == 1


async def test_host_that_hangs_is_given_up() -> None:
    async def hanging(_host: str) -> list[str]:
        raise TimeoutError

    with pytest.raises(FetchRefused, match="3 seconds"):
        await fetch("https://keys.test/", resolver=hanging)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.test")])
    start = real_now() - timedelta(minutes=5)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start)
    builder = builder.not_valid_after(start + timedelta(days=2))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("keys.test")]), critical=False)
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
        key, hashes.SHA256()
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder


@pytest.fixture
async def served(certificate: Path) -> AsyncIterator[Any]:
    """A TLS server whose raw answer the test chooses."""
    answer = {"raw": b"HTTP/1.0 200 OK\r\n\r\n{}"}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer["raw"])
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    async def get(raw: bytes, url: str = "https://keys.test/jwks") -> bytes:
        answer["raw"] = raw
        host, path = target(url)
        return await read_https("127.0.0.1", host, path, port=port, context=trust)

    yield get
    server.close()
    await server.wait_closed()


async def test_body_of_a_right_answer_is_returned(served: Any) -> None:
    assert await served(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"keys":[]}') == b'{"keys":[]}'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\n\r\n", "redirects"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "not 200"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, "64 KiB"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "encoding"),
        (b"nonsense\r\n\r\n", "not 200"),
    ],
)
async def test_answer_that_is_not_a_plain_200_is_refused(served: Any, raw: bytes, said: str) -> None:
    with pytest.raises(FetchRefused, match=said):
        await served(raw)


async def test_certificate_of_another_name_is_refused(served: Any) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await served(b"HTTP/1.1 200 OK\r\n\r\n{}", "https://other.test/")


class Published:
    """What an App serves at its URL, and how often somebody asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys, self.asked, self.broken = list(keys), 0, False

    async def __call__(self, _url: str) -> bytes:
        self.asked += 1
        if self.broken:
            raise FetchRefused("down")
        return orjson.dumps({"keys": [key.as_dict(private=False) for key in self.keys]})


async def test_keys_are_kept_for_five_minutes_and_shared_by_all_who_wait() -> None:
    published, clock = Published(new_key("ES384")), FixedClock(NOW)
    keys = RemoteKeys(published, clock)
    await asyncio.gather(*(keys("https://keys.test/") for _ in range(10)))
    clock.advance(timedelta(seconds=299))
    await keys("https://keys.test/")
    assert published.asked == 1
    clock.advance(timedelta(seconds=1))
    await keys("https://keys.test/")
    assert published.asked == 2


async def test_failure_is_remembered_for_half_a_minute() -> None:
    published, clock = Published(new_key("ES384")), FixedClock(NOW)
    published.broken = True
    keys = RemoteKeys(published, clock)
    for _ in range(3):
        assert await keys("https://keys.test/") == ()
    assert published.asked == 1
    published.broken = False
    clock.advance(timedelta(seconds=30))
    assert len(await keys("https://keys.test/")) == 1


async def test_new_kid_is_looked_for_but_not_more_than_twice_a_minute() -> None:
    first, second, clock = new_key("ES384"), new_key("ES384"), FixedClock(NOW)
    published = Published(first)
    keys = RemoteKeys(published, clock)
    await keys("https://keys.test/", first.kid or "")
    published.keys.append(second)
    await keys("https://keys.test/", second.kid or "")
    assert published.asked == 1
    clock.advance(timedelta(seconds=30))
    assert len(await keys("https://keys.test/", second.kid or "")) == 2


@pytest.fixture
async def remote(sqlite: Any, secrets_folder: Path) -> AsyncIterator[tuple[Any, Published]]:
    from tests.portal.oauth.conftest import world_over

    published = Published(new_key("ES384"))
    fetch_keys = RemoteKeys(published, FixedClock(NOW))
    async with world_over(*sqlite, secrets_folder, fetch_keys=fetch_keys) as made:
        yield made, published


async def test_app_with_keys_by_url_is_authenticated(remote: Any) -> None:
    world, published = remote
    app = await world.app(jwks_uri="https://keys.test/jwks")
    app.key = published.keys[0]
    assert (await world.token(assertion_form(assertion(app, "ES384")))).status_code == 200
    published.broken = True
    app.key = new_key("ES384")
    assert (await world.token(assertion_form(assertion(app, "ES384")))).json()["error"] == "invalid_client"


async def test_unknown_app_makes_nobody_fetch(remote: Any) -> None:
    world, published = remote
    app = await world.app(jwks_uri="https://keys.test/jwks")
    app.client_id, app.key = "gz_nobody", published.keys[0]
    assert (await world.token(assertion_form(assertion(app, "ES384")))).status_code == 401
    assert published.asked == 0
