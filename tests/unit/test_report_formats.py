"""Findings for CI: every format says the same, in one order, and nothing that others wrote can break out of it."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compile import Compiled
from opsconductor.checking.validation import validate_paths
from opsconductor.cli.main import call
from opsconductor.report import FORMATS, Report, finding_as_data, sarif, shown
from opsconductor.report.fingerprints import fingerprints
from opsconductor.report.github import SHOWN
from schemas.diagnostic import Diagnostic, Related, Severity
from schemas.span import Span
from tests.document_cases import Case, cases

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"

HOSTILE = [
    "line\n::error file=x::injected",
    "\r\n::add-mask::e",
    "##[set-env name=PATH]/evil",
    "  ::warning::x",
    "%0A::error::x%25",
    "a,line=1:b",
    "]]><failure/><![CDATA[",
    "</failure>&<script>alert(1)</script>&#0;",
    "\x00\x07\x1b[2J\x1b]0;title\x07\x85\u2028\u2029",
    "\ud800 \uffff \ufffe \U0010ffff",
    "\u202eright to left\u2066",
    '"},{"description":"x',
    "[click](https://evil.example) {0} [x](1)",
    "::stop-commands::x\n::x::",
    "é한😀",
    "x" * 20_000,
]


def found(
    message: str = "m", *, file: str = "definitions/a.yaml", line: int = 1, end_line: int | None = None, hint: str = "",
    severity: Severity = "error", code: str = "OC203", related: tuple[Related, ...] = (),
) -> Diagnostic:  # fmt: skip
    return Diagnostic(Span(file, line, 2, end_line or line, 5), code, message, hint, severity, related)


def report(*findings: Diagnostic, **sources: bytes) -> Report:
    return Report(Compiled(None, (), findings, 1), {f"{name}.yaml": data for name, data in sources.items()})


def everywhere(text: str) -> Report:
    """A report in which the text stands wherever somebody else's text may stand."""
    related = (Related(Span(f"{text}.yaml", 1, 1, 1, 2), text),)
    findings = (found(text, file=f"definitions/{text}.yaml", hint=text, related=related), found(text, file=text))
    return Report(Compiled(None, (), findings, 1), {text: text.encode(errors="replace")})


# --- GitHub -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """What the runner understands of one line."""

    name: str
    properties: dict[str, str]
    data: str


def obeyed(output: str) -> list[Command]:
    """The commands that the runner of GitHub Actions would find, by its rules: `::name k=v,k=v::data` at the start of
    a line (white space aside), `##[name k=v;k=v]data` anywhere in one, nothing between stop-commands and its token."""
    commands, token = [], None
    for line in re.split(r"\r\n|\r|\n", output):
        match = re.match(r"\s*::(?P<name>[^\s:]+)(?: (?P<properties>.*?))?::(?P<data>.*)$", line) or re.search(
            r"##\[(?P<name>[^\s\]]+)(?: (?P<properties>[^\]]*))?\](?P<data>.*)$", line
        )
        if token is not None:
            token = None if match and match["name"] == token else token
        elif match and match["name"] == "stop-commands":
            token = match["data"]
        elif match:
            pairs = (pair.partition("=") for pair in (match["properties"] or "").split(",") if pair)
            commands.append(
                Command(match["name"], {key: unescaped(value) for key, _, value in pairs}, unescaped(match["data"]))
            )
    assert token is None
    return commands


