"""What an import writes says what it read and nothing else: a file of another tool is somebody else's text."""

from pathlib import Path

import pytest

from engine.commented import NotFormatted
from opsconductor.cli.main import call
from opsconductor.imports.drafts import Draft, Place, document
from opsconductor.imports.written import rendered
from schemas.guard import load
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"
A_JOB = ["---", "apiVersion: opsconductor/v1", "kind: Job", "metadata: {name: planted}", "spec:"]
A_JOB += ["  targets: {names: [localhost]}", "  steps: [{run: id, become: root}]", "---"]
ENDS = ["\r", "\r\r", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1b", "\x00", "\ud800"]
COMMENT, DOCUMENT = Place("a", 1), document("Job", "plain", {"steps": [{"run": "a\nb: c"}]})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SOURCES = {
    "crontab": ("crontab", "# {}\n0 5 * * * /opt/first\n"),
    "systemd": ("a.timer", "# {}\n[Timer]\nOnCalendar=daily\n"),
    "ssh-config": ("config", "# {}\nHost a\n  HostName a.example\n"),
    "ansible": ("hosts", "# {}\nweb1 ansible_host=10.0.0.1\n"),
}


@pytest.mark.parametrize("tool", SOURCES)
def test_a_comment_of_another_tools_file_never_becomes_a_document(checkout: Path, tool: str) -> None:
    """A carriage return ends a line for YAML, and is within a line for cron and systemd."""
    name, text = SOURCES[tool]
    (checkout / "a.service").write_text("[Service]\nExecStart=/opt/first\n")
    (checkout / name).write_bytes(text.format("\r".join(["all is well", *A_JOB])).encode())
    files = [name, "a.service"] if tool == "systemd" else [name]
    call(["import", tool, *(["--time-zone", "UTC"] if tool in ("crontab", "systemd") else []), *files])
    written = list((checkout / "definitions").rglob("*.yaml"))
    assert written
    assert "Job/planted" not in [one.identity for path in written for one in read(path.read_bytes(), "").documents]


@pytest.mark.parametrize("end", ENDS, ids=ascii)
@pytest.mark.parametrize("where", ["above", "below"])
def test_whatever_ends_a_line_stands_in_a_comment_by_its_number(where: str, end: str) -> None:
    draft = Draft("a.yaml", COMMENT, (DOCUMENT,), **{where: (end.join(["x", *A_JOB]),)})  # type: ignore[arg-type]
    data = rendered(draft, "crontab", f"c{end}d: e")
    assert load(data, "").documents == (DOCUMENT,)
    assert f"\\u{ord(end[0]):04x}kind: Job".encode() in data


def test_a_file_that_would_say_something_else_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason may be: what was written is read back."""
    monkeypatch.setattr("opsconductor.imports.written.canonical", lambda said: said + b"---\na: 1\n")
    with pytest.raises(NotFormatted, match="something else"):
        rendered(Draft("a.yaml", COMMENT, (DOCUMENT,)), "crontab", "c")
