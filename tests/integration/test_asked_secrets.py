"""`run` and secret params: plain text is refused before it is in a commit, since git forgets nothing."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.cli import ask
from opsconductor.exits import UsageError
from tests.signing import Repository

MAIN, REQUESTS = "refs/heads/main", "refs/heads/opsconductor/requests"
FILES = {
    "opsconductor.yaml": "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n",
    "definitions/rotate.yaml": (
        "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: rotate}\nspec:\n"
        "  params: {token: {type: string, secret: true, required: true}}\n"
        "  steps: [{uses: assert, with: {that: ['${{ true }}']}}]\n"
    ),
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    repository = Repository.made(tmp_path / "ops.git")
    repository.git("update-ref", MAIN, repository.commit(FILES))
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-b", "main", str(repository.path), str(folder)], check=True, timeout=60)
    for key, value in (("user.name", "ana"), ("user.email", "ana@example.org"), ("commit.gpgSign", "false")):
        subprocess.run(["git", "-C", str(folder), "config", key, value], check=True, timeout=60)
    return folder


def _asked(clone: Path) -> str:
    origin = clone.parent / "ops.git"
    listed = ["git", "-C", str(origin), "for-each-ref", "--format=%(objectname)", REQUESTS]
    return subprocess.run(listed, check=True, timeout=60, capture_output=True, text=True).stdout


@pytest.mark.parametrize("given", ["hunter2hunter2", "1234567", '"quoted text"', "{credentialRef: web}", "[a, b]"])
def test_a_secret_in_plain_text_is_refused_before_it_is_in_git_and_is_not_shown(clone: Path, given: str) -> None:
    with pytest.raises(UsageError) as refused:
        ask.run("rotate", param=[f"token={given}"], repo=str(clone))
    assert "-p 'token={credentialRef: NAME, field: FIELD}'" in str(refused.value)
    assert given not in str(refused.value)
    assert _asked(clone) == ""


def test_a_credential_is_named_to_the_engine(clone: Path) -> None:
    ask.run("rotate", param=["token={credentialRef: web, field: token}"], repo=str(clone))
    assert _asked(clone) != ""
