"""The real pre-commit takes our manifest, and its hook refuses a commit that does not validate."""

import hashlib
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

    assert sound.returncode == 0, sound.stderr
    assert broken.returncode != 0
    assert "definitions/p.yaml:4:8: OC203 'maxRun' is not a field of 'spec'" in broken.stderr


OTHERS = {
    "opsconductor.lock": "libraries:\n  logs: {source: ../logs, digest: 'sha256:%s'}\n",
    "libraries/logs/library.yaml": f"{HEAD}kind: StepLibrary\nmetadata: {{name: logs}}\nspec: {{version: 1.0.0}}\n",
    "libraries/logs/steps/cut.sh": "true\n",
    "calendars/freeze.ics": "BEGIN:VCALENDAR\nEND:VCALENDAR\n",
    "tls/Switch.PEM": "a certificate\n",
}
LEANING = (
    f"{HEAD}kind: Calendar\nmetadata: {{name: freeze}}\nspec: {{ics: calendars/freeze.ics}}\n---\n"
    f"{HEAD}kind: Target\nmetadata: {{name: switch}}\nspec:\n  host: switch.example.org\n"
    "  connections: {http: {baseUrl: 'https://switch.example.org', caCert: tls/Switch.PEM}}\n"
)


@pytest.mark.slow
def test_a_file_that_documents_lean_on_calls_the_hook(repository: Path, environment: dict[str, str]) -> None:
    """The lock, a library's files, a calendar, a certificate: changed or removed, with no document beside them."""
    digests = {
        path.removeprefix("libraries/logs/"): hashlib.sha256(text.encode()).hexdigest()
        for path, text in OTHERS.items()
        if path.startswith("libraries/")
    }
    whole = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    files = {**OTHERS, "definitions/leaning.yaml": LEANING}
    files["opsconductor.lock"] %= hashlib.sha256(whole.encode()).hexdigest()
    for path, text in files.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text)
    sound = commit(repository, environment)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    subprocess.run(["git", "tag", "sound"], cwd=repository, env=environment, check=True, timeout=60)

    for path in OTHERS:
        (repository / path).write_text((repository / path).read_text().replace("1.0.0", "1.0.1") + "# more\n")
        changed = commit(repository, environment)
        # nobody judges yet what stands in a certificate
        breaks = {"libraries": "OC318", "calendars": "OC510"}.get(path.split("/")[0])
        assert (changed.returncode != 0) == (breaks is not None), f"{path}: {changed.stderr}"
        assert breaks is None or breaks in changed.stderr, f"{path}: {changed.stderr}"
        assert "(no files to check)" not in changed.stderr
        restore(repository, environment)
        (repository / path).unlink()
        removed = commit(repository, environment)
        # a library that is locked, used by nobody and gone is a warning
        code = {"calendars": "OC509", "tls": "OC509"}.get(path.split("/")[0], "OC318")
        assert (code in removed.stderr) == (not path.endswith("library.yaml")), f"{path}: {removed.stderr}"
        assert "(no files to check)" not in removed.stderr
        restore(repository, environment)


@pytest.mark.slow
def test_where_it_does_not_always_run_the_same_files_call_it(repository: Path, environment: dict[str, str]) -> None:
    settings = repository / ".pre-commit-config.yaml"
    settings.write_text(settings.read_text().replace("always_run: true", "always_run: false"))
    assert commit(repository, environment).returncode == 0
    for path in (*OTHERS, "definitions/p.yml", "notes.txt"):
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("")
        done = commit(repository, environment)
        assert ("(no files to check)" in done.stderr) == (path == "notes.txt"), f"{path}: {done.stderr}"
        subprocess.run(["git", "reset", "--quiet"], cwd=repository, env=environment, check=True, timeout=60)
        (repository / path).unlink(missing_ok=True)


def restore(root: Path, environment: dict[str, str]) -> None:
    """The work tree as it was, also after a commit that should have been refused."""
    subprocess.run(["git", "reset", "--quiet", "--hard", "sound"], cwd=root, env=environment, check=True, timeout=60)
