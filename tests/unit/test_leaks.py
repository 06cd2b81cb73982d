"""Secrets in plain text. What is found and what is not stands in tests/cases/documents; here is what finding costs."""

from time import process_time

import pytest

from engine.compile import compile_files
from engine.leaks import shown
from opsconductor.report import Report
from opsconductor.report import shown as written
from schemas.reader import read
from tests.document_cases import CASES, cases_in

HOSTILE = {
    "starts of tokens": "eyJ",
    "halves of tokens": "eyJaaaaaaaaaaaa.",
    "starts of keys": "-----BEGIN A PRIVATE ",
    "addresses": "://a:b",
    "colons": "a:",
    "flags of curl": "curl -u a:b -u ",
    "flags of mysql": " mysql -pa1",
    "assignments": 'token="',
    "headers": "authorization: bearer ",
    "words before keys": "api_key private-",
    "lines for chpasswd": "echo a:b1 chpasswd<<E\n",
    "words for sudo": "echo abcd sudo -x ",
}


def _seconds(text: str) -> float:
    data = text.encode()
    best = 1e9
    for turn in range(3):
        began = process_time()
        shown(data + b" " * turn)
        best = min(best, process_time() - began)
    return best


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_size_only(text: str) -> None:
    """Four times the text takes some four times as long; what goes back and forth would take sixteen times."""
    few = 60_000 // len(text)
    assert _seconds(text * few * 4) < 9 * _seconds(text * few) + 0.01


def test_no_report_repeats_a_secret() -> None:
    """Not in a message or hint, and not in the line that a report for people shows."""
    (case,) = cases_in(CASES / "security" / "plain-secrets.yaml")
    text = written(Report(case.compiled(), {case.file: case.data}), "text", "x")
    for secret in ("hunter2", "AKIAQ", "ghp_q7", "glpat-Zk", "7c9e6679", "Tr0ub", "eyJ", "changeme", "wJalr"):
        assert secret in case.data.decode()
        assert secret not in text


def test_a_secret_in_a_request_is_no_finding_of_the_definition_after_it() -> None:
    """What is wrong with a request rejects the request, and never the commit."""
    head = "apiVersion: opsconductor/v1\nkind: "
    leak = "-----BEGIN OPENSSH PRIVATE KEY-----"
    request = f"{head}RunRequest\nmetadata: {{name: r}}\nspec:\n  jobRef: j\n  reason: {leak}\n"
    job = f"{head}Job\nmetadata: {{name: j}}\nspec: {{steps: [{{uses: dummy}}]}}\n"

    project = read(f"{head}Project\nmetadata: {{name: p}}\nspec: {{}}\n".encode(), "opsconductor.yaml")

    def codes(*documents: str) -> tuple[list[str], bool]:
        compiled = compile_files("c", [project, read("---\n".join(documents).encode(), "a.yaml")])
        return [one.code for one in compiled.findings if one.severity == "error"], compiled.catalog is not None

    assert codes(request, job) == (["OC605"], True)
    assert codes(job, request) == (["OC605"], True)
    assert codes(job.replace("metadata:", f"# {leak}\nmetadata:"), request) == (["OC605", "OC605"], False)
