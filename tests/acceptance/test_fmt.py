"""`fmt` as its users meet it: a folder is brought into one layout, and nothing else happens to it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MESSY = (
    "kind: Job   # of jobs\napiVersion: opsconductor/v1\nmetadata: { name: greet }\n"
    "spec:\n      steps:\n      - run:  'true'\n"
)
NEAT = (
    "apiVersion: opsconductor/v1\nkind: Job  # of jobs\nmetadata: {name: greet}\nspec:\n  steps:\n    - run: 'true'\n"
)


def fmt(
    *arguments: str | Path, cwd: Path | None = None, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "opsconductor.cli.main", "fmt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, input=given, capture_output=True, timeout=60, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "libraries" / "own").mkdir(parents=True)
    project = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\n"
    (tmp_path / "opsconductor.yaml").write_text(project)
    (tmp_path / "definitions" / "greet.yaml").write_text(MESSY)
    (tmp_path / "libraries" / "own" / "library.yaml").write_text(MESSY)
    (tmp_path / "other.yaml").write_text(MESSY)
    return tmp_path


def test_a_folder_is_formatted_and_what_is_not_ours_stays(site: Path) -> None:
    file = site / "definitions" / "greet.yaml"
    file.chmod(0o640)
    asked = fmt("--check", site)
    assert (asked.returncode, asked.stdout.decode()) == (1, f"{file}\n")
    shown = fmt("--diff", cwd=site).stdout.decode()
    assert "+    - run: 'true'\n" in shown
    assert file.read_text() == MESSY
    done = fmt(cwd=site)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "2 files, 1 changed" in done.stderr.decode()
    assert file.read_text() == NEAT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert (site / "other.yaml").read_text() == (site / "libraries" / "own" / "library.yaml").read_text() == MESSY
    assert sorted(os.listdir(site / "definitions")) == ["greet.yaml"], "nothing else is left behind"
    assert fmt("--check", site).returncode == 0


def test_files_with_mistakes_are_named_and_left(site: Path) -> None:
    bad = site / "definitions" / "bad.yaml"
    bad.write_text("a: [\n")
    sealed = site / "definitions" / "sealed.yaml"
    sealed.write_text("kind:   Credential\ndata: {value: x}\nsops: {mac: y}\n")
    done = fmt(site)
    assert done.returncode == 1
    assert "bad.yaml: left as it is: it has mistakes" in done.stderr.decode()
    assert "sealed" not in done.stderr.decode()
    assert bad.read_text() == "a: [\n"
    assert sealed.read_text().startswith("kind:   Credential")
    assert (site / "definitions" / "greet.yaml").read_text() == NEAT


def test_what_an_editor_hands_over(tmp_path: Path) -> None:
    done = fmt("-", given=MESSY.encode())
    assert (done.returncode, done.stdout.decode()) == (0, NEAT)
    wrong = fmt("-", given=b"a: [\n")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    (tmp_path / "one.yaml").write_text(MESSY)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "one.yaml")
    assert fmt(tmp_path / "link.yaml").returncode == 2
    assert fmt(tmp_path / "one.yaml").returncode == 0
    assert (tmp_path / "one.yaml").read_text() == NEAT
    assert "there is no opsconductor.yaml" in fmt(tmp_path).stderr.decode()
    assert fmt(tmp_path / "nothing").returncode == 2
