"""What deploy/ holds, judged by the programs of those who read it, since nothing here can build or run it."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


# --- systemd ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_the_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    name = unit.name.replace("@.", "@dmz.")
    (tmp_path / name).write_text(
        unit.read_text().replace("/opt/opsconductor/bin/opsconductor", shutil.which("true") or "")
    )
    read = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (read.returncode, read.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_there_is_and_leaves_time_to_stop(unit: Path) -> None:
    text = unit.read_text()
    found = re.search(r"^ExecStart=/opt/opsconductor/bin/opsconductor (\w+)(.*)$", text, re.MULTILINE)
    assert found is not None
    assert found[1] in _commands()
    assert "Type=notify" in text
    assert "NotifyAccess=main" in text
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1]) > 30  # type: ignore[index]


# --- the container ----------------------------------------------------------------------------------------------------


def test_the_container_file_has_nothing_that_hadolint_would_change() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--format", "json", DEPLOY / "container" / "Containerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout) == []


def test_the_container_is_built_from_all_that_the_package_is_made_of() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*)\]$", project, re.MULTILINE)
    forced = re.findall(r'^"([^"]+)" = "opsconductor/', project, re.MULTILINE)
    assert packages is not None
    needed = {
        *re.findall(r'"([^"]+)"', packages[1]),
        *forced,
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
    }
    assert let_in == needed
    assert all((ROOT / name).exists() for name in let_in)


@pytest.mark.slow
def test_what_the_container_is_built_from_makes_the_program(tmp_path: Path) -> None:
    """The steps of the container file, without the container: the same context, the same installation."""
    context, home = tmp_path / "context", tmp_path / "opt"
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            _copy(ROOT / line[1:], context / line[1:])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/*/site-packages")  # behind its own come those that are locked, without installing them
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "."], cwd=context, check=True)
    shown = subprocess.run(
        [home / "bin" / "opsconductor", "explain", "OC203"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "OC203" in shown.stdout


def _commands() -> set[str]:
    return set(re.findall(r"^\| `([a-z]+)", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda _, names: fnmatch.filter(names, "__pycache__"))
    else:
        shutil.copy(source, target)
