"""Runs shards on several cores, in order, holding only a few results at a time.

The workers are forked from a process that has read and compiled everything, so they begin at once. What is large stays with the worker
that made it: a *craft* makes a shard and tells the parent in a few words what came out; where the results of all workers end up in
common files, the parent answers with their places, in shard order, and the worker puts them there itself.
"""

import gc
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import PopulationError, WorkerError
from ..generator import Shard, Simulation
from ..population import PopulationSpec
from .course import Craft

T = TypeVar("T")

_QUEUED = 2  # shards a worker has been given: the one it works on and the next
_AHEAD = 3  # shards, for each worker, by which the fastest may be ahead of the slowest; bounds memory
SHARD = 24  # households: a worker may hold two shards of lines, and everybody should finish together


class _Worker:
    """A process, the parent's end of the pipe to it, and how many shards it has not finished."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.load = 0


class Crew(Generic[T]):
    """Some worker processes. Use as a context manager: whatever happens, none of them outlives it."""

    def __init__(self, simulation: Simulation, craft: Craft[T], jobs: int) -> None:
        self._craft = craft
        self._workers: list[_Worker] = []
        fork = "fork" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if fork else "spawn")
        gc.collect()
        gc.freeze()  # what exists by now is shared with the workers as long as nobody touches it
        for _ in range(jobs):
            mine, its = context.Pipe()
            # A forked worker inherits the parent's ends of earlier pipes: open, they would hide the parent's death.
            others = [worker.pipe for worker in self._workers] + [mine] if fork else []
            made = simulation if fork else simulation.spec
            process = context.Process(target=_work, args=(its, others, made, craft), daemon=True)  # type: ignore[attr-defined]
            process.start()
            its.close()
            self._workers.append(_Worker(process, mine))

    def __enter__(self) -> "Crew[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if kind is not None:
                worker.process.kill()
            worker.pipe.close()  # to a worker that waits for work, this is the end
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        gc.unfreeze()

    def run(self, shards: Iterator[Shard]) -> Iterator[tuple[Shard, T]]:
        """(shard, what was told of it) in shard order, when its results are in their places."""
        given: deque[tuple[Shard, _Worker]] = deque()  # what is not yet yielded
        told: dict[int, T] = {}
        done: set[int] = set()
        first = placed = number = 0  # of `given`; of those whose place is not known; of the next to be given
        while True:
            while number - first < _AHEAD * len(self._workers):
                worker = min(self._workers, key=lambda one: one.load)
                shard = next(shards, None) if worker.load < _QUEUED else None
                if shard is None:
                    break
                self._send(worker, ("make", number, shard))
                worker.load += 1
                given.append((shard, worker))
                number += 1
            if not given:
                return
            for worker, (what, at, answer) in self._messages():
                if what == "made":
                    told[at] = answer
                    worker.load -= 1
                else:
                    done.add(at)
            while placed in told:
                place = self._craft.place(told[placed])
                if place is None:
                    done.add(placed)
                else:
                    self._send(given[placed - first][1], ("put", placed, place))
                placed += 1
            while first in done:
                done.remove(first)
                shard, _ = given.popleft()
                first += 1
                yield shard, told.pop(first - 1)

    def _send(self, worker: _Worker, message: tuple[str, int, Any]) -> None:
        try:
            worker.pipe.send(message)
        except OSError as error:
            raise _died(worker) from error

    def _messages(self) -> Iterator[tuple[_Worker, tuple[str, int, Any]]]:
        """What the workers have to say; waits until one does. Raises what a worker has met with."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        sentinels = [worker.process.sentinel for worker in self._workers]
        ready = wait([*by_pipe, *sentinels])
        heard = False
        for pipe, worker in by_pipe.items():
            if pipe in ready:
                try:
                    message = pipe.recv()
                except (EOFError, OSError) as error:
                    raise _died(worker) from error
                if message[0] == "failed":
                    raise message[2]
                heard = True
                yield worker, message
        if not heard:
            raise _died(next(worker for worker in self._workers if worker.process.sentinel in ready))


def _died(worker: _Worker) -> WorkerError:
    worker.process.join(5)
    code = worker.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else str(-code)
        how = f"was killed ({name}{'; out of memory?' if -code == signal.SIGKILL else ''})"
    else:
        how = f"ended with code {code}"
    return WorkerError(f"a worker process {how}; run the same command again to go on where it stopped")


def _work(pipe: Connection, others: list[Connection], made: Simulation | PopulationSpec, craft: Craft[Any]) -> None:
    """The life of a worker: make what is asked for, put results where they belong, until the parent hangs up."""
    for other in others:
        other.close()
    gc.disable()  # a life leaves no cycles behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        _serve(pipe, Simulation(made) if isinstance(made, PopulationSpec) else made, craft)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has gone
    except PopulationError as error:
        pipe.send(("failed", 0, error))
    except Exception:
        told = traceback.format_exc().strip().splitlines()
        pipe.send(("failed", 0, WorkerError(f"a worker process failed: {told[-1]} ({told[-3].strip()})")))


def _serve(pipe: Connection, simulation: Simulation, craft: Craft[Any]) -> None:
    asked: deque[tuple[int, Shard]] = deque()
    kept: dict[int, Any] = {}
    while True:
        while not asked or pipe.poll():
            what, number, content = pipe.recv()
            if what == "make":
                asked.append((number, content))
            else:
                craft.put(kept.pop(number), content)
                pipe.send(("put", number, None))
        number, shard = asked.popleft()
        told, kept[number] = craft.make(simulation.batches(shard))
        if kept[number] is None:
            del kept[number]
        pipe.send(("made", number, told))
