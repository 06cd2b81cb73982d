"""A Project that lies below the root of its checkout: no engine would read it there, and `validate` says so."""

import json
import subprocess
from pathlib import Path

import pytest

from opsconductor.cli.main import call
from tests.catalogs import PROJECT


@pytest.fixture
def ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ops = tmp_path / "checkout" / "ops"
    (ops / "definitions").mkdir(parents=True)
    (ops / "opsconductor.yaml").write_text(PROJECT)
    return ops


def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[tuple[str, str]]]:
    code = call(["validate", str(folder), "--format", "json"])
    return code, [(one["code"], one["severity"]) for one in json.loads(capsys.readouterr().out)["findings"]]


@pytest.mark.parametrize("folder", [".", "definitions"])
def test_it_is_a_warning(folder: str, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error: it may be a folder of examples. Asked twice, it is said twice."""
    subprocess.run(["git", "init", "-q", ops.parent], check=True)
    assert said(ops / folder, capsys) == said(ops / folder, capsys) == (0, [("OC304", "warning")])
    call(["validate", str(ops)])
    assert "this Project lies in 'ops' of its checkout" in capsys.readouterr().out


def test_at_the_root_and_in_no_repository_nothing_is_said(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(ops, capsys) == (0, [])
    subprocess.run(["git", "init", "-q", ops], check=True)
    subprocess.run(["git", "init", "-q", ops.parent], check=True)
    assert said(ops, capsys) == (0, [])
