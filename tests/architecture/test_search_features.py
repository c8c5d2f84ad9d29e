"""The table of search features says what the exchange does, and names tests that exist."""

from __future__ import annotations

import ast
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from sandbox.fhir.searchvalues import PREFIXES
from sandbox.search import matching, request

ROOT = Path(__file__).resolve().parents[2]


@cache
def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("search_features", ROOT / "docs" / "search_features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["search_features"] = module
    spec.loader.exec_module(module)
    return module


@cache
def _functions(name: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / "sandbox" / f"{name}.py").read_text(encoding="utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_every_feature_names_tests_that_exist() -> None:
    for feature in _module().FEATURES:
        assert feature.tests, feature.en
        for name in feature.tests:
            module, _, function = name.partition("::")
            assert function in _functions(module), name


@pytest.mark.parametrize("language", ["en", "fa"])
def test_the_pages_hold_the_table_as_generated(language: str) -> None:
    text = (ROOT / "docs" / language / "reference" / "search.md").read_text(encoding="utf-8")
    assert _module().page(text, language) == text, "run: python docs/search_features.py"


def test_no_modifier_prefix_or_result_parameter_is_left_out() -> None:
    table = _module().table("en")
    for modifiers in matching.MODIFIERS.values():
        for modifier in modifiers:
            assert f":{modifier}`" in table, modifier
    for prefix in PREFIXES:
        assert f" {prefix}" in table, prefix
    for name in request.RESULT:
        assert f"`{name.partition(':')[0]}" in table, name
