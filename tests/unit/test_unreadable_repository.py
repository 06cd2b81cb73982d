"""A repository that git or this version does not read: the command line says why, and what to do."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconductor.cli.main import call
from tests.catalogs import PROJECT

Asked = Callable[..., str]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def made(*options: str) -> Path:
        root = tmp_path / "our repo"
        subprocess.run(["git", "init", "-q", *options, root], check=True)
        (root / "opsconductor.yaml").write_text(PROJECT)
        subprocess.run(["git", "add", "."], cwd=root, check=True)
        identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, "commit", "-qm", "x"], cwd=root, check=True)
        return root

    return made


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Asked:
    def refused(*words: str) -> str:
        assert call(list(words)) == 2
        return capsys.readouterr().err

    return refused


@pytest.mark.parametrize("words", [("plan", "--base", "HEAD"), ("validate", "--rev", "HEAD")])
def test_one_that_another_user_owns(
    words: tuple[str, ...], made: Callable[..., Path], refused: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git's own switch for it: only root could make files of another user."""
    root = made()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    said = " ".join(refused(words[0], str(root), *words[1:]).split())
    assert "because another user owns it" in said and "shallow" not in said
    assert f"git config --global --add safe.directory '{root}'" in said


@pytest.mark.parametrize("words", [("plan", "--base", "HEAD"), ("validate", "--rev", "HEAD")])
def test_one_with_sha256_names(words: tuple[str, ...], made: Callable[..., Path], refused: Asked) -> None:
    said = refused(words[0], str(made("--object-format=sha256")), *words[1:])
    assert "uses SHA-256 object names, which are not supported" in " ".join(said.split())


def test_what_init_says_to_run_next_can_be_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in dir" / 'sp "q'
    folder.parent.mkdir()
    assert call(["init", str(folder), "--state", str(tmp_path / "a state")]) == 0
    said = capsys.readouterr().err
    assert f"opsconductor up '{folder}' --state '{tmp_path / 'a state'}'" in said
    assert f"git -C '{folder}' log -p" in said
