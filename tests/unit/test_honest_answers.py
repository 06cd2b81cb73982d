"""What cannot be looked up because definitions are at fault is not said to be missing."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.cli.main import call

HEAD = "apiVersion: opsconductor/v1\n"
FILES = {
    "opsconductor.yaml": f"{HEAD}kind: Project\nmetadata: {{name: x}}\n",
    "definitions/s.yaml": f"{HEAD}kind: Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: j, every: 1h}}\n",
    "definitions/j.yaml": f"{HEAD}kind: Job\nmetadata: {{name: j, previousNames: [j0]}}\n"
    "spec: {steps: [{uses: assert, with: {that: '${{ params.no }}'}}]}\n",
    "definitions/k.yaml": f"{HEAD}kind: Credential\nmetadata: {{name: smtp}}\n"
    f"spec: {{type: token, from: {{env: OPSCONDUCTOR_SECRET_A}}}}\n"
    f"---\n{HEAD}kind: Job\nmetadata: {{name: odd, previousNames: [old]}}\n"
    "spec: {env: {G: .inf}, steps: [{uses: assert, with: {that: 'true'}}]}\n",
}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    return tmp_path


@pytest.mark.parametrize("name", ["s", "trigger/t"])
def test_why_says_that_definitions_are_at_fault(checkout: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["why", name, "--repo", str(checkout), "--offline"]) == 2
    told = capsys.readouterr().err
    assert "the definitions have errors; see 'opsconductor validate'" in told
    assert "there is no" not in told


def test_impact_knows_what_stands_in_a_file_at_fault(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["impact", "Credential", "smpt", "--repo", str(checkout), "--offline"]) == 1
    assert "did you mean 'smtp'?" in capsys.readouterr().err


def test_impact_knows_a_former_name_in_a_file_at_fault(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["impact", "Job", "old", "--repo", str(checkout), "--offline"]) == 0
    assert "Job 'old' is called 'odd' now" in capsys.readouterr().err


def test_validate_names_rev_in_a_bare_repository(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = checkout / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(checkout), str(bare)], check=True)
    bare = bare.rename(checkout.parent / f"{checkout.name}.git")

    assert call(["validate", str(bare)]) == 2
    assert "--rev HEAD" in capsys.readouterr().err
    assert call(["validate", str(bare), "--rev", "HEAD"]) == 1
