"""Speed of the population generator: patients and resources per CPU second, memory, first byte, scaling.

    python -m tests.benchmarks.synthetic_data [PATIENTS]

All clinical stories are on. Figures are CPU seconds of one core; beside them stands the rate at which plain `orjson.dumps` writes
the same resources from ready-made dicts, measured in the same run, so that the ratio can be compared between machines.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

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


def command(*arguments: str) -> tuple[float, int]:
    """Wall seconds of the command, and the largest resident size (kB) of its main process."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        code = (
            "import sys; from pathlib import Path; from synthetic_data.cli import main; code = main(sys.argv[1:]);"
            "status = Path('/proc/self/status').read_text().splitlines();"
            "print(next(line.split()[1] for line in status if line.startswith('VmHWM')));"
            "sys.exit(code)"
        )
        made = subprocess.run(
            [sys.executable, "-c", code, "--out", f"{folder}/out", "--quiet", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return time.perf_counter() - started, int(made.stdout.split()[-1])


def first_byte() -> float:
    """Wall seconds from starting the command to the first byte of a person on disk."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out" / "Patient.ndjson.partial"
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "synthetic_data", "--patients", "2000", "--out", f"{folder}/out", "--quiet"]
        )
        try:
            while not target.exists():
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
    one, memory = command("--patients", str(patients * 2))
    two, more = command("--patients", str(patients * 2), "--jobs", "2")
    print(
        f"to disk: {patients * 2 / one:,.0f} patients/s with one worker, {patients * 2 / two:,.0f} with two: {one / two:.2f}x"
    )
    larger = command("--patients", str(patients * 4))[1]
    peak = max(memory, more, larger) / 1024
    print(
        f"largest process: {peak:.0f} MB ({memory / 1024:.0f} MB for {patients * 2}, {larger / 1024:.0f} MB for {patients * 4} people)"
    )
    first = first_byte()
    print(f"first byte after {first:.2f} s")
    quiet = (os.cpu_count() or 1) >= 2 and os.getloadavg()[0] < 2.5
    if not quiet:
        print("the machine is busy: the scaling figure says little")
    kept = people >= PATIENTS_PER_SECOND and each >= RESOURCES_EACH and people * each >= RESOURCES_PER_SECOND
    return int(not (kept and peak <= MEGABYTES and first < FIRST_BYTE and (one / two >= SPEED_UP or not quiet)))


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:2])))
