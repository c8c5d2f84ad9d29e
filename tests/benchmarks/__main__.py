"""Run every benchmark, or those named: `python -m tests.benchmarks [NAME ...]`."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import tests.benchmarks as folder

SUPPORT = {"__main__", "harness"}


def names() -> list[str]:
    """Benchmarks in this folder; modules that start with `_` only help others."""
    return sorted(
        m.name for m in pkgutil.iter_modules(folder.__path__) if m.name not in SUPPORT and not m.name.startswith("_")
    )


def main(chosen: list[str]) -> int:
    """Run `chosen`, or all; the worst exit code."""
    known = names()
    if unknown := [name for name in chosen if name not in known]:
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    worst = 0
    for name in chosen or known:
        print(f"\n== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
