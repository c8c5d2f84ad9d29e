"""Runs shards in order, on one core or several, holding only a few results at a time."""

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import AsyncResult
from typing import TypeVar

from ..errors import OutputError
from ..generator import Batch, Shard, Simulation
from ..population import PopulationSpec

R = TypeVar("R")
Task = Callable[[Iterator[Batch]], R]

_WAITING = 3  # results a worker may be ahead of the writer; bounds memory at any population size
_simulation: Simulation | None = None


def _start(spec: PopulationSpec) -> None:
    global _simulation
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _simulation = Simulation(spec)


def _run(task: Task[R], shard: Shard) -> R:
    if _simulation is None:
        raise RuntimeError("a worker was not started")
    return task(_simulation.batches(shard))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's cycle collector, which would cost a sixth of the time: a life leaves no cycles behind."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def run(spec: PopulationSpec, shards: Iterator[Shard], task: Task[R], jobs: int) -> Iterator[tuple[Shard, R]]:
    """Yield (shard, task's result) in shard order; `task` must be importable by its name when jobs > 1."""
    if jobs == 1:
        simulation = Simulation(spec)
        with _no_collector():
            for shard in shards:
                yield shard, task(simulation.batches(shard))
        return
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    with context.Pool(jobs, _start, (spec,)) as pool:
        waiting: deque[tuple[Shard, AsyncResult[R]]] = deque()
        for shard in shards:
            waiting.append((shard, pool.apply_async(_run, (task, shard))))
            if len(waiting) >= jobs * _WAITING:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)


def _next(waiting: "deque[tuple[Shard, AsyncResult[R]]]") -> tuple[Shard, R]:
    shard, result = waiting.popleft()
    try:
        return shard, result.get(timeout=600)
    except multiprocessing.TimeoutError as error:
        raise OutputError("a worker process stopped answering; run the command again to resume") from error
