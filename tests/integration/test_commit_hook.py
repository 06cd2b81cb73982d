"""The real pre-commit takes our manifest, and its hook refuses a commit that does not validate."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
HEAD = "apiVersion: opsconductor/v1\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    names = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return {**clean, **names, "PATH": path, "HOME": str(home), "PRE_COMMIT_HOME": str(home / "pre-commit")}


@pytest.fixture
def repository(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A definitions repository with the hook as the page says for a machine that has the program.

    To make an environment for it, as the other configuration of the page does, needs a package index.
    """
    root = tmp_path / "fleet"
    (root / "definitions").mkdir(parents=True)
    (root / ".pre-commit-config.yaml").write_text(from_the_page()[1])
    (root / "opsconductor.yaml").write_text(f"{HEAD}kind: Project\nmetadata: {{name: x}}\n")
    for command in (["git", "init", "--quiet"], ["git", "add", "."], ["pre-commit", "install"]):
        subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, timeout=60)
    return root


def from_the_page() -> list[str]:
    """The configurations that the documentation shows: with our repository, and with the installed program."""
    page = (ROOT / "docs" / "how-to" / "check-pull-requests.md").read_text()
    return [block for block in re.findall(r"```yml\n(.*?)```", page, re.DOTALL) if block.startswith("repos:")]


def commit(root: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "add", "."], cwd=root, env=environment, check=True, timeout=60)
    command = ["git", "commit", "-m", "Change"]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)


def test_the_manifest_is_one(environment: dict[str, str]) -> None:
    command = ["pre-commit", "validate-manifest", str(MANIFEST)]
    subprocess.run(command, env=environment, check=True, timeout=60)

    [hook] = yaml.safe_load(MANIFEST.read_text())
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("opsconductor-validate", "python", False)


def test_the_page_names_the_hook_as_the_manifest_does() -> None:
    [hook] = yaml.safe_load(MANIFEST.read_text())
    ours, installed = (yaml.safe_load(text)["repos"][0]["hooks"][0] for text in from_the_page())

    assert ours == {"id": hook["id"]}
    assert {**installed, "language": "python"} == {name: hook[name] for name in installed}


@pytest.mark.slow
def test_a_commit_that_breaks_another_file_is_refused(repository: Path, environment: dict[str, str]) -> None:
    pool = repository / "definitions" / "p.yaml"
    pool.write_text(f"{HEAD}kind: RunnerPool\nmetadata: {{name: p}}\nspec: {{maxRuns: 1}}\n")
    sound = commit(repository, environment)
    pool.write_text(pool.read_text().replace("maxRuns", "maxRun"))
    broken = commit(repository, environment)
    subprocess.run(["git", "checkout", "--quiet", "HEAD", "."], cwd=repository, env=environment, check=True, timeout=60)
    (repository / "notes.txt").write_text("nothing of ours")
    other = commit(repository, environment)

    assert sound.returncode == 0, sound.stderr
    assert broken.returncode != 0
    assert "definitions/p.yaml:4:8: OC203 'maxRun' is not a field of 'spec'" in broken.stderr
    assert other.returncode == 0
    assert "no files to check" in other.stderr
