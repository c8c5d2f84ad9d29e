"""`python -m synthetic_data`: write a population, verify a directory. One clear line and exit code 2 or 3 on bad
input."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from .errors import OutputError, PopulationError, SpecError
from .output.ndjson import Progress, write_ndjson
from .population import DEFAULT_AS_OF, DEFAULT_SIZE, PopulationSpec

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, like every other error of this command."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(message)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SpecError(f"{text!r} is not a date of the form 2026-09-23") from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m synthetic_data", description="Write a synthetic population of Iran as FHIR R4.")
    add = parser.add_argument
    add("--patients", type=int, default=DEFAULT_SIZE, metavar="N", help=f"how many people (default {DEFAULT_SIZE})")
    add("--seed", type=int, default=1, metavar="S", help="the same seed gives the same bytes (default 1)")
    add("--out", type=Path, required=True, metavar="DIR", help="an empty or new directory")
    add("--format", choices=("ndjson", "bundle", "parquet"), default="ndjson")
    add("--jobs", type=int, default=1, metavar="J", help="worker processes; the bytes do not depend on it")
    add("--as-of", type=_date, default=DEFAULT_AS_OF, metavar="DATE", help=f"default {DEFAULT_AS_OF}")
    add("--region", action="append", default=[], metavar="P", help="a province, by ISO code or name; may be repeated")
    add("--history-years", type=int, default=4, metavar="Y", help="years of routine care to write out (default 4)")
    add("--surnames", choices=("curated", "coined"), default="curated")
    add("--overwrite", action="store_true", help="replace the population that is in DIR")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def _bar(quiet: bool) -> Progress:
    started = time.monotonic()
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if quiet or (now - last < 0.2 and done < total):
            return
        last = now
        filled = int(30 * done / total)
        rate = done / max(now - started, 1e-9)
        end = "\n" if done >= total else ""
        bar = "#" * filled + "." * (30 - filled)
        print(f"\r[{bar}] {done:,}/{total:,} people  {rate:,.0f}/s ", end=end, file=sys.stderr, flush=True)

    return show


def _write(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    if not 1 <= options.jobs <= 256:
        raise SpecError(f"jobs must be between 1 and 256, not {options.jobs}")
    spec = PopulationSpec(
        size=options.patients,
        seed=options.seed,
        as_of=options.as_of,
        region=tuple(options.region),
        history_years=options.history_years,
        surnames=options.surnames,
    )
    manifest = write_ndjson(spec, options.out, options.jobs, _bar(options.quiet), options.overwrite)
    resources = sum(file["resources"] for file in manifest["files"].values())
    print(f"{manifest['people']:,} people, {resources:,} resources in {options.out}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 (impossible request), 3 (directory), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _write(arguments)
    except PopulationError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; run the same command again to go on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"error: {OutputError(error.strerror or str(error))}", file=sys.stderr)
        return OutputError.exit_code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
