"""Speed of the population generator: patients and resources per CPU second, memory, first byte, scaling.

    python -m tests.benchmarks.synthetic_data [PATIENTS]

All clinical stories are on. Figures are CPU seconds of one core; beside them stands the rate at which plain `orjson.dumps` writes
the same resources from ready-made dicts, measured in the same run, so that the ratio can be compared between machines.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil

from synthetic_data import PopulationSpec
from synthetic_data.generator import Batch, generate

PATIENTS_PER_SECOND, RESOURCES_EACH, RESOURCES_PER_SECOND = 500, 150, 75_000
SPEED_UP, MEGABYTES, FIRST_BYTE = 1.7, 250, 1.0


def simulate(patients: int) -> tuple[float, list[Batch]]:
    """CPU seconds to generate people (the shared infrastructure is made before the clock starts), and a sample of them."""
    stream = generate(PopulationSpec(size=patients))
    next(stream)
    next(stream)
    sample: list[Batch] = []
    started = time.process_time()
    for number, batch in enumerate(stream):
        if number < 60:
            sample.append(batch)
    return time.process_time() - started, sample


def count(patients: int) -> tuple[int, int]:
    """Resources and bytes of a population, without the infrastructure."""
    resources = size = 0
    stream = generate(PopulationSpec(size=patients))
    next(stream)
    for batch in stream:
        resources += len(batch.resources)
        size += sum(len(content) for _, _, content in batch.resources)
    return resources, size


def plain_dumps(sample: list[Batch]) -> float:
    """Resources per CPU second of orjson over ready-made dicts of the same resources."""
    values = [orjson.loads(content) for batch in sample for _, _, content in batch.resources]
    best = 0.0
    for _ in range(5):
        started = time.process_time()
        for value in values:
            orjson.dumps(value)
        best = max(best, len(values) / (time.process_time() - started))
    return best


@dataclass
class Run:
    """A whole command, from start to exit: wall and CPU seconds of all its processes, and megabytes in memory at the worst moment."""

    wall: float
    cpu: float
    largest: float  # resident size of the largest process
    together: float  # of all processes, what they share counted once (Linux's PSS)


def command(*arguments: str) -> Run:
    """Write a population into a temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = psutil.Popen(
            [sys.executable, "-m", "synthetic_data", "--out", f"{folder}/out", *arguments], stdout=subprocess.DEVNULL
        )
        largest = together = 0.0
        while process.poll() is None:
            try:
                sizes = [one.memory_full_info() for one in (process, *process.children())]
                largest = max(largest, *(size.rss / 2**20 for size in sizes))
                together = max(together, sum(size.pss for size in sizes) / 2**20)
            except psutil.Error:
                continue
            time.sleep(0.1)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            raise SystemExit(f"the command ended with code {process.returncode}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(wall, cpu, largest, together)


def scaling(patients: int, rounds: int = 3) -> tuple[list[Run], list[Run]]:
    """Runs with one worker and with two, taking turns, so that a disturbance meets both."""
    size = ("--patients", str(patients))
    made = [(command(*size), command(*size, "--jobs", "2")) for _ in range(rounds)]
    return [one for one, _ in made], [two for _, two in made]


def first_byte() -> float:
    """Wall seconds from starting the command to the first byte of a person on disk."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out" / "Patient.ndjson.partial"
        command = [sys.executable, "-m", "synthetic_data", "--patients", "2000", "--out", f"{folder}/out"]
        started = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while not (target.exists() and target.stat().st_size):
                if process.poll() is not None or time.perf_counter() - started > 30:
                    raise SystemExit("no byte was written")
                time.sleep(0.005)
            return time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def main(patients: int = 1500) -> int:
    """Measure, print, and compare with the bounds."""
    resources, size = count(patients)
    best, sample = min((simulate(patients) for _ in range(3)), key=lambda made: made[0])
    people, each = patients / best, resources / patients
    plain = plain_dumps(sample)
    print(
        f"{people:,.0f} patients/s/core, {people * each:,.0f} resources/s/core, {each:.0f} resources of {size // resources} bytes each"
    )
    print(f"plain orjson of the same resources: {plain:,.0f} resources/s/core; ratio {people * each / plain:.2f}")
    ones, twos = scaling(patients * 2)
    one, two = min(run.wall for run in ones), min(run.wall for run in twos)
    print(f"to disk, the whole command: {patients * 2 / min(run.cpu for run in ones):,.0f} patients per CPU second")
    print(
        f"wall: {patients * 2 / one:,.0f} patients/s with one worker, {patients * 2 / two:,.0f} with two: {one / two:.2f}x "
        f"(CPU seconds {min(run.cpu for run in ones):.1f} and {min(run.cpu for run in twos):.1f})"
    )
    larger = command("--patients", str(patients * 4))
    formats = {form: command("--patients", str(patients), "--format", form) for form in ("ndjson", "bundle", "parquet")}
    for form, run in formats.items():
        print(f"{form}: {patients / run.cpu:,.0f} patients per CPU second, {run.largest:.0f} MB")
    runs = [*ones, *twos, larger, *formats.values()]
    peak = max(max(run.largest for run in runs), max(run.together for run in runs))
    print(
        f"memory: {max(run.largest for run in ones):.0f} MB for {patients * 2} people, {larger.largest:.0f} MB for {patients * 4}; "
        f"three processes together {max(run.together for run in twos):.0f} MB"
    )
    first = min(first_byte() for _ in range(3))
    print(f"first byte of a person after {first:.2f} s")
    quiet = (os.cpu_count() or 1) >= 2 and os.getloadavg()[0] < 2.5
    if not quiet:
        print("the machine is busy: figures of wall time say little")
    kept = people >= PATIENTS_PER_SECOND and each >= RESOURCES_EACH and people * each >= RESOURCES_PER_SECOND
    return int(not (kept and peak <= MEGABYTES and ((first < FIRST_BYTE and one / two >= SPEED_UP) or not quiet)))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:2])))
