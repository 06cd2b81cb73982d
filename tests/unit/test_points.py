"""Crash points: every name is declared with the two durable effects that it lies between."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal import points

ROOT = Path(points.__file__).parents[1]
PACKAGES = ("journal", "reconciler", "runners", "opsconductor")


@pytest.fixture
def reached() -> Iterator[list[str]]:
    names: list[str] = []
    points.install(names.append)
    yield names
    points.install(None)


def test_every_point_names_two_different_effects():
    for name, between in points.POINTS.items():
        assert between.before
        assert between.after
        assert between.before != between.after, name


def test_reaching_a_point_tells_the_hook(reached):
    points.reach("enqueue.committed")
    assert reached == ["enqueue.committed"]


def test_an_undeclared_point_is_a_bug(reached):
    with pytest.raises(KeyError, match="nowhere"):
        points.reach("nowhere")


def test_without_a_hook_nothing_happens():
    seen = []
    points.install(seen.append)
    points.install(None)
    points.reach("enqueue.committed")
    points.record("enqueue")
    assert seen == []


def test_a_batch_passes_the_points_of_its_changes_once(reached):
    points.begun()
    points.record("claim")
    points.record("renew")
    points.record("claim")
    points.uncommitted()
    points.committed()
    assert reached == ["claim.uncommitted", "renew.uncommitted", "claim.committed", "renew.committed"]
    points.begun()
    points.committed()
    assert len(reached) == 4


def called(function: str) -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name == function and isinstance(node.args[0].value, str):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node.args[0].value


def test_the_code_reaches_declared_points_only():
    undeclared = [f"{place}: {name}" for place, name in called("reach") if name not in points.POINTS]
    assert undeclared == []


def test_the_journals_changes_have_both_their_points():
    changes = {name for place, name in called("record") if place.startswith("journal/")}
    assert {f"{change}.{side}" for change in changes for side in ("uncommitted", "committed")} <= set(points.POINTS)
    declared = {name.rpartition(".")[0] for name in points.POINTS if name.endswith(".uncommitted")}
    assert declared == changes, "a declared point that no code can reach"
