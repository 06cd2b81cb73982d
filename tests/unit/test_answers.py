"""What `exec --wait` shows of each target."""

import json
from pathlib import Path
from typing import Any

import pytest

from opsconductor.answers import MOST_IN_DATA, answers, show_answers

LOG = "2026/11/21/exec-1/web-01/steps.command.1.log"


def run(**targets: dict[str, Any]) -> dict[str, Any]:
    """A Run file with one step on each of these targets."""
    places = {name.replace("_", "-"): {"steps": [{"id": "command", **step}]} for name, step in targets.items()}
    return {"metadata": {"name": "exec-1"}, "status": {"state": "failed", "targets": places}}


def logged(logs: Path, text: bytes) -> None:
    (logs / LOG).parent.mkdir(parents=True)
    (logs / LOG).write_bytes(text)


def test_output_is_grouped_by_target_and_cannot_move_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logged(tmp_path, b"one\r\n\x1b[2Jtwo")
    failed = {"state": "failed", "exitCode": 3, "error": "exit code 3", "stderrTail": "sorry"}
    show_answers(answers(run(web_02=failed, web_01={"state": "succeeded", "log": LOG}), tmp_path))
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["web-01 | one", "web-01 | ·[2Jtwo", "web-02 | sorry"]
    assert shown.err == "web-02: failed: exit code 3\n"


def test_silence_and_output_that_is_elsewhere_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_answers(answers(run(web_01={"state": "succeeded"}), tmp_path))
    assert capsys.readouterr().err == "web-01: succeeded, and printed nothing\n"
    show_answers(answers(run(web_01={"state": "succeeded", "log": LOG}), tmp_path))
    assert "on the engine's machine" in capsys.readouterr().err


def test_a_reference_does_not_lead_out_of_the_folder_of_logs(tmp_path: Path) -> None:
    """Whoever may push the status branch could have written it."""
    (tmp_path / "passwords").write_text("secret")
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("../passwords", str(tmp_path / "passwords")):
        (answer,) = answers(run(web_01={"state": "succeeded", "log": name}), logs)
        assert answer.log is None
        assert answer.as_data()["output"] == ""


def test_data_is_bounded_and_says_so(tmp_path: Path) -> None:
    logged(tmp_path, b"x" * (MOST_IN_DATA + 1))
    (answer,) = answers(run(web_01={"state": "succeeded", "exitCode": 0, "log": LOG}), tmp_path)
    data = json.loads(json.dumps(answer.as_data()))
    assert len(data.pop("output")) == MOST_IN_DATA
    assert data == {"target": "web-01", "state": "succeeded", "exitCode": 0, "error": None, "complete": False}
