"""The environment is read in one package, so that a test, or an embedding program, can hand over another."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READERS = {"environ", "environb", "getenv", "getenvb"}


@pytest.mark.parametrize("package", ["reconciler", "runners", "journal", "engine", "schemas"])
def test_only_the_application_reads_the_environment(package: str) -> None:
    """What lies below `opsconductor` receives what it needs (HOW-WE-WRITE 17)."""
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert [
        f"{file.relative_to(ROOT)}:{node.lineno}" for file in files for node in _reads(ast.parse(file.read_text()))
    ] == []


def _reads(tree: ast.Module) -> list[ast.expr]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in READERS
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