def unescaped(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_a_command_has_its_place_and_its_words() -> None:
    [command] = obeyed(shown(report(found("50% off, now: yes", hint="try 60%", line=7)), "github", "infra"))

    assert command == Command(
        "error",
        {"file": "infra/definitions/a.yaml", "line": "7", "endLine": "7", "col": "2", "endColumn": "5",
         "title": "OC203: An unknown field"},
        "50% off, now: yes\nhint: try 60%",
    )  # fmt: skip


def test_severities_and_columns() -> None:
    """Over several lines GitHub takes no columns."""
    commands = obeyed(shown(report(found(severity="warning"), found(end_line=3)), "github"))

    assert [command.name for command in commands] == ["warning", "error"]
    assert [sorted(command.properties) for command in commands] == [
        ["col", "endColumn", "endLine", "file", "line", "title"],
        ["endLine", "file", "line", "title"],
    ]


def test_what_github_would_drop_is_in_the_log() -> None:
    findings = [found(f"e{n}", line=n) for n in range(1, 31)]
    findings += [found(f"w{n}", line=n, severity="warning") for n in range(1, 31)]

    output = shown(report(*findings), "github")

    assert [command.data for command in obeyed(output)] == [f"{kind}{n}" for kind in "ew" for n in range(1, SHOWN + 1)]
    assert all(finding.message in output for finding in findings)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_no_text_becomes_a_command(text: str) -> None:
    commands = obeyed(shown(everywhere(text), "github"))

    assert [command.name for command in commands] == ["error", "error"]
    assert all(
        set(command.properties) <= {"file", "line", "endLine", "col", "endColumn", "title"} for command in commands
    )


# --- GitLab -----------------------------------------------------------------------------------------------------------


def test_code_quality_has_what_gitlab_asks_for() -> None:
    data = json.loads(shown(report(found(line=4), found(severity="warning"), found(code="OC605")), "gitlab", "infra"))

    assert [entry["severity"] for entry in data] == ["major", "minor", "critical"]
    assert data[0].keys() == {"description", "check_name", "fingerprint", "severity", "location"}
    assert data[0]["location"] == {"path": "infra/definitions/a.yaml", "lines": {"begin": 4, "end": 4}}
    assert all(re.fullmatch("[0-9a-f]{64}", entry["fingerprint"]) for entry in data)


TWO = f"{HEAD}kind: Job\nmetadata: {{name: one}}\nspce: 1\n---\n{HEAD}kind: Job\nmetadata:\n  name: two\nspce: 1\n"


def names_of(folder: Path, text: str) -> list[str]:
    (folder / "definitions").mkdir(exist_ok=True)
    (folder / "opsconductor.yaml").write_text(PROJECT)
    (folder / "definitions" / "a.yaml").write_text(text)
    checked = validate_paths(folder)
    names = fingerprints(checked)
    assert len(set(names)) == len(names) == len(checked.findings) > 0
    return [name for name, finding in zip(names, checked.findings, strict=True) if finding.code == "OC203"]


def test_fingerprints_outlive_lines_above_and_repairs_elsewhere(tmp_path: Path) -> None:
    one, two = names_of(tmp_path, TWO)

    assert names_of(tmp_path, "# a\n\n# b\n" + TWO.replace("metadata:\n", "# c\nmetadata:\n")) == [one, two]
    assert names_of(tmp_path, TWO.replace("spce: 1\n---", "spec: {}\n---")) == [two]


def test_fingerprints_of_every_kind_of_finding_outlive_lines_above() -> None:
    """Whatever a message says of another place of the file: that one moves as well."""

    def named(case: Case) -> set[str]:
        return set(fingerprints(Report(case.compiled(), {case.file: case.data})))

    small = [case for case in cases() if len(case.data) < 20_000 and not case.name.startswith("hostile/")]
    moved = {case: replace(case, data=b"# above\n# the first line\n" + case.data) for case in small}
    assert [case.name for case, lower in moved.items() if named(case) != named(lower)] == []


def test_the_summary_says_where_nobody_looked_further(tmp_path: Path) -> None:
    """A file with very many errors is not told in full, and nobody may take the list for complete."""
    lines = "".join(f"zz{number}: 1\n" for number in range(150))
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    (tmp_path / "definitions" / "a.yaml").write_text(
        f"{HEAD}kind: Job\nmetadata: {{name: a}}\nspec: {{steps: [{{uses: dummy}}]}}\n{lines}"
    )
    checked = validate_paths(tmp_path)
    assert len(checked.findings) == 100
    assert "there may be more in definitions/a.yaml: after 100 errors" in shown(checked, "text")
    few = report(found())
    assert "there may be more" not in shown(few, "text")
    assert json.loads(shown(checked, "json"))["truncated"] == ["definitions/a.yaml"]
    assert json.loads(shown(few, "json"))["truncated"] == []
    said = "there may be more in definitions/a.yaml"
    (run,) = json.loads(shown(checked, "sarif"))["runs"]
    assert said in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    for form in ("github", "junit"):
        assert said in shown(checked, form) and said not in shown(few, form)


def test_equal_findings_have_different_fingerprints() -> None:
    names = fingerprints(report(*(found(line=line) for line in (3, 1, 2))))

    assert len(set(names)) == 3
    assert names == fingerprints(report(*(found(line=line) for line in (13, 11, 12))))
    assert names[0] != fingerprints(report(found()), "infra")[0]


def test_a_line_that_a_message_names_does_not_count() -> None:
    messages = [f"'a' is given twice; the first is at line {line}, column 3" for line in (4, 9)]

    assert len({fingerprints(report(found(message)))[0] for message in messages}) == 1


# --- SARIF (the official schema is asked by a slow test) --------------------------------------------------------------


def test_sarif_names_rules_places_and_fingerprints() -> None:
    related = (Related(Span("b.yaml", 1, 1, 1, 2), "the first"),)
    findings = (
        found("한 wrong", file="definitions/a b:c.yaml", related=related),
        found(code="OC101", severity="warning"),
    )

    log = json.loads(shown(report(*findings), "sarif"))
    [run] = log["runs"]
    first, second = run["results"]
    rules = run["tool"]["driver"]["rules"]

    assert log["version"] == "2.1.0"
    assert run["columnKind"] == "unicodeCodePoints"
    assert [rules[result["ruleIndex"]]["id"] for result in (first, second)] == ["OC203", "OC101"]
    assert all(rule["help"]["markdown"].startswith(f"# {rule['id']}: ") for rule in rules)
    assert rules[1]["name"] == "UnknownField"
    assert [first["level"], second["level"]] == ["error", "warning"]
    assert first["message"]["text"] == "한 wrong"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "definitions/a%20b%3Ac.yaml"
    assert place["region"] == {"startLine": 1, "startColumn": 2, "endLine": 1, "endColumn": 5}
    assert first["relatedLocations"][0]["message"]["text"] == "the first"
    assert first["partialFingerprints"] == {"opsconductorFinding/v1": fingerprints(report(*findings))[0]}


def test_sarif_stays_within_what_github_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 5)

    [run] = json.loads(shown(report(*(found(line=line) for line in range(1, 16))), "sarif"))["runs"]

    assert len(run["results"]) == 5
    assert "10 more findings" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_a_document_puts_no_link_into_a_report() -> None:
    [run] = json.loads(shown(report(found("[click](https://evil.example)")), "sarif"))["runs"]

    assert run["results"][0]["message"]["text"] == r"\[click\](https://evil.example)"


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_finding(tmp_path: Path) -> None:
    names_of(tmp_path, TWO)

    root = Xml.fromstring(shown(validate_paths(tmp_path), "junit", "infra"))

    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["infra/definitions/a.yaml", "infra/opsconductor.yaml"]
    assert [len(suites["infra/opsconductor.yaml"]), root.get("failures")] == [
        1,
        suites["infra/definitions/a.yaml"].get("failures"),
    ]
    cases = [case.get("name") for case in suites["infra/definitions/a.yaml"]]
    assert len(set(cases)) == len(cases)
    assert "definitions/a.yaml:4:1: OC203" in (suites["infra/definitions/a.yaml"].findtext("testcase/failure") or "")


