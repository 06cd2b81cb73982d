"""What the plug-ins of a machine say of their parts, and what is wrong with it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconductor.plugins import installed
from runners.doors import Door

Bring = Callable[[str], None]
GOOD = "connections:\n  bringer.shell: {description: A shell., settings: {folder: {type: string}}}\n"


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    """Installs a package that brings a connection and a channel, with this file about their settings."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bringer", raising=False)
    fresh = {what: Door(door.group, what, {}) for what, door in installed.DOORS.items()}
    monkeypatch.setattr(installed, "DOORS", fresh)

    def package(settings: str) -> None:
        folder, info = tmp_path / "bringer", tmp_path / "bringer-1.0.dist-info"
        folder.mkdir()
        info.mkdir()
        (folder / "__init__.py").write_text("class Part:\n    pass\n")
        (folder / "settings.yaml").write_text(settings)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bringer\nVersion: 1.0\n")
        groups = {"connections": "shell", "channels": "mute"}
        lines = (f"[opsconductor.{group}]\nbringer.{name} = bringer:Part\n" for group, name in groups.items())
        (info / "entry_points.txt").write_text("".join(lines))

    return package


def test_what_is_said_is_locked_and_what_says_nothing_is_left_out(bring: Bring) -> None:
    bring(GOOD)
    shell = {"description": "A shell.", "settings": {"folder": {"type": "string"}}}
    assert installed.locked() == {"bringer": {"version": "1.0", "connections": {"bringer.shell": shell}}}
    assert "bringer" not in sys.modules, "nothing of it was run"
    assert installed.faults() == ()
    found = installed.settings("connections", "bringer.shell")
    assert found is not None and found.settings == shell["settings"]
    assert installed.settings("channels", "bringer.mute") is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (GOOD.replace("string", "txt"), "setting 'folder': "),
        (GOOD.replace("settings:", "setings:"), "setings: Extra inputs are not permitted"),
        ("connections: [\n", "settings.yaml: "),
        ("connections: {bringer.shell: 1}\n", "it is not a mapping"),
    ],
)
def test_what_cannot_be_used_is_no_lock_and_a_fault(bring: Bring, settings: str, why: str) -> None:
    bring(settings)
    with pytest.raises(ValueError) as raised:
        installed.locked()
    assert why in str(raised.value)
    faults = [fault for fault in installed.faults() if fault.name == "bringer.shell"]
    assert [(fault.source, why in fault.problem) for fault in faults] == [("bringer 1.0", True)]


def test_a_file_without_kinds_says_nothing(bring: Bring) -> None:
    bring("connections: []\n")
    assert installed.locked() == {}
