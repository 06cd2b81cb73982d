"""What `init` writes for CI and editors: taken by its providers, no right too many, nothing pasted into scripts."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from opsconductor import __version__
from opsconductor.authoring import editors
from opsconductor.ci import PROVIDERS, file_for, requirement_of
from opsconductor.cli.main import call
from opsconductor.exits import UsageError

SCHEMAS = {
    "github": "github-workflows", "gitea": "github-workflows", "forgejo": "github-workflows", "gitlab": "gitlab-ci",
    "woodpecker": "woodpecker-ci",
}  # fmt: skip
ACTIONS = ("github", "gitea", "forgejo")


def loaded(provider: str) -> dict[Any, Any]:
    data = yaml.safe_load(file_for(provider)[1])
    assert isinstance(data, dict)
    # YAML 1.1 reads the key `on` as true; JSON, and so the schema, has texts only.
    return {"on" if key is True else key: value for key, value in data.items()}


def jobs(provider: str) -> list[dict[str, Any]]:
    return list(loaded(provider)["jobs"].values())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_providers_schema_takes_it(provider: str) -> None:
    text = (files("check_jsonschema.builtin_schemas.vendor") / f"{SCHEMAS[provider]}.json").read_text()
    schema = json.loads(text)
    validator = jsonschema.validators.validator_for(schema)(schema)

    assert [error.message for error in validator.iter_errors(loaded(provider))] == []
    assert list(validator.iter_errors({"jobs": {"x": {"steps": 1}}, "steps": 1, "opsconductor": 1}))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_it_installs_this_version_and_validates_and_plans(provider: str) -> None:
    text = file_for(provider)[1]

    assert f'OPSCONDUCTOR_PACKAGE: "opsconductor=={__version__}"\n' in text
    installing = 2 if provider == "github" else 1  # once in each job
    assert len(re.findall(r'pip install .*"\$OPSCONDUCTOR_PACKAGE"\n', text)) == installing
    assert "@PACKAGE@" not in text
    assert "opsconductor validate" in text
    assert re.search(r"opsconductor plan --base .*--head HEAD", text)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "package", ("opsconductor>=0.2,<0.3", "opsconductor @ git+https://git.example.org/o@v1", "t/o'\".whl")
)
def test_another_package_is_one_value_of_the_file(provider: str, package: str) -> None:
    data = yaml.safe_load(file_for(provider, package)[1])
    places = [data.get("env"), data.get("variables"), *(step.get("environment") for step in data.get("steps", []))]

    assert [place["OPSCONDUCTOR_PACKAGE"] for place in places if place] == [package]


@pytest.mark.parametrize("package", ("", " opsconductor", "--index-url=x", "a\nb", "${{ secrets.KEY }}", "$(id)"))
def test_what_is_no_requirement_is_refused(package: str) -> None:
    with pytest.raises(UsageError, match="give pip one requirement"):
        file_for("github", package)


COMMIT = "1f0c" * 10


@pytest.mark.parametrize(
    ("recorded", "requirement"),
    [
        (None, None),
        ({"url": "file:///home/ana/o", "dir_info": {"editable": True}}, None),
        ({"url": "file:///home/ana/o.whl", "archive_info": {}}, None),
        ({"url": "https://x.org/o.whl", "archive_info": {"hash": "sha256=0"}}, "opsconductor @ https://x.org/o.whl"),
        (
            {"url": "https://ana:pw@x.org/o", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"opsconductor @ git+https://x.org/o@{COMMIT}",
        ),
        (
            {"url": "ssh://git@x.org/o", "vcs_info": {"vcs": "git", "commit_id": COMMIT}, "subdirectory": "py"},
            f"opsconductor @ git+ssh://git@x.org/o@{COMMIT}#subdirectory=py",
        ),
    ],
)
def test_ci_installs_from_where_this_was_installed(recorded: dict[str, Any] | None, requirement: str | None) -> None:
    """Also where it comes from no index; but neither from a folder of this machine nor with anybody's password."""
    assert requirement_of(recorded) == requirement


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_secret_is_near_what_a_stranger_sends(provider: str) -> None:
    text = file_for(provider)[1]

    assert not re.search(r"secrets\.|pull_request_target|workflow_run|from_secret", text)


@pytest.mark.parametrize("provider", ACTIONS)
def test_the_token_is_in_the_step_that_comments_and_not_for_forks(provider: str) -> None:
    found = [(job, step) for job in jobs(provider) for step in job["steps"] if "token" in json.dumps(step).lower()]

    assert [step["name"] for _, step in found] == ["Comment"]
    for job, step in found:
        assert "head.repo.full_name == github.repository" in (job if provider == "github" else step)["if"]
        assert step["env"]["GITHUB_TOKEN"] == "${{ github.token }}"
        assert re.search(r"opsconductor plan --base .* --comment > ", step["run"])