def test_a_warning_is_a_case_that_passes() -> None:
    root = Xml.fromstring(shown(report(found("careful", severity="warning")), "junit"))

    assert root.find(".//failure") is None
    assert root.get("failures") == "0"
    assert "careful" in (root.findtext(".//system-out") or "")


# --- all of them ------------------------------------------------------------------------------------------------------


def messages(output: str, form: str) -> list[str]:
    """The first lines of the messages in an output, in its order."""
    match form:
        case "text":
            return [line.split(" ", 2)[2] for line in output.splitlines() if re.match(r"\S+:\d+:\d+: ", line)]
        case "json":
            return [finding["message"] for finding in json.loads(output)["findings"]]
        case "github":
            return [command.data.partition("\n")[0] for command in obeyed(output)]
        case "gitlab":
            return [entry["description"].partition("\n")[0] for entry in json.loads(output)]
        case "sarif":
            [run] = json.loads(output)["runs"]
            return [result["message"]["text"].partition("\n")[0] for result in run["results"]]
        case _:
            return [failure.get("message", "") for failure in Xml.fromstring(output).iter("failure")]


@pytest.mark.parametrize("form", FORMATS)
def test_the_order_is_the_same_in_all(form: str) -> None:
    checked = report(
        *(found(f"{file}{line}", file=file, line=line) for file in ("a.yaml", "b.yaml") for line in (2, 9))
    )

    assert messages(shown(checked, form), form) == ["a.yaml2", "a.yaml9", "b.yaml2", "b.yaml9"]


def check_hostile(text: str) -> None:
    checked = everywhere(text)
    for form in ("gitlab", "sarif", "json"):
        output = shown(checked, form)
        output.encode()
        count = {
            "gitlab": len,
            "sarif": lambda data: len(data["runs"][0]["results"]),
            "json": lambda data: len(data["findings"]),
        }
        assert count[form](json.loads(output)) == 2
    root = Xml.fromstring(shown(checked, "junit").encode())
    assert [node.tag for node in root.iter() if node.tag not in ("testsuites", "testsuite")] == [
        "testcase",
        "failure",
    ] * 2
    assert {finding_as_data(found)["message"] for found in checked.findings}
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]", shown(checked, "text") + shown(checked, "github")
    )


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_text_breaks_no_format(text: str) -> None:
    check_hostile(text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_breaks_no_format(text: str) -> None:
    check_hostile(text)
    assert [command.name for command in obeyed(shown(everywhere(text), "github"))] == ["error", "error"]


def test_the_command_knows_all_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths are told from the root of the checkout; warnings alone are no failure."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "infra"
    folder.mkdir()
    names_of(folder, TWO)

    for form in FORMATS:
        assert call(["validate", str(folder), "--format", form]) == 1
        assert ("infra/definitions/a.yaml" in capsys.readouterr().out) == (form not in ("text", "json"))
    assert call(["validate", str(folder), "--format", "xml"]) == 2
    assert "github, gitlab, sarif, junit" in capsys.readouterr().err


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    group = f"{HEAD}kind: TargetGroup\nmetadata: {{name: g}}\nspec: {{selector: {{matchLabels: {{a: b}}}}}}\n"
    (tmp_path / "definitions" / "g.yaml").write_text(group)

    for form in FORMATS:
        assert call(["validate", str(tmp_path), "--format", form]) == 0
        assert "OC307" in capsys.readouterr().out
