"""Reads, searches and writes of the exchange as ratios to a Litestar endpoint that returns a small dict, in the same run.

`python -m tests.benchmarks.exchange [--postgres] [--patients 200 10000] [--rounds 3]`. Each patient count gets its own database.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from tests.benchmarks import _exchange as sut
from tests.benchmarks.harness import Case, best, pin, server, table
from tests.factories import postgres

ROOT = f"http://127.0.0.1:{sut.PORT}"
FHIR = f"{ROOT}/fhir/R4"
TARGETS = {"read": 0.5, "search 50 (97 KB)": 0.2, "create": 0.1}
POSTGRES_TARGETS = {"read": 0.25, "search 50 (97 KB)": 0.08}


def cases(patients: int) -> list[Case]:
    """Sampled values, so that no cache of answers could help."""
    bearer = {"authorization": f"Bearer {sut.token()}"}
    scoped = {"authorization": f"Bearer {sut.token('system/Observation.rs system/Patient.cruds')}"}
    draw = random.Random(1)
    people = sut.rich(patients)
    ids = [f"/fhir/R4/Observation/p{n}-o{draw.randrange(sut.PER_RICH)}" for n in people]
    pages = [f"/fhir/R4/Observation?patient=p{n}&category=laboratory&_count=50" for n in people]
    latest = [f"/fhir/R4/Observation?patient=p{n}&code=http://loinc.org|718-7&_sort=-date&_count=10" for n in people]
    numbers = [f"/fhir/R4/Patient?identifier=https://gozar.example/sid/national-code|{n:010}" for n in people]
    body = orjson.dumps(sut.observation("new", f"p{people[0]}", 1))
    created = {**bearer, "content-type": "application/fhir+json", "prefer": "return=minimal"}
    return [
        Case("baseline", f"{ROOT}/baseline"),
        Case("read", FHIR + ids[0][8:], scoped, paths=ids),
        Case("search 50 (97 KB)", FHIR + pages[0][8:], scoped, paths=pages),
        Case("search latest 10 by code", FHIR + latest[0][8:], scoped, paths=latest),
        Case("search by identifier", FHIR + numbers[0][8:], scoped, paths=numbers),
        Case("first page of a type", f"{FHIR}/Patient?_count=20", bearer),
        Case("create", f"{FHIR}/Observation", created, body=body, expect=201),
    ]


@contextlib.contextmanager
def database(use_postgres: bool, folder: Path, patients: int) -> Iterator[str]:
    if not use_postgres:
        yield f"sqlite+aiosqlite:///{folder}/exchange-{patients}.sqlite3"
        return
    with postgres.server() as url:
        yield url


def main(arguments: Sequence[str]) -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--postgres", action="store_true")
    options.add_argument("--patients", type=int, nargs="+", default=[200, 2000])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2)
    asked = options.parse_args(arguments)
    targets, missed = POSTGRES_TARGETS if asked.postgres else TARGETS, 0
    with tempfile.TemporaryDirectory() as folder:
        for patients in asked.patients:
            with database(asked.postgres, Path(folder), patients) as url:
                print(f"\n{'PostgreSQL' if asked.postgres else 'SQLite'}, {patients} patients")
                filling = [sys.executable, "-m", "tests.benchmarks._exchange", "load", url, str(patients)]
                subprocess.run(pin(filling, 0), check=True)
                command = [sys.executable, "-m", "tests.benchmarks._exchange", url, str(patients)]
                with server(command, f"{ROOT}/baseline") as process:
                    figures = best(cases(patients), process, rounds=asked.rounds, seconds=asked.seconds)
                print(table(figures, "baseline"))
                for name, wanted in targets.items():
                    ratio = figures[name].rate / figures["baseline"].rate
                    missed += ratio < wanted
                    print(f"{name}: {ratio:.2f}, wanted {wanted}: {'reached' if ratio >= wanted else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
