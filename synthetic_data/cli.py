"""`python -m synthetic_data`: write a population, verify a directory. One clear line and exit code 2 or 3 on bad
input."""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from .errors import OutputError, PopulationError, SpecError
from .output.progress import bar, silent
from .output.verify import report_lines, verify
from .output.writers import WRITERS
from .population import DEFAULT_AS_OF, DEFAULT_SIZE, PopulationSpec

UNSOUND = 1
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
    progress = silent if options.quiet else bar()
    manifest = WRITERS[options.format](spec, options.out, options.jobs, progress, options.overwrite)
    resources = sum(file["resources"] for file in manifest["files"].values())
    noun = "rows" if options.format == "parquet" else "resources"
    print(f"{manifest['people']:,} people, {resources:,} {noun} in {options.out}")
    return 0


def _verify(argv: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m synthetic_data verify",
        description="Check a directory: whole, unchanged, coherent, marked and safe.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    found = verify(parser.parse_args(argv).directory)
    if not found.count:
        print(f"{found.resources:,} resources: whole, unchanged, coherent, marked and safe")
        return 0
    for line in report_lines(found):
        print(line, file=sys.stderr)
    print(f"error: {found.count:,} problems in {found.path}", file=sys.stderr)
    return UNSOUND


COMMANDS = {"verify": _verify}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 (verify found something), 2 (request), 3 (directory), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        command = COMMANDS.get(arguments[0]) if arguments else None
        return command(arguments[1:]) if command else _write(arguments)
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
