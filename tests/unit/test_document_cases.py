"""Documents in `tests/cases/documents`, and the findings that each line of them gives.

A case begins with one comment a finding, `#= line:column code`, in the order of the report; a case without any is
right. Cases stand beside the sample `hello`.
"""

import re
from pathlib import Path

import pytest

from engine.compile import Compiled, compile_files
from schemas.reader import read

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "documents"
SAMPLE = ROOT / "definitions" / "hello"
_EXPECTED = re.compile(r"^#= (\d+:\d+ OC\d{3})$", re.MULTILINE)


def compiled(text: str) -> Compiled:
    files = {path.relative_to(SAMPLE).as_posix(): path.read_bytes() for path in SAMPLE.rglob("*.yaml")}
    return compile_files("c0ffee", [read(data, file) for file, data in {**files, "case.yaml": text.encode()}.items()])


@pytest.mark.parametrize("case", sorted(CASES.rglob("*.yaml")), ids=lambda case: str(case.relative_to(CASES)))
def test_a_case_gives_the_findings_it_names(case: Path) -> None:
    text = case.read_text()

    found = compiled(text).findings

    assert [f"{f.span.line}:{f.span.column} {f.code}" for f in found] == _EXPECTED.findall(text), "\n".join(
        f"{f.span}: {f.code} {f.message}" for f in found
    )
    assert {f.span.file for f in found} <= {"case.yaml"}


@pytest.mark.parametrize("case", sorted(CASES.rglob("*.yaml")), ids=lambda case: str(case.relative_to(CASES)))
def test_a_finding_ends_after_it_begins_and_says_something_plain(case: Path) -> None:
    jargon = re.compile(
        r"pydantic|validator|_type|spec\.\w+\.\d|Input should|valid (string|dictionary)|NoneType|\bdict\b"
    )
    for finding in compiled(case.read_text()).findings:
        assert (finding.span.line, finding.span.column) < (finding.span.end_line, finding.span.end_column), finding
        assert finding.message and not jargon.search(finding.message + finding.hint), finding
        assert not finding.message.endswith("."), finding