@pytest.mark.parametrize("provider", ACTIONS)
def test_actions_are_pinned_and_nothing_of_a_request_is_pasted_into_a_script(provider: str) -> None:
    steps = [step for job in jobs(provider) for step in job["steps"]]

    assert all(re.search(r"@v\d+$", step["uses"]) for step in steps if "uses" in step)
    assert not [step for step in steps if "${{" in step.get("run", "")]
    checkouts = [step for step in steps if "/checkout@" in step.get("uses", "")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert all(job["timeout-minutes"] <= 10 for job in jobs(provider))


def test_rights_at_github_are_the_least() -> None:
    """What judges runs with a right to read; jobs of their own may comment and upload findings, and not for forks."""
    check, comment, upload = (loaded("github")["jobs"][name] for name in ("check", "comment", "code-scanning"))

    assert loaded("github")["permissions"] == {}
    assert check["permissions"] == {"contents": "read"}
    assert comment["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert upload["permissions"] == {"actions": "read", "contents": "read", "security-events": "write"}
    assert not [step for step in upload["steps"] if "run" in step]
    assert all("head.repo.full_name == github.repository" in job["if"] for job in (comment, upload))


def test_forgejo_is_gitea_with_its_own_runner_and_actions() -> None:
    own = file_for("forgejo")[1].replace("uses: https://data.forgejo.org/", "uses: ").replace("runs-on: docker", "")

    assert own.replace("forgejo", "gitea") == file_for("gitea")[1].replace("runs-on: ubuntu-latest", "")


@pytest.mark.parametrize("provider", ("gitea", "forgejo"))
def test_rights_at_other_forges_are_the_least(provider: str) -> None:
    """To comment is the one right beside reading."""
    assert loaded(provider)["permissions"] == {"contents": "read", "issues": "write", "pull-requests": "write"}


def test_gitlab_is_given_its_reports_also_when_the_check_fails() -> None:
    artifacts = loaded("gitlab")["opsconductor"]["artifacts"]

    assert artifacts["when"] == "always"
    assert artifacts["reports"] == {"codequality": "gl-code-quality-report.json", "junit": "opsconductor-junit.xml"}


def test_init_writes_the_file_where_the_provider_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "fleet"

    assert call(["init", str(folder), "--state", str(tmp_path / "state"), "--ci", "gitlab"]) == 0

    assert (folder / ".gitlab-ci.yml").read_text() == file_for("gitlab")[1]
    assert call(["validate", str(folder)]) == 0
    assert "11 documents, no findings" in capsys.readouterr().out
    assert call(["init", str(tmp_path / "other"), "--ci", "jenkins"]) == 2
    assert "github, gitlab, gitea, forgejo, woodpecker" in capsys.readouterr().err
    wheel = ("--package", "tools/opsconductor.whl")
    assert call(["init", str(tmp_path / "other"), *wheel]) == 2
    assert "give --ci too" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    state = ("--state", str(tmp_path / "second"))
    assert call(["init", str(tmp_path / "other"), *state, "--ci", "gitlab", *wheel]) == 0
    assert (tmp_path / "other" / ".gitlab-ci.yml").read_text() == file_for("gitlab", wheel[1])[1]


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("opsconductor.yaml", "./.opsconductor/schema.json"),
        ("definitions/a.yaml", "../.opsconductor/schema.json"),
        ("definitions/web/a.yaml", "../../.opsconductor/schema.json"),
    ],
)
def test_a_modeline_leads_from_the_file_to_the_schema(path: str, way: str) -> None:
    assert editors.modeline(path) == f"# yaml-language-server: $schema={way}\n"


def test_init_writes_what_editors_need(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"

    assert call(["init", str(folder), "--state", str(tmp_path / "state")]) == 0

    for file in [folder / "opsconductor.yaml", *(folder / "definitions").rglob("*.yaml")]:
        first = file.read_text().partition("\n")[0]
        assert (file.parent / first.partition("$schema=")[2]).resolve() == folder / ".opsconductor" / "schema.json"
    assert json.loads((folder / ".opsconductor" / "schema.json").read_text())["title"] == "OpsConductor"
    page = (Path(__file__).resolve().parents[2] / "docs/how-to/check-pull-requests.md").read_text()
    assert f"```yml\n{editors.modeline('definitions/a.yaml')}```" in page
