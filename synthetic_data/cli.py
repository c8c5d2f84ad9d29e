"""`python -m synthetic_data`: write a population, verify a directory. One clear line and exit code 2 or 3 on bad
input."""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from .conditions.registry import stories
from .errors import OutputError, PopulationError, SpecError
from .explorer.person import person_page
from .generator import Simulation
from .output.directory import explain, write_atomically
from .output.manifest import achieved, read_spec
from .output.progress import bar, silent
from .output.verify import report_lines, verify
from .output.writers import WRITERS
from .population import DEFAULT_AS_OF, DEFAULT_HISTORY, DEFAULT_SIZE, IMPERFECTIONS, Cohort, PopulationSpec
from .validation.report import judge, missed, render
from .validation.survey import survey

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


def _output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="an empty or new directory")
    add("--jobs", type=int, default=1, metavar="J", help="worker processes; the bytes do not depend on it")
    add("--overwrite", action="store_true", help="replace the population that is in DIR")
    add("--quiet", action="store_true", help="no progress bar")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m synthetic_data",
        description="Write a synthetic population of Iran as FHIR R4. Other commands: verify, evolve, extend, explore, report, stories.",
    )
    add = parser.add_argument
    add("--patients", type=int, default=DEFAULT_SIZE, metavar="N", help=f"how many people (default {DEFAULT_SIZE})")
    add("--seed", type=int, default=1, metavar="S", help="the same seed gives the same bytes (default 1)")
    add("--format", choices=tuple(WRITERS), default="ndjson")
    _output_options(parser)
    add(
        "--as-of",
        type=_date,
        default=DEFAULT_AS_OF,
        metavar="DATE",
        help=f"the day they are seen on (default {DEFAULT_AS_OF})",
    )
    add("--region", action="append", default=[], metavar="P", help="a province, by ISO code or name; may be repeated")
    add(
        "--history-years",
        type=int,
        default=DEFAULT_HISTORY,
        metavar="Y",
        help=f"years of routine care (default {DEFAULT_HISTORY})",
    )
    add("--stories", metavar="A,B", help="only these clinical stories")
    add(
        "--surnames",
        choices=("curated", "coined"),
        default="curated",
        help="coined: family names that nobody is known to bear",
    )
    add(
        "--identifiers",
        choices=("A", "B"),
        default="A",
        help="B: national codes of a reserved block that pass their check",
    )
    add(
        "--imperfection",
        action="append",
        default=[],
        metavar="NAME=SHARE",
        help=f"one of {', '.join(IMPERFECTIONS)}; may be repeated",
    )
    cohort = parser.add_argument_group("cohort: only people like this")
    cohort.add_argument("--sex", choices=("female", "male"))
    cohort.add_argument("--min-age", type=int, metavar="Y")
    cohort.add_argument("--max-age", type=int, metavar="Y")
    cohort.add_argument(
        "--with",
        action="append",
        default=[],
        dest="conditions",
        metavar="STORY",
        help="a lasting disease; may be repeated",
    )
    cohort.add_argument("--payer", metavar="CODE", help="an insurer, e.g. SSO")
    return parser


def _imperfections(texts: Sequence[str]) -> dict[str, float]:
    made = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            made[name] = float(share)
        except ValueError as error:
            raise SpecError(f"{text!r} is not of the form NAME=SHARE, such as wrong_unit=0.02") from error
    return made


def _cohort(options: argparse.Namespace) -> Cohort | None:
    if not (options.sex or options.conditions or options.payer) and options.min_age is None and options.max_age is None:
        return None
    low = 0 if options.min_age is None else options.min_age
    high = 110 if options.max_age is None else options.max_age
    return Cohort(options.sex, low, high, tuple(options.conditions), options.payer)


