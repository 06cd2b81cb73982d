"""Doors: built-in parts and those of plug-ins, found by name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs.scanplan import READ, SCAN
from runners.connections.ways import DOOR as CONNECTIONS
from runners.deliveries import DOOR as CHANNELS
from runners.doors import Door, NoPart
from runners.secrets.sources import DOOR as SECRETS
from runners.steps import DOOR as STEPS
from runners.steps import StepType
from schemas.steps import STEP_TYPES, every_step_type

GROUP = "opsconductor.tests"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs packages of one module, each with entry points of the group."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def package(name: str, code: str, **entries: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{key} = {name}:{what}\n" for key, what in entries.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return package


def door() -> Door[str]:
    return Door(GROUP, "part", {"ours": "builtins:str"})


def test_a_part_of_a_plug_in_is_found_by_its_name(install: Install) -> None:
    install("bringer", "def make():\n    return 'made'\n", theirs="make")
    assert door().factory("theirs")() == "made"
    assert list(door().plugged()) == ["theirs"]
    assert not list(door().faults())


def test_a_part_that_nobody_brings_is_said_to_be_missing() -> None:
    with pytest.raises(NoPart, match="this runner has no part 'gone'; install the plug-in that brings it"):
        door().factory("gone")


def test_a_built_in_part_cannot_be_replaced(install: Install) -> None:
    install("thief", "def make():\n    return 'stolen'\n", ours="make")
    assert door().factory("ours") is str
    assert not door().plugged()
    (fault,) = door().faults()
    assert (fault.source, fault.problem) == (
        "thief 1.0",
        "part 'ours' is built in and cannot be replaced; give yours another name",
    )


def test_two_plug_ins_with_one_name_are_both_refused_by_name(install: Install) -> None:
    install("one", "make = str\n", both="make")
    install("two", "make = str\n", both="make")
    with pytest.raises(NoPart, match=r"one 1.0 and two 1.0 both bring a part 'both', so neither is used"):
        door().factory("both")
    assert [fault.name for fault in door().faults()] == ["both"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nowhere\n", "part 'x' of broken 1.0 cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemError\n", "part 'x' of broken 1.0 cannot be loaded: SystemError"),
        ("", "part 'x' of broken 1.0 cannot be loaded: AttributeError: module 'broken' has no attribute 'make'"),
        ("make = 1\n", "part 'x' of broken 1.0 is no factory: broken:make cannot be called"),
    ],
)
def test_a_part_that_cannot_be_loaded_says_whose_it_is(install: Install, code: str, why: str) -> None:
    install("broken", code, x="make")
    with pytest.raises(NoPart) as raised:
        door().factory("x")
    assert str(raised.value) == why
    assert door().factory("ours") is str, "it concerns nobody else"


@pytest.mark.parametrize("one", [STEPS, CONNECTIONS, SECRETS, CHANNELS], ids=lambda door: door.group)
def test_every_built_in_part_is_there(one: Door[object]) -> None:
    for name in one.built_in:
        assert callable(one.factory(name))
    assert not list(one.faults())


def test_every_step_type_that_runs_is_both_data_and_code() -> None:
    planned = {name for found in every_step_type() if found.planned for name in found.names}
    assert STEPS.built_in - {READ, SCAN} <= STEP_TYPES.keys()
    assert not {READ, SCAN} & STEP_TYPES.keys(), "no document may name the steps of a Discovery's runs"
    runs = {found.name for found in every_step_type() if not found.is_script} - planned
    assert runs | {"script", READ, SCAN} == STEPS.built_in - planned


def test_a_step_type_has_one_instance() -> None:
    from runners.steps import step_type

    made: StepType = step_type("assert")
    assert step_type("assert") is made
