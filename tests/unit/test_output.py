"""Facts, displayed."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.authoring.writtenyaml import as_yaml
from opsconductor.cli.main import call
from schemas.act import RunRequest
from schemas.reader import read

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
        (["explain", "203"], 1, "did you mean OC203?"),
        (["explain", "007"], 1, "try a code such as OC201"),
        (["explain", "1.2"], 1, "try a code such as OC201"),
        (["explain", ""], 1, "try a code such as OC201"),
        (["explain", "zebra"], 1, "or a kind: Project, Job"),
        (["next", "--from", "0001-01-01T00:00:00Z"], 2, "schedules are due in the years 20 to 9979 only"),
        (["next", "--from", "9999-12-31T23:59:59Z"], 2, "schedules are due in the years 20 to 9979 only"),
        (["plan", "--base", "HEAD", "--from", "0001-01-01T00:00:00Z"], 2, "in the years 20 to 9979 only"),
        (["get"], 2, "see 'opsconductor get --help'"),
        (["frobnicate"], 2, "see 'opsconductor --help'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_next_step(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(words) == code
    assert said in capsys.readouterr().err


@settings(deadline=None)
@given(
    st.one_of(
        st.text(alphabet="0123456789+-.eExXoObfF_:~nulltrueyes ", max_size=9),
        st.sampled_from(
            ["08", "0o17", "0x1F", "1_000", "1e3", "+.5", "010", "1:30", "2026-11-21", ".inf", "null", "~"]
        ),
    )
)
def test_text_stays_text_for_a_reader_of_today(text: str) -> None:
    """As `requests/<name>.yaml` and `-o yaml` are read: by YAML 1.2."""
    head = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: a}\nspec:\n"
    spec = as_yaml({"jobRef": "a", "params": {"value": text}})
    read_ = read((head + "".join(f"  {line}\n" for line in spec.splitlines())).encode(), "request.yaml")
    assert read_.findings == ()
    (request,) = [one.document for one in read_.documents]
    assert isinstance(request, RunRequest)
    assert request.spec.params == {"value": text}
