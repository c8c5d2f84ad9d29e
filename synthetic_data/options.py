"""What the command accepts: its options, and the spec they add up to. Wrong usage is a SpecError of one line."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from .errors import SpecError
from .population import DEFAULT_AS_OF, DEFAULT_HISTORY, DEFAULT_SIZE, IMPERFECTIONS, MAX_SIZE, Cohort, PopulationSpec

FORMATS = ("ndjson", "bundle", "parquet")
MAX_JOBS = 256
MAX_MONTHS = 120
_COMMANDS = """
other commands (each has its own --help):
  verify DIR                            check a directory: whole, unchanged, coherent, marked and safe
  evolve DIR --months N --out NEW       the people live on; write what is new or changed
  extend DIR --patients N --out NEW     more people, who were not there before
  report --out DIR                      the population beside its targets
  explore DIR --out page.html           one person's life on a page
  faults DIR --out FILE                 list every imperfection with what stood there before
  stories                               list the clinical stories

exit codes: 0 done, 1 findings or missed targets, 2 impossible request, 3 directory or file, 4 a worker process died, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, like every other error of this command. Options cannot be shortened: a new one
    would change what a short one means."""

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"python -m synthetic_data{command and ' '}{command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise the message; argparse would print the usage as well."""
        raise SpecError(message)


def whole(text: str) -> int:
    """A whole number; raises what argparse reports as a wrong value."""
    try:
        return int(text)
    except ValueError as error:
        shown = text if len(text) < 40 else text[:37] + "..."
        raise argparse.ArgumentTypeError(f"{shown!r} is not a whole number") from error


def day(text: str) -> date:
    """A date written as 2026-09-23, and in no other of ISO 8601's forms."""
    try:
        made = date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date of the form 2026-09-23") from error
    if made.isoformat() != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date of the form 2026-09-23")
    return made


def directory(text: str) -> Path:
    """A path; an empty text, as an unset variable of a shell leaves it, is none."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def between(name: str, value: int, low: int, high: int) -> None:
    """Raise SpecError unless low <= value <= high."""
    if not low <= value <= high:
        raise SpecError(f"{name} must be between {low} and {high:,}, not {value}")


def output_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that writes a population."""
    add = parser.add_argument
    add("--out", type=directory, required=True, metavar="DIR", help="an empty or new directory")
    add(
        "--jobs", type=whole, default=1, metavar="J", help="worker processes; the bytes do not depend on it (default 1)"
    )
    add("--overwrite", action="store_true", help="replace the population that is in DIR")
    add("--quiet", action="store_true", help="no progress bar (there is none either when the output is no terminal)")


def population_parser() -> Parser:
    """The options of the command that writes a new population."""
    parser = Parser("", "Write a synthetic population of Iran as FHIR R4 or as tables.", _COMMANDS)
    add = parser.add_argument
    add(
        "--patients",
        type=whole,
        default=DEFAULT_SIZE,
        metavar="N",
        help=f"how many people, 1 to {MAX_SIZE:,} (default {DEFAULT_SIZE})",
    )
    add("--seed", type=whole, default=1, metavar="S", help="the same seed gives the same bytes (default 1)")
    add(
        "--format",
        choices=FORMATS,
        default="ndjson",
        help="lines per type, a Bundle per person, or flat tables (default ndjson)",
    )
    output_options(parser)
    add(
        "--as-of",
        type=day,
        default=DEFAULT_AS_OF,
        metavar="DATE",
        help=f"the day they are seen on (default {DEFAULT_AS_OF})",
    )
    add("--region", action="append", default=[], metavar="P", help="a province, by ISO code or name; may be repeated")
    add(
        "--history-years",
        type=whole,
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
    cohort.add_argument("--min-age", type=whole, metavar="Y")
    cohort.add_argument("--max-age", type=whole, metavar="Y")
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


def population_spec(options: argparse.Namespace) -> PopulationSpec:
    """The spec that was asked for; raises SpecError."""
    between("--patients", options.patients, 1, MAX_SIZE)
    return PopulationSpec(
        size=options.patients,
        seed=options.seed,
        as_of=options.as_of,
        region=tuple(options.region),
        history_years=options.history_years,
        stories=None if options.stories is None else tuple(name.strip() for name in options.stories.split(",")),
        surnames=options.surnames,
        identifiers=options.identifiers,
        imperfections=_imperfections(options.imperfection),
        cohort=_cohort(options),
    )


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
