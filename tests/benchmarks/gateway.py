"""What the gateway adds to a call: CPU and rate against the same exchange called bare, and the limiter's check alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from portal.gateway.protection import Limits, MemoryRateLimiter
from tests.benchmarks.harness import Case, best, server, table
from tests.factories import redis

PORT = 8290


def limiter_check() -> float:
    """Median microseconds of one in-memory check of three policies, 1,000 keys."""
    limiter = MemoryRateLimiter(time.monotonic_ns)
    limits = Limits(10_000_000, 600_000_000, 10_000_000)
    keys = [f"sandbox:sub_{number}" for number in range(1000)]

    async def once() -> float:
        start = time.perf_counter_ns()
        for key in keys:
            await limiter.take(key, limits, 1)
        return (time.perf_counter_ns() - start) / len(keys) / 1000

    async def many() -> list[float]:
        return [await once() for _ in range(50)]

    return sorted(asyncio.run(many()))[25]


@contextmanager
def stub_behind_gateway(port: int, *more: str) -> Iterator[tuple[psutil.Process, str, dict[str, str]]]:
    """The stub server of `_gateway_server`: its process, address and an access token as header."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks._gateway_server", str(port), folder, *more]
        base = f"http://127.0.0.1:{port}"
        with server(command, f"{base}/token") as process:
            yield process, base, {"Authorization": f"Bearer {httpx.get(f'{base}/token').text}"}


def in_process() -> None:
    """The cheapest upstream there can be: what is left is the gateway."""
    with stub_behind_gateway(PORT) as (process, base, token):
        cases = [
            Case("stub, bare", f"{base}/bare/fhir/R4/Patient/p1", token),
            Case("stub, through the gateway", f"{base}/sandbox/fhir/R4/Patient/p1", token),
        ]
        found = best(cases, process)
        print(table(found, "stub, bare"))
        added = found["stub, through the gateway"].cpu - found["stub, bare"].cpu
        print(f"added CPU in process: {added:.0f} µs a call (must be <= 100)")


def over_http() -> None:
    """The same stub in another process, reached over HTTP."""
    with stub_behind_gateway(PORT) as (_, far, _), stub_behind_gateway(PORT + 1, f"{far}/bare/fhir/R4", "") as here:
        process, base, token = here
        cases = [
            Case("stub, bare", f"{base}/bare/fhir/R4/Patient/p1", token),
            Case("stub, gateway, over HTTP", f"{base}/sandbox/fhir/R4/Patient/p1", token),
        ]
        found = best(cases, process)
        print(table(found, "stub, bare"))
        added = found["stub, gateway, over HTTP"].cpu - found["stub, bare"].cpu
        print(f"added CPU over HTTP: {added:.0f} µs a call (must be <= 400)")


def over_redis() -> None:
    """With the three policies judged in Redis."""
    with redis.server() as address, stub_behind_gateway(PORT, "", address) as (process, base, token):
        cases = [
            Case("stub, bare", f"{base}/bare/fhir/R4/Patient/p1", token),
            Case("stub, gateway, limits in Redis", f"{base}/sandbox/fhir/R4/Patient/p1", token),
        ]
        found = best(cases, process)
        print(table(found, "stub, bare"))


def real_exchange() -> None:
    """The embedded exchange, bare and through the gateway."""
    with tempfile.TemporaryDirectory() as folder:
        base = f"http://127.0.0.1:{PORT + 2}"
        environ = {"GOZAR_DATA_DIR": folder, "GOZAR_PUBLIC_URL": base}
        gozar = [sys.executable, "-c", "from portal.cli import main; main()"]
        everything = {**os.environ, **environ}
        subprocess.run([*gozar, "init"], env=everything, check=True, stdout=subprocess.DEVNULL)
        options = ["--environment", "sandbox", "--rate-limit", "10000000/second", "--quota", "2000000000", "--json"]
        told = subprocess.run([*gozar, "demo-app", *options], env=everything, check=True, capture_output=True).stdout
        app = json.loads(told)
        command = [sys.executable, "-m", "tests.benchmarks._bare_exchange", str(PORT + 2)]
        with server(command, f"{base}/healthz", environ) as process:
            form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
            made = httpx.post(app["token_url"], data=form, auth=(app["client_id"], app["client_secret"])).json()
            token = {"Authorization": f"Bearer {made['access_token']}"}
            bundle = httpx.get(f"{app['fhir_base_url']}/Patient?_count=1", headers=token).json()
            read = f"fhir/R4/Patient/{bundle['entry'][0]['resource']['id']}"
            search = "fhir/R4/Patient?gender=female&_count=10"
            cases = [
                Case(f"{name}, {way}", f"{root}/{path}", token)
                for name, path in (("read", read), ("search", search))
                for way, root in (("bare", base), ("through the gateway", f"{base}/sandbox"))
            ]
            found = best(cases, process)
            for name in ("read", "search"):
                pair = {case: figure for case, figure in found.items() if case.startswith(name)}
                print(table(pair, f"{name}, bare"))
                ratio = pair[f"{name}, through the gateway"].rate / pair[f"{name}, bare"].rate
                print(f"{name} through the gateway: {ratio:.2f}x of the same exchange called bare (must be >= 0.6)")


def main() -> None:
    print(f"limiter check, three policies in memory: {limiter_check():.2f} µs (must be <= 5)")
    in_process()
    over_http()
    if redis.binary() is not None:
        over_redis()
    real_exchange()


if __name__ == "__main__":
    main()
