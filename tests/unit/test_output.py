"""Facts, displayed."""

from typing import Any

import pytest
import yaml

from opsconductor.cli.main import call
from opsconductor.cli.output import as_yaml

SCRIPT = "echo one\necho two\n"
LONG = "find / -type f " + "-name x -o " * 30 + "-name y"


@pytest.mark.parametrize("data", [{"run": SCRIPT}, {"run": LONG}, {"a": ["yes", "1", "~", "", "x: y", " \n"]}])
def test_yaml_says_the_same(data: Any) -> None:
    assert yaml.safe_load(as_yaml(data)) == data


def test_scripts_look_as_they_were_written() -> None:
    assert as_yaml({"run": SCRIPT}) == "run: |\n  echo one\n  echo two\n"
    assert as_yaml({"run": LONG}) == f"run: {LONG}\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["explain", "jbo"], 1, "did you mean Job?"),
        (["explain", "job.spec.stepz"], 1, "did you mean Job.spec.steps?"),
        (["explain", "job.spec.zzzzzz"], 1, "opsconductor explain Job.spec"),
        (["explain", "zebra"], 1, "or a kind: Project, Job"),
        (["get"], 2, "see 'opsconductor get --help'"),
        (["frobnicate"], 2, "see 'opsconductor --help'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_next_step(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(words) == code
    assert said in capsys.readouterr().err
