"""What the gateway adds to a call: CPU and rate against the same exchange called bare, and the limiter's check alone."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time

import httpx

from portal.gateway.protection import Limits, MemoryRateLimiter
from tests.benchmarks.harness import Case, best, server, table

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


def in_process() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks._gateway_server", str(PORT), folder]
        base = f"http://127.0.0.1:{PORT}"
        with server(command, f"{base}/token") as process:
            token = {"Authorization": f"Bearer {httpx.get(f'{base}/token').text}"}
            cases = [
                Case("stub, bare", f"{base}/bare/fhir/R4/Patient/p1", token),
                Case("stub, through the gateway", f"{base}/sandbox/fhir/R4/Patient/p1", token),
            ]
            found = best(cases, process)
            print(table(found, "stub, bare"))
            added = found["stub, through the gateway"].cpu - found["stub, bare"].cpu
            print(f"added CPU {added:.0f} µs a call (must be <= 100)")


def main() -> None:
    print(f"limiter check, three policies in memory: {limiter_check():.2f} µs (must be <= 5)")
    in_process()


if __name__ == "__main__":
    main()
