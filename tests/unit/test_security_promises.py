"""SECURITY.md names a test of each promise, and each test is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)`")
_ROW = re.compile(r"^\| (?!promise |---)([^|]+) \|([^|]+)\|$", re.MULTILINE)
NAMED = sorted(set(_NAMED.findall(TEXT)))


def _tests_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return found


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert (ROOT / file).is_file(), f"{file} is not there"
    assert name in _tests_of(ROOT / file), f"{file} has no {name}"


@pytest.mark.parametrize("row", _ROW.findall(TEXT), ids=[row[0][:60] for row in _ROW.findall(TEXT)])
def test_every_promise_names_its_tests(row: tuple[str, str]) -> None:
    promise, tests = row
    assert _NAMED.search(tests), f"no test is named of: {promise}"
    assert not _NAMED.sub("", tests).replace("<br>", "").strip(" ,;"), "only tests stand there"


def test_there_are_promises() -> None:
    assert len(_ROW.findall(TEXT)) > 20
