"""Upstreams over HTTP, against a real server on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from portal.gateway.breaker import Breaker
from portal.gateway.gcra import SECOND
from portal.gateway.http_upstream import HttpUpstream, Patience
from portal.gateway.upstream import AsgiApp, Message, Receive, Scope, Send, UpstreamClosed
from tests.portal.gateway.rig import Answer, Rig, Ticks, echo

PATIENT = "/sandbox/fhir/R4/Patient/p1"


@asynccontextmanager
async def served(app: AsgiApp) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(5):
        while not server.started:  # noqa: ASYNC110 -- uvicorn offers no event
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def rig_over(app: AsgiApp, base: str = "/base", patience: Patience | None = None) -> AsyncIterator[Rig]:
    async with served(app) as address:
        rig = Rig()
        upstream = HttpUpstream(
            address + base, ticks=rig.clock, public_base="https://gozar.test/fhir", patience=patience
        )
        rig.gateway._exchanges = {"sandbox": upstream}
        try:
            yield rig
        finally:
            await upstream.close()


async def test_path_query_fields_and_body_arrive_as_they_were_sent() -> None:
    async with rig_over(echo) as rig:
        body = bytes(range(256)) * 1000
        sent = [(b"content-length", str(len(body)).encode()), (b"accept", b"a/b"), (b"x-two", b"1"), (b"x-two", b"2")]
        answer = await rig.call("/sandbox/fhir/R4/Patient", "POST", body=body, headers=sent, query=b"a=%2F&b=%20")
    assert answer.status == 200
    assert answer.json["raw_path"] == "/base/Patient"
    assert answer.json["query"] == "a=%2F&b=%20"
    assert answer.json["body"].encode("latin-1") == body
    fields = [tuple(pair) for pair in answer.json["headers"] if pair[0] not in ("host", "authorization")]
    assert sorted(fields) == sorted(
        [
            ("accept", "a/b"),
            ("content-length", str(len(body))),
            ("x-request-id", answer.headers["x-request-id"]),
            ("x-two", "1"),
            ("x-two", "2"),
        ]
    )


async def test_a_chunked_body_stays_streamed() -> None:
    async with rig_over(echo) as rig:
        answer = await rig.call(
            "/sandbox/fhir/R4/Patient", "POST", body=b"x" * 200_000, headers=[(b"transfer-encoding", b"chunked")]
        )
    assert len(answer.json["body"]) == 200_000


async def test_an_answer_is_passed_on_before_it_is_whole() -> None:
    gate = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"a" * 10, "more_body": True})
        await send({"type": "http.response.body", "body": b"b" * 10, "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"c"})

    async with rig_over(slow) as rig:
        arrived: list[bytes] = []
        first = asyncio.Event()

        async def send(message: Message) -> None:
            arrived.append(message.get("body", b""))
            if b"".join(arrived) == b"a" * 10 + b"b" * 10:
                first.set()

        call = asyncio.create_task(rig.gateway(scope_of(PATIENT), staying, send))
        await asyncio.wait_for(first.wait(), 3)
        assert not call.done()
        gate.set()
        await call
        assert b"".join(arrived) == b"a" * 10 + b"b" * 10 + b"c"


async def test_location_fields_point_back_through_the_gateway() -> None:
    async def created(scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"])[b"host"]
        location = b"http://" + host + b"/base/Patient/9/_history/1"
        await send({"type": "http.response.start", "status": 201, "headers": [(b"location", location)]})
        await send({"type": "http.response.body", "body": b""})

    async with rig_over(created) as rig:
        answer = await rig.call("/sandbox/fhir/R4/Patient", "POST")
    assert answer.headers["location"] == "https://gozar.test/fhir/Patient/9/_history/1"


async def test_redirects_are_given_to_the_client_not_followed() -> None:
    async def moved(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 302, "headers": [(b"location", b"http://169.254.169.254/")]}
        )
        await send({"type": "http.response.body", "body": b""})

    async with rig_over(moved) as rig:
        assert (await rig.call(PATIENT)).status == 302


async def test_an_upstream_that_is_not_there_is_502_then_the_circuit_opens() -> None:
    rig = Rig()
    upstream = HttpUpstream("http://127.0.0.1:9", ticks=rig.clock)
    rig.gateway._exchanges = {"sandbox": upstream}
    answers: list[Answer] = []
    for _ in range(7):
        rig.clock.advance(0.1)
        answers.append(await rig.call(PATIENT))
    assert [answer.status for answer in answers] == [502] * 5 + [503] * 2
    assert answers[-1].headers["retry-after"] == "1"
    assert upstream.breaker.state == "open"
    await upstream.close()


async def test_an_upstream_that_is_late_is_504() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with rig_over(never, patience=Patience(answer=0.1)) as rig:
        assert (await rig.call(PATIENT)).status == 504


async def test_only_what_is_idempotent_is_tried_again() -> None:
    seen: list[str] = []

    async def dropping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).split()[0].decode())
        writer.close()

    server = await asyncio.start_server(dropping, "127.0.0.1", 0)
    rig = Rig()
    upstream = HttpUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", ticks=rig.clock)
    rig.gateway._exchanges = {"sandbox": upstream}
    assert (await rig.call(PATIENT)).status == 502
    assert seen == ["GET", "GET"]
    seen.clear()
    assert (
        await rig.call("/sandbox/fhir/R4/Patient", "POST", body=b"{}", headers=[(b"content-length", b"2")])
    ).status == 502
    assert seen == ["POST"]
    seen.clear()
    assert (await rig.call(PATIENT, "PUT", body=b"{}", headers=[(b"content-length", b"2")])).status == 502
    assert seen == ["PUT"]
    await upstream.close()
    server.close()
    await server.wait_closed()


async def test_a_client_that_goes_away_takes_its_call_with_it() -> None:
    cancelled = asyncio.Event()

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        cancelled.set()

    async with rig_over(patient) as rig:
        answer = asyncio.create_task(_hang_up(rig))
        await asyncio.wait_for(cancelled.wait(), 3)
        await answer
        assert [call.status for call in rig.meter.calls] == [499]
        assert (
            await rig.limiter.take("sandbox:sub_1", rig.directory.known["sandbox", "app-1"].terms[0].limits, 1)
        ).concurrent_left == 9


def scope_of(path: str) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer good")],
    }


async def staying() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def _hang_up(rig: Rig) -> None:
    first = True

    async def receive() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b""}
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(f"nothing should be sent: {message}")

    await rig.gateway(scope_of(PATIENT), receive, send)


async def test_a_body_that_grows_too_large_is_413_and_no_fault_of_the_upstream() -> None:
    async with rig_over(echo) as rig:
        rig.gateway._max_body = 100_000
        answer = await rig.call(
            "/sandbox/fhir/R4/Patient", "POST", body=b"x" * 300_000, headers=[(b"transfer-encoding", b"chunked")]
        )
        assert answer.status == 413
        upstream = rig.gateway._exchanges["sandbox"]
        assert isinstance(upstream, HttpUpstream)
        assert upstream.breaker._failed == 0


def test_a_half_open_circuit_lets_one_call_probe_and_opens_for_longer_when_it_fails() -> None:
    ticks = Ticks()
    breaker = Breaker(ticks, failures=2)
    for _ in range(2):
        breaker.enter()
        breaker.failed()
    with pytest.raises(UpstreamClosed):
        breaker.enter()
    ticks.elapsed += SECOND
    assert breaker.state == "half-open"
    assert breaker.enter() is True
    with pytest.raises(UpstreamClosed):
        breaker.enter()
    breaker.failed()
    ticks.elapsed += SECOND
    with pytest.raises(UpstreamClosed):
        breaker.enter()
    ticks.elapsed += SECOND
    assert breaker.enter() is True
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.enter() is False
