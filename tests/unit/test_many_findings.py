"""However much there is to say of a tree or a commit, its errors are told, and count."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pygit2
import pytest

from engine.entries import FEW_WARNINGS, MAX_FINDINGS
from engine.status.readmodel import sync_file
from engine.status.views import SyncView
from engine.status.yamltext import to_yaml
from journal.errors import Refused
from opsconductor.agents.runs import now
from opsconductor.agents.sight import Sight
from opsconductor.authoring.formatting import documents_below
from opsconductor.authoring.libraryorigin import found as library_in
from opsconductor.authoring.libraryorigin import parse
from opsconductor.checking.validation import validate_commit, validate_paths
from opsconductor.exits import UsageError
from opsconductor.report import sarif
from opsconductor.report.facts import Report
from opsconductor.repository import Repository
from opsconductor.status import StatusReader
from reconciler.judged import judged
from reconciler.repository.objects import Objects
from reconciler.sync import Sync, view
from schemas.characters import MAX_BYTES
from schemas.diagnostic import Diagnostic, foremost
from schemas.span import Span, start_of

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: ops}}\n"
TARGET = f"{HEAD}kind: Target\nmetadata: {{name: t}}\nspec: {{connections: {{local: {{}}}}}}\n"
AT = datetime(2026, 11, 21, tzinfo=UTC)
ERROR = Diagnostic(start_of("z.yaml"), "OC203", "wrong")
WARNINGS = tuple(Diagnostic(Span("a.yaml", line, 1, line, 2), "OC406", "odd", "", "warning") for line in range(1, 1001))
GIT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
GIT |= {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for below in ("a", "z"):
        (tmp_path / "definitions" / below).mkdir(parents=True)
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    (tmp_path / "definitions" / "t.yaml").write_text(TARGET)
    return tmp_path


def committed(folder: Path) -> str:
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, env=GIT)
    asked = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(asked, check=True, env=GIT, capture_output=True, text=True).stdout.strip()


def both(folder: Path) -> Report:
    """The same of the folder and of the commit of it."""
    on_disk, in_commit = validate_paths(folder), validate_commit(folder / ".git", committed(folder))
    assert on_disk.findings == in_commit.findings
    assert (on_disk.compiled.catalog is None) == (in_commit.compiled.catalog is None)
    return on_disk


def errors(report: Report) -> list[tuple[str, str]]:
    return [(one.span.file, one.code) for one in report.findings if one.severity == "error"]


def other_endings(folder: Path) -> None:
    for number in range(MAX_FINDINGS):
        (folder / "definitions" / "a" / f"{number:04}.yml").touch()


def links(folder: Path) -> None:
    for number in range(MAX_FINDINGS):
        (folder / "definitions" / "a" / f"{number:04}").symlink_to("elsewhere")


@pytest.mark.parametrize(("what", "code"), [(other_endings, "OC127"), (links, "OC121")])
def test_no_error_of_a_tree_hides_behind_warnings(what: Callable[[Path], None], code: str, folder: Path) -> None:
    """A commit without what could not be read would say that all of it was removed."""
    what(folder)
    (folder / "definitions" / "z" / "big.yaml").write_text("#" * (MAX_BYTES + 1))
    (folder / "definitions" / "z" / "link.yaml").symlink_to("../t.yaml")

    report = both(folder)

    assert errors(report) == [("definitions/z/big.yaml", "OC116"), ("definitions/z/link.yaml", "OC121")]
    assert report.compiled.catalog is None
    [many] = [one for one in report.findings if one.severity == "warning"]
    assert (many.code, many.span.file.rpartition("/")[0]) == (code, "definitions/a")
    assert many.message.endswith("; so it is with 999 more")
    assert [one.span.file.rpartition("/")[2][:4] for one in many.related] == [f"{n:04}" for n in range(1, 11)]


def test_a_few_warnings_are_told_each_at_its_place(folder: Path) -> None:
    for number in range(FEW_WARNINGS):
        (folder / "definitions" / "a" / f"{number:04}.yml").touch()

    report = both(folder)

    assert [one.span.file for one in report.findings] == [
        f"definitions/a/{number:04}.yml" for number in range(FEW_WARNINGS)
    ]
    assert report.compiled.catalog is not None


def test_an_error_more_than_are_told_is_counted(folder: Path) -> None:
    for number in range(MAX_FINDINGS + 17):
        (folder / "definitions" / "a" / f"{number:04}.yaml").symlink_to("elsewhere")

    report = both(folder)

    assert len(errors(report)) == MAX_FINDINGS + 1
    [last] = [one for one in report.findings if one.code == "OC122"]
    assert (last.span, last.severity) == (start_of("opsconductor.yaml"), "error")
    assert last.message == "the tree has 17 more errors than the 1,000 that are told"


def test_a_library_of_which_not_all_is_told_is_not_brought(tmp_path: Path) -> None:
    for folder in ("aaa", "mine"):
        (tmp_path / folder / "steps").mkdir(parents=True)
    (tmp_path / "mine" / "library.yaml").touch()
    (tmp_path / "mine" / "steps" / "a.yaml").symlink_to("elsewhere")
    for number in range(MAX_FINDINGS):
        (tmp_path / "aaa" / "steps" / f"{number:04}.yaml").symlink_to("elsewhere")

    with pytest.raises(Refused, match="1 more errors"):
        library_in(parse(str(tmp_path)), "mine")


def test_a_warning_keeps_nobody_from_formatting(folder: Path) -> None:
    (folder / "definitions" / "a.yml").touch()
    assert [path.name for path, _ in documents_below(folder)] == ["t.yaml", "opsconductor.yaml"]
    (folder / "definitions" / "b.yaml").symlink_to("t.yaml")
    with pytest.raises(UsageError, match="symbolic link"):
        list(documents_below(folder))


def test_where_not_all_is_shown_no_warning_takes_the_place_of_an_error() -> None:
    findings = (WARNINGS[0], ERROR, *WARNINGS[1:])

    assert foremost((*WARNINGS, ERROR), 3) == (*WARNINGS[:2], ERROR)
    assert foremost(findings, 2) == findings[:2]
    assert foremost(findings, len(findings)) == findings
    assert foremost((ERROR, *WARNINGS, replace(ERROR, code="OC204")), 1) == (ERROR,)


def test_how_the_definitions_stand_shows_the_error() -> None:
    shown = view(Sync(findings=(*WARNINGS, ERROR), rejected=True), None, AT).findings
    assert shown == (*WARNINGS[:49], ERROR)
    written = sync_file(SyncView(findings=(*WARNINGS, ERROR)))
    assert [one["code"] for one in written["status"]["findings"]] == ["OC406"] * 49 + ["OC203"]


def test_what_came_of_a_commit_shows_the_error(folder: Path) -> None:
    commit = committed(folder)
    found = judged(Objects(folder / ".git"), commit, "rejected", AT, findings=(*WARNINGS, ERROR))
    detail: dict[str, Any] = dict(found.detail)
    assert [one["code"] for one in detail["findings"]] == ["OC406"] * 49 + ["OC203"]
    assert (detail["errors"], detail["warnings"]) == (1, 1000)


def test_a_sarif_file_that_cannot_hold_all_holds_the_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 5)
    report = validate_paths(folder)
    many = Report(replace(report.compiled, findings=(*WARNINGS, ERROR)))

    [run] = json.loads(sarif.show(many))["runs"]

    assert [one["ruleId"] for one in run["results"]] == ["OC406"] * 4 + ["OC203"]


class Looking(Sight):
    """At how the definitions stand, from a folder of their status."""

    def status(self) -> StatusReader:
        return StatusReader(self.git_dir, str(pygit2.Repository(str(self.git_dir)).head.target))


def test_agents_are_shown_the_error(folder: Path) -> None:
    (folder / "sync.yaml").write_text(to_yaml(sync_file(SyncView(findings=(*WARNINGS, ERROR)))))
    committed(folder)
    sight = Looking(Repository.open(str(folder), remote="."), "main", True, folder)

    shown = now(sight, {}).facts["findings"]

    assert [one["code"] for one in shown] == ["OC203"] + ["OC406"] * 19
