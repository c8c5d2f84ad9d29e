"""`python -m synthetic_data`: write a population, verify a directory. One clear line on standard error and an exit code of
its own for everything that can go wrong.

Each command imports what it needs when it runs: the first byte of a population should not wait for the report's templates.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import OutputError, PopulationError, SpecError
from .options import (
    MAX_JOBS,
    MAX_MONTHS,
    Parser,
    between,
    directory,
    output_options,
    population_parser,
    population_spec,
    whole,
)
from .population import MAX_SIZE, PopulationSpec

UNSOUND = 1
INTERRUPTED = 130
PIPE_CLOSED = 141  # 128 + SIGPIPE, as the shell would say


def _write(argv: Sequence[str]) -> int:
    options = population_parser().parse_args(argv)
    return _run(population_spec(options), options.format, options)


def _run(spec: PopulationSpec, form: str, options: argparse.Namespace) -> int:
    from .generator import Simulation
    from .output.manifest import achieved
    from .output.progress import bar, silent
    from .output.writers import WRITERS

    between("--jobs", options.jobs, 1, MAX_JOBS)
    Simulation(spec)  # an impossible request is told before anything is written
    progress = bar() if sys.stderr.isatty() and not options.quiet else silent
    manifest = WRITERS[form](spec, options.out, options.jobs, progress, options.overwrite)
    resources = sum(file["resources"] for file in manifest["files"].values())
    noun = "rows" if form == "parquet" else "resources"
    print(f"{manifest['people']:,} people, {resources:,} {noun} in {options.out}")
    for line in achieved(manifest, spec):
        print(line)
    return 0


def _evolve(argv: Sequence[str]) -> int:
    from .output.manifest import read_spec

    parser = Parser("evolve", "Let a population live on; write only what is new or changed.")
    parser.add_argument("directory", type=directory, metavar="DIR", help="a population written before")
    parser.add_argument("--months", type=whole, required=True, metavar="N", help="how long they live on")
    output_options(parser)
    options = parser.parse_args(argv)
    spec, form = read_spec(options.directory)
    lived = spec.evolve_months
    between("--months", options.months, 1, MAX_MONTHS - lived)
    return _run(spec.with_(evolve_months=lived + options.months, changes_since=lived), form, options)


def _extend(argv: Sequence[str]) -> int:
    from .output.manifest import read_spec

    parser = Parser("extend", "Add people to a population; write only the new ones.")
    parser.add_argument("directory", type=directory, metavar="DIR", help="a population written before")
    parser.add_argument("--patients", type=whole, required=True, metavar="N", help="how many more people")
    output_options(parser)
    options = parser.parse_args(argv)
    spec, form = read_spec(options.directory)
    between("--patients", options.patients, 1, MAX_SIZE - spec.size)
    return _run(spec.with_(size=spec.size + options.patients, first=spec.size), form, options)


def _explore(argv: Sequence[str]) -> int:
    from .explorer.person import person_page
    from .output.manifest import read_spec

    parser = Parser("explore", "Write a page that shows one person's life.")
    parser.add_argument("directory", type=directory, metavar="DIR", help="a population written before")
    parser.add_argument("--patient", metavar="ID", help="a Patient id (default: somebody with much to show)")
    parser.add_argument("--out", type=directory, required=True, metavar="FILE", help="the HTML file to write")
    options = parser.parse_args(argv)
    spec, _ = read_spec(options.directory)
    name, page = person_page(spec.with_(changes_since=None), options.patient)
    _write_page(options.out, page)
    print(f"{name} in {options.out}")
    return 0


def _write_page(path: Path, page: str) -> None:
    from .output.directory import explain, write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode())
    except OSError as error:
        raise explain(error, path) from error


def _report(argv: Sequence[str]) -> int:
    from .validation.report import judge, missed, render
    from .validation.survey import survey

    parser = Parser("report", "Compare a population with its targets; write a page.")
    parser.add_argument("--out", type=directory, required=True, metavar="DIR", help="where index.html is written")
    parser.add_argument(
        "--patients", type=whole, default=8000, metavar="N", help="how many people to look at (default 8000)"
    )
    parser.add_argument("--seed", type=whole, default=1, metavar="S", help="the population's seed (default 1)")
    options = parser.parse_args(argv)
    between("--patients", options.patients, 1, MAX_SIZE)
    found = survey(PopulationSpec(size=options.patients, seed=options.seed))
    outcomes = judge(found)
    _write_page(options.out / "index.html", render(found, outcomes))
    for target, observed, _, met in outcomes:
        verdict = "held out" if target.held_out else "ok" if met else "MISSED"
        print(f"{verdict:9} {target.name}: {observed:.2f} (target {target.expected:.2f})")
    for rule, what in found.broken[:20]:
        print(f"BROKEN    {rule}: {what}")
    failed = len(missed(outcomes))
    print(f"{len(outcomes)} targets, {failed} missed; {len(found.broken)} broken rules; {options.out / 'index.html'}")
    return UNSOUND if failed or found.broken else 0


def _faults(argv: Sequence[str]) -> int:
    import json

    from .faults import faults
    from .output.manifest import read_spec

    parser = Parser(
        "faults", "List every imperfection of a population, one JSON object a line, with what stood there before."
    )
    parser.add_argument("directory", type=directory, metavar="DIR", help="a population written before")
    parser.add_argument("--out", type=directory, required=True, metavar="FILE", help="the file to write")
    options = parser.parse_args(argv)
    spec, _ = read_spec(options.directory)
    lines = [json.dumps(fault, ensure_ascii=False) for fault in faults(spec)]
    _write_page(options.out, "".join(line + "\n" for line in lines))
    print(f"{len(lines):,} imperfections in {options.out}")
    return 0


def _stories(argv: Sequence[str]) -> int:
    from .conditions.registry import stories

    Parser("stories", "List the clinical stories.").parse_args(argv)
    for story in stories().values():
        print(f"{story.id:32} {story.onset.kind:12} {story.en}")
    return 0


def _verify(argv: Sequence[str]) -> int:
    from .output.verify import report_lines, verify

    parser = Parser("verify", "Check a directory: whole, unchanged, coherent, marked and safe.")
    parser.add_argument("directory", type=directory, metavar="DIR", help="a population written before")
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
    "faults": _faults,
    "report": _report,
    "stories": _stories,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 (verify found something), 2 (request), 3 (directory), 4 (worker), 130
    (interrupted), 141 (nobody reads the output)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _command(arguments)
        if sys.stdout is not None:  # the shell's >&-
            sys.stdout.flush()
    except PopulationError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on where it stopped", INTERRUPTED)
    except BrokenPipeError:
        # Python would complain once more when it closes standard output on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except MemoryError:
        return _fail("not enough memory", OutputError.exit_code)
    except OSError as error:
        return _fail(error.strerror or str(error), OutputError.exit_code)
    return code


def _command(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        return COMMANDS[first](arguments[1:])
    if first and not first.startswith("-"):
        raise SpecError(
            f"unknown command {first!r}: choose among {', '.join(COMMANDS)}, or give --patients N --out DIR"
        )
    return _write(arguments)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    start = "\n" if sys.stderr.isatty() and code == INTERRUPTED else ""  # below an unfinished progress bar
    print(f"{start}error: {line}", file=sys.stderr)
    return code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
