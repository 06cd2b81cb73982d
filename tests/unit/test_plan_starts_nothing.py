"""`plan` compares files on disk with a commit by git, and starts no program that git's settings name."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.cli.main import call
from tests.catalogs import PROJECT


def _git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True)


@pytest.mark.parametrize("kind", ["clean", "process", "watcher", "fails"])
def test_neither_a_filter_nor_a_watcher_of_files(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root, started = tmp_path / "repo", tmp_path / "started"
    _git(tmp_path, "init", "-q", "-b", "main", str(root))
    (root / "opsconductor.yaml").write_text(PROJECT)
    (root / ".gitattributes").write_text("*.bin filter=large\n")
    (root / "a.bin").write_text("a")
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "x")
    (root / "a.bin").write_text("b")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho x >> {started}\n[ '{kind}' = fails ] && exit 1\ncat\n")
    program.chmod(0o755)
    name = {"watcher": "core.fsmonitor", "process": "filter.large.process"}.get(kind, "filter.large.clean")
    _git(root, "config", name, str(program))
    _git(root, "config", "filter.large.required", "true")
    assert call(["plan", str(root), "--base", "main"]) == 0, capsys.readouterr().err
    assert not started.exists()