def _write(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    spec = PopulationSpec(
        size=options.patients,
        seed=options.seed,
        as_of=options.as_of,
        region=tuple(options.region),
        history_years=options.history_years,
        stories=tuple(options.stories.split(",")) if options.stories else None,
        surnames=options.surnames,
        identifiers=options.identifiers,
        imperfections=_imperfections(options.imperfection),
        cohort=_cohort(options),
    )
    return _run(spec, options.format, options)


def _run(spec: PopulationSpec, form: str, options: argparse.Namespace) -> int:
    if not 1 <= options.jobs <= 256:
        raise SpecError(f"jobs must be between 1 and 256, not {options.jobs}")
    Simulation(spec)  # an impossible request is told before anything is written
    progress = silent if options.quiet else bar()
    manifest = WRITERS[form](spec, options.out, options.jobs, progress, options.overwrite)
    resources = sum(file["resources"] for file in manifest["files"].values())
    noun = "rows" if form == "parquet" else "resources"
    print(f"{manifest['people']:,} people, {resources:,} {noun} in {options.out}")
    for line in achieved(manifest, spec):
        print(line)
    return 0


def _evolve(argv: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m synthetic_data evolve",
        description="Let a population live on; write only what is new or changed.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a population written before")
    parser.add_argument("--months", type=int, required=True, metavar="N")
    _output_options(parser)
    options = parser.parse_args(argv)
    spec, form = read_spec(options.directory)
    lived = spec.evolve_months
    return _run(spec.with_(evolve_months=lived + options.months, changes_since=lived), form, options)


def _extend(argv: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m synthetic_data extend", description="Add people to a population; write only the new ones."
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a population written before")
    parser.add_argument("--patients", type=int, required=True, metavar="N", help="how many more people")
    _output_options(parser)
    options = parser.parse_args(argv)
    spec, form = read_spec(options.directory)
    if options.patients < 1:
        raise SpecError(f"patients must be at least 1, not {options.patients}")
    return _run(spec.with_(size=spec.size + options.patients, first=spec.size), form, options)


def _explore(argv: Sequence[str]) -> int:
    parser = _Parser(prog="python -m synthetic_data explore", description="Write a page that shows one person's life.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="a population written before")
    parser.add_argument("--patient", metavar="ID", help="a Patient id (default: somebody with much to show)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the HTML file to write")
    options = parser.parse_args(argv)
    spec, _ = read_spec(options.directory)
    name, page = person_page(spec.with_(changes_since=None), options.patient)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out, page.encode())
    except OSError as error:
        raise explain(error, options.out) from error
    print(f"{name} in {options.out}")
    return 0


def _report(argv: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m synthetic_data report", description="Compare a population with its targets; write a page."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--patients", type=int, default=8000, metavar="N", help="how many people to look at (default 8000)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    options = parser.parse_args(argv)
    found = survey(PopulationSpec(size=options.patients, seed=options.seed))
    outcomes = judge(found)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "index.html", render(found, outcomes).encode())
    except OSError as error:
        raise explain(error, options.out) from error
    for target, observed, _, met in outcomes:
        verdict = "held out" if target.held_out else "ok" if met else "MISSED"
        print(f"{verdict:9} {target.name}: {observed:.2f} (target {target.expected:.2f})")
    for rule, what in found.broken[:20]:
        print(f"BROKEN    {rule}: {what}")
    failed = len(missed(outcomes))
    print(f"{len(outcomes)} targets, {failed} missed; {len(found.broken)} broken rules; {options.out / 'index.html'}")
    return UNSOUND if failed or found.broken else 0


def _stories(argv: Sequence[str]) -> int:
    _Parser(prog="python -m synthetic_data stories", description="List the clinical stories.").parse_args(argv)
    for story in stories().values():
        print(f"{story.id:32} {story.onset.kind:12} {story.en}")
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


COMMANDS = {
    "verify": _verify,
    "evolve": _evolve,
    "extend": _extend,
    "explore": _explore,
    "report": _report,
    "stories": _stories,
}


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
