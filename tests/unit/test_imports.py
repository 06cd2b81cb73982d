"""Samples of other tools' files: what an import makes of each, whole, and that doing it again changes nothing."""

from pathlib import Path

import pytest

from engine.canonical import canonical
from opsconductor.checking.validation import validate_paths
from tests.import_cases import CASES, afresh, cases, imported, laid_out, parsed, written

TOOLS = sorted(folder.name for folder in CASES.iterdir())
SAMPLES = [path for tool in TOOLS for path in cases(tool)]


@pytest.mark.parametrize("tool", TOOLS)
def test_there_are_samples_of_each_tool(tool: str) -> None:
    assert len(cases(tool)) >= 20


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_sample_is_carried_as_it_was_reviewed(path: Path, tmp_path: Path) -> None:
    """`python -m tests.import_cases FILE` writes the sample anew."""
    tool, case = path.parent.name, parsed(path.read_text())
    now = afresh(tool, case, tmp_path)
    assert now.text() == path.read_text()
    checkout = tmp_path / "checkout"
    assert [one for one in validate_paths(checkout).findings if one.severity == "error"] == []
    for name in now.outputs:
        assert canonical((checkout / name).read_bytes()) == (checkout / name).read_bytes()
    before = written(checkout)
    again = imported(tool, case, tmp_path)
    assert (written(checkout), again) == (before, (now.said, now.code))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_line_that_was_not_carried_is_one_of_the_input(path: Path, tmp_path: Path) -> None:
    """A place is `file:line` of what was read, so that an editor finds it."""
    case = parsed(path.read_text())
    laid_out(case, tmp_path)
    said = [line for line in case.said.splitlines() if ": not carried: " in line or ": note: " in line]
    for line in said:
        file, number = line.split(": ")[0].rsplit(":", 1)
        assert 1 <= int(number) <= (tmp_path / file).read_text().count("\n") + 1
    assert (case.code == 0) == (": not carried: " not in case.said and ": left as it is: " not in case.said)
