"""An editor that found our schema by the modeline says what `validate` says, while one types."""

import json
import re
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from opsconductor.authoring import editors
from opsconductor.authoring.checkout import names_in
from opsconductor.checking.validation import validate_paths
from schemas.named import with_names
from schemas.publish import schema
from tests.language_server import LanguageServer, language_server

pytestmark = pytest.mark.slow

CASES = Path(__file__).resolve().parents[1] / "cases"
TABLE: list[dict[str, Any]] = yaml.safe_load((CASES / "editor.yaml").read_text())
DOCUMENTS = sorted((CASES / "documents").rglob("*.yaml"))
BEYOND = "# Beyond what JSON Schema says."
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: x}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `init` writes, without its documents."""
    for path, text in {**editors.settings(), "opsconductor.yaml": PROJECT}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "definitions").mkdir()
    return tmp_path


@pytest.fixture
def editor(folder: Path) -> Iterator[LanguageServer]:
    with language_server(folder) as server:
        yield server


def lines_of(editor: LanguageServer, file: Path) -> list[int]:
    """Where the editor underlines something; the modeline above a document makes its lines one more, LSP's one less."""
    return sorted(finding["range"]["start"]["line"] for finding in editor.findings(file))


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / "definitions" / f"{name}.yaml"
    file.write_text(editors.modeline(f"definitions/{file.name}") + text)
    return file


def test_editor_and_validator_agree_on_the_first_line_at_fault(folder: Path, editor: LanguageServer) -> None:
    expected = {case["case"]: case.get("line") for case in TABLE}
    theirs, ours = {}, {}
    for case in TABLE:
        file = written(folder, case["case"].replace(" ", "-"), case["document"])
        found = [finding.span.line - 1 for finding in validate_paths(folder).findings if file.name in finding.span.file]
        ours[case["case"]] = min(found, default=None)
        theirs[case["case"]] = min(lines_of(editor, file), default=None)
        file.unlink()

    assert ours == expected
    assert theirs == expected
    assert sum(line is None for line in expected.values()) >= 5 and len(expected) >= 25


def test_the_editor_underlines_nothing_that_is_well_formed(folder: Path, editor: LanguageServer) -> None:
    """In all documents of the tests that have no finding about YAML (1xx) or shape (2xx).

    Nor about inputs (406), crons (503), host keys (601) and secret files (608), of which it knows something too.
    """
    strict = {}
    for number, case in enumerate(DOCUMENTS):
        text = case.read_text()
        if not re.search(r"^#= .* OC([12]|406|503|601|608)", text, re.MULTILINE):
            # An empty document is nothing to us; an editor with any schema asks for one.
            text = re.sub(r"^---\n(#.*\n)*(?=---|\Z)", "", text, flags=re.MULTILINE)
            findings = editor.findings(written(folder, f"case-{number}", text))
            if findings:
                strict[str(case)] = [(found["range"]["start"]["line"], found["message"]) for found in findings]

    assert strict == {}


def test_the_editor_underlines_what_is_malformed(folder: Path, editor: LanguageServer) -> None:
    """Every document of the tests in which we find an unknown or missing field, a wrong type, form or size.

    Those that say so in a comment are wrong in a way that JSON Schema has no words for: a day that does not exist.
    """
    missed, seen = [], 0
    for number, case in enumerate(DOCUMENTS):
        text = case.read_text()
        if re.search(r"^#= .* OC1", text, re.MULTILINE) or "hostile" in case.parts:
            continue  # what is no YAML has no documents to compare
        starts = [line for line, start in enumerate(text.split("\n"), 1) if start.startswith("---")]
        beyond = {bisect(starts, line) for line, one in enumerate(text.split("\n"), 1) if one == BEYOND}
        theirs = beyond | {bisect(starts, line) for line in lines_of(editor, written(folder, f"case-{number}", text))}
        ours = re.findall(r"^#= (\d+):\d+ OC20[34578]$", text, re.MULTILINE)
        missed += [f"{case.name}:{line}" for line in ours if bisect(starts, int(line)) not in theirs]
        seen += len(ours)

    assert missed == []
    assert seen > 50


def test_the_editor_offers_the_fields_of_a_kind(folder: Path, editor: LanguageServer) -> None:
    file = written(folder, "new", "apiVersion: opsconductor/v1\nkind: RunnerPool\nmetadata: {name: p}\nspec:\n  \n")
    editor.findings(file)

    assert {"labels", "maxRuns", "networks"} <= set(editor.completions(file, line=5, character=2))


def test_the_editor_offers_the_keywords_of_a_param_and_the_kinds_of_a_policy(
    folder: Path, editor: LanguageServer
) -> None:
    head = "apiVersion: opsconductor/v1\nkind: {}\nmetadata: {{name: p}}\nspec:\n"
    job = written(folder, "job", head.format("Job") + "  params:\n    keep:\n      \n  steps: [{uses: dummy}]\n")
    editor.findings(job)
    assert {"type", "minimum", "secret", "required"} <= set(editor.completions(job, line=7, character=6))

    typed = written(
        folder, "typed", head.format("Job") + "  params:\n    keep:\n      type: \n  steps: [{uses: dummy}]\n"
    )
    editor.findings(typed)
    assert {"integer", "string"} <= set(editor.completions(typed, line=7, character=12))

    rules = "  rules:\n    - subjects: [ana]\n      verbs: [run]\n      objects:\n        kinds:\n          - \n"
    policy = written(folder, "policy", head.format("Policy") + rules)
    editor.findings(policy)
    assert {"Job", "Schedule"} <= set(editor.completions(policy, line=10, character=12))


def test_the_editor_offers_the_names_that_the_checkout_has_and_underlines_no_other(folder: Path) -> None:
    head = "apiVersion: opsconductor/v1\nkind: {}\nmetadata: {{name: {}}}\nspec:\n"
    written(folder, "jobs", head.format("Job", "vacuum") + "  steps: [{run: 'true'}]\n")
    written(folder, "hosts", head.format("Target", "db-7") + "  connections: {local: {}}\n")
    (folder / editors.SCHEMA_FILE).write_text(json.dumps(with_names(schema(None), names_in(folder))))
    job = "  targets:\n    names:\n      - \n  steps:\n    - uses: notify\n      with: {channel: nobody, text: x}\n"
    with language_server(folder) as editor:
        schedule = written(folder, "s", head.format("Schedule", "s") + "  jobRef: \n  every: 1h\n")
        editor.findings(schedule)
        assert "vacuum" in editor.completions(schedule, line=5, character=10)
        narrowed = written(folder, "n", head.format("Job", "n") + job)
        editor.findings(narrowed)
        assert "db-7" in editor.completions(narrowed, line=7, character=8)
        other = written(folder, "o", head.format("Schedule", "o") + "  jobRef: not-there-yet\n  every: 1h\n")
        assert editor.findings(other) == []
