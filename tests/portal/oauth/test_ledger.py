"""The ledger of rules names tests that exist."""

from __future__ import annotations

import ast
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS: list[list[str]] = tomllib.loads((HERE / "ledger.toml").read_text(encoding="utf-8"))["rows"]


@lru_cache
def _tests(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_rule_is_proved_by_a_test_that_exists(row: list[str]) -> None:
    source, rule, proof = row
    file, _, name = proof.partition("::")
    assert source and rule
    assert name in _tests(file)


def test_no_row_is_written_twice() -> None:
    assert len({tuple(row) for row in ROWS}) == len(ROWS)
