"""The part of a log that an agent is shown."""

from pathlib import Path
from typing import Any

import pytest

from opsconductor.agents.logs import part_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "steps.rotate.1.log"


@pytest.mark.parametrize(
    ("text", "asked", "lines", "more"),
    [
        ("один\nдва\nтри\n", {}, ["один", "два", "три"], False),
        ("один\nдва\nтри\n", {"lines": 2}, ["два", "три"], True),
        ("one\r\ntwo\r\n", {}, ["one", "two"], False),
        ("no end", {}, ["no end"], False),
        ("", {}, [], False),
        ("a\nb\nc\n", {"fromLine": 2}, ["2: b", "3: c"], False),
    ],
)
def test_whether_there_is_more_is_told_by_lines(
    log: Path, text: str, asked: dict[str, Any], lines: list[str], more: bool
) -> None:
    log.write_text(text, newline="")
    found = part_of(log, asked)
    assert (found["lines"], found["more"]) == (lines, more)


def test_a_text_is_found_however_far_into_its_line_it_stands(log: Path) -> None:
    """As in the one line of a program that logs JSON."""
    log.write_text("quiet\n" + "x" * 5000 + " ERROR disk full " + "y" * 5000 + "\n")
    (line,) = part_of(log, {"contains": "ERROR disk full"})["lines"]
    assert line.startswith("2: (4801 characters …) xxx") and " ERROR disk full y" in line
    assert line.endswith("… (4216 more characters)")
    assert part_of(log, {"contains": "nowhere"})["lines"] == []
