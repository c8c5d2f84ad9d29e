"""Load a server from another process and report requests/s, p50, p99 and the server's CPU per request.

The server is pinned to the first core and the loader to the second where the machine has two. The loader is wrk when it is
installed; otherwise a small asyncio loader in a process of its own. Each case is run in `rounds`, interleaved with the others, and the best
round is kept: on shared machines the best is the least disturbed one.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True)
class Case:
    """One request to repeat: `body` makes it a POST; `paths`, when given, are asked for in turn (with wrk).

    `bodies`, where every request must differ, are sent in turn by wrk; give more than a round can use.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    expect: int = 200
    paths: Sequence[str] = ()
    bodies: Sequence[bytes] = ()


@dataclass(frozen=True)
class Figure:
    """Best round of a case: requests/s, p50 and p99 in milliseconds, server CPU in microseconds a request."""

    rate: float
    p50: float
    p99: float
    cpu: float


def pin(command: Sequence[str], core: int) -> list[str]:
    """`command` bound to one core, where there are two."""
    if (os.cpu_count() or 1) < 2 or not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", str(core), *command]


@contextmanager
def server(
    command: Sequence[str], url: str, environ: Mapping[str, str] | None = None, wait: float = 120
) -> Iterator[psutil.Process]:
    """Start `command` pinned to core 0, wait until `url` answers 200, stop it at the end."""
    with tempfile.NamedTemporaryFile("w+b", suffix=".log") as log:
        process = subprocess.Popen(
            pin(command, 0),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    if httpx.get(url, timeout=2).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"the server did not come up:\n{log.read().decode()[-3000:]}")
                time.sleep(0.2)
            yield psutil.Process(process.pid)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server with everything it started: `node` may be a wrapper, and a signal to that alone leaves the real one running."""
    for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and its children so far."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        times = one.cpu_times()
        total += times.user + times.system
    return total


def check(case: Case) -> None:
    """One request by hand: a benchmark of error answers is worthless."""
    answer = httpx.request(
        "POST" if case.body is not None else "GET", case.url, headers=dict(case.headers), content=case.body, timeout=30
    )
    if answer.status_code != case.expect:
        raise SystemExit(f"{case.name}: {answer.status_code} instead of {case.expect}: {answer.text[:500]}")


def measure(case: Case, process: psutil.Process, *, seconds: float = 3, connections: int = 16) -> Figure:
    """One round."""
    before = cpu_seconds(process)
    count, p50, p99, elapsed = (_wrk if shutil.which("wrk") else _python)(case, seconds, connections)
    used = cpu_seconds(process) - before
    return Figure(rate=count / elapsed, p50=p50, p99=p99, cpu=used / max(count, 1) * 1e6)


def best(
    cases: Sequence[Case], process: psutil.Process, *, rounds: int = 3, seconds: float = 3, connections: int = 16
) -> dict[str, Figure]:
    """Best round of each case, rounds interleaved."""
    found: dict[str, Figure] = {}
    for case in cases:
        check(case)
    for _ in range(rounds):
        for case in cases:
            figure = measure(case, process, seconds=seconds, connections=connections)
            if case.name not in found or figure.rate > found[case.name].rate:
                found[case.name] = figure
    return found


def table(figures: Mapping[str, Figure], baseline: str) -> str:
    """Figures as text, each with its ratio to `baseline`."""
    lines = [f"{'case':44} {'req/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs':>8} {'ratio':>7}"]
    base = figures[baseline].rate
    for name, f in figures.items():
        lines.append(f"{name:44} {f.rate:9.0f} {f.p50:8.2f} {f.p99:8.2f} {f.cpu:8.0f} {f.rate / base:7.2f}")
    return "\n".join(lines)


_LUA = """
wrk.method = os.getenv("BENCH_METHOD")
local file = os.getenv("BENCH_BODY")
if file ~= "" then local f = io.open(file, "rb"); wrk.body = f:read("*a"); f:close() end
local list, paths, turn = os.getenv("BENCH_PATHS"), {}, 0
if list ~= "" then
  for line in io.lines(list) do paths[#paths + 1] = line end
  request = function() turn = turn % #paths + 1; return wrk.format(nil, paths[turn]) end
end
local each, bodies, sent = os.getenv("BENCH_BODIES"), {}, 0
if each ~= "" then
  for line in io.lines(each) do bodies[#bodies + 1] = line end
  request = function() sent = sent % #bodies + 1; return wrk.format("POST", nil, nil, bodies[sent]) end
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %f %f %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""


def _wrk(case: Case, seconds: float, connections: int) -> tuple[int, float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        script, body, paths = Path(folder, "case.lua"), Path(folder, "body"), Path(folder, "paths")
        bodies = Path(folder, "bodies")
        bodies.write_bytes(b"\n".join(case.bodies))
        paths.write_text("\n".join(case.paths))
        script.write_text(_LUA)
        if case.body is not None:
            body.write_bytes(case.body)
        headers = [part for name, value in case.headers.items() for part in ("-H", f"{name}: {value}")]
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), *headers, case.url]
        environ = {
            **os.environ,
            "BENCH_METHOD": "POST" if case.body is not None else "GET",
            "BENCH_BODY": str(body) if case.body is not None else "",
            "BENCH_PATHS": str(paths) if case.paths else "",
            "BENCH_BODIES": str(bodies) if case.bodies else "",
        }
        output = subprocess.run(pin(command, 1), check=True, capture_output=True, text=True, env=environ).stdout
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", output)
    if found is None:
        raise SystemExit(f"wrk said nothing usable:\n{output}")
    count, microseconds, p50, p99, errors = found.groups()
    if int(errors) > int(count) * 0.001:
        raise SystemExit(f"{case.name}: {errors} of {count} answers were errors")
    return int(count), float(p50) / 1000, float(p99) / 1000, int(microseconds) / 1e6


def _python(case: Case, seconds: float, connections: int) -> tuple[int, float, float, float]:
    output = subprocess.run(
        pin(
            [
                sys.executable,
                "-m",
                "tests.benchmarks.harness",
                case.url,
                str(seconds),
                str(connections),
                str(case.expect),
            ],
            1,
        ),
        check=True,
        capture_output=True,
        input=repr((dict(case.headers), case.body)).encode(),
    ).stdout.split()
    return int(output[0]), float(output[1]), float(output[2]), float(output[3])


async def _load(
    url: str, seconds: float, connections: int, expect: int, headers: dict[str, str], body: bytes | None
) -> str:
    took: list[float] = []
    stop = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=connections)

    async def client() -> None:
        async with httpx.AsyncClient(limits=limits, timeout=10) as http:
            while (start := time.perf_counter()) < stop:
                answer = await http.request("POST" if body is not None else "GET", url, headers=headers, content=body)
                if answer.status_code != expect:
                    raise SystemExit(f"{answer.status_code} instead of {expect}")
                took.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    took.sort()
    at = [took[int(len(took) * share)] * 1000 for share in (0.5, 0.99)]
    return f"{len(took)} {at[0]} {at[1]} {time.perf_counter() - start}"


if __name__ == "__main__":
    import ast

    given_headers, given_body = ast.literal_eval(sys.stdin.read())
    print(
        asyncio.run(
            _load(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), given_headers, given_body)
        )
    )
