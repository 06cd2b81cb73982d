"""Findings in what is on disk, and how they are shown."""

import gc
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from engine.entries import MAX_FOLDERS, MAX_TOTAL
from opsconductor.checking import cores
from opsconductor.checking.validation import ALONE, validate_changed, validate_commit, validate_paths
from opsconductor.reference import codes_page, explain_code, explain_kind, kinds_page, nearest_field
from opsconductor.report import as_json, as_text
from schemas.characters import MAX_BYTES
from schemas.codes import CODES
from schemas.kinds import MODELS
from schemas.publish import schema

ROOT = Path(__file__).resolve().parents[2]
GIT_ENV = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
POOL = f"{HEAD}kind: RunnerPool\nmetadata: {{name: p}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    (tmp_path / "definitions" / "p.yaml").write_text(POOL)
    return tmp_path


def found(folder: Path) -> list[str]:
    return [f"{finding.span} {finding.code}" for finding in validate_paths(folder).findings]


def test_the_sample_is_clean() -> None:
    report = validate_paths(ROOT / "definitions" / "hello")

    assert report.findings == ()
    assert as_text(report) == f"{report.documents} documents, no findings"


def test_only_what_is_included_is_looked_at(folder: Path) -> None:
    (folder / "chart.yaml").write_text("a: [")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "x.yaml").symlink_to("/dev/zero")
    (folder / "definitions" / "notes.txt").write_text("\0")

    assert found(folder) == []
    assert validate_paths(folder).documents == 2


def test_a_project_at_fault_says_what_is_included_all_the_same(folder: Path) -> None:
    """Whoever mends it would else meet the findings of those files only then."""
    (folder / "opsconductor.yaml").write_text(PROJECT + "spec: {include: ['ops/*.yaml'], interval: soon}\n")
    (folder / "ops").mkdir()
    (folder / "ops" / "bad.yaml").write_text("a: 1\n")

    found = {(finding.span.file, finding.code) for finding in validate_paths(folder).compiled.findings}

    assert found >= {("opsconductor.yaml", "OC207"), ("ops/bad.yaml", "OC210")}


def test_the_project_says_what_is_included(folder: Path) -> None:
    (folder / "opsconductor.yaml").write_text(PROJECT + "spec: {include: ['ops/*.yaml']}\n")
    (folder / "ops").mkdir()
    (folder / "ops" / "a.yaml").write_text("a: [")

    assert found(folder) == ["ops/a.yaml:1:5 OC104"]


def test_all_findings_are_shown_although_the_project_is_wrong(folder: Path) -> None:
    (folder / "opsconductor.yaml").write_text(PROJECT + "spec: {interval: 5}\n")
    (folder / "definitions" / "a.yaml").write_text("- a\n")

    assert found(folder) == ["definitions/a.yaml:1:1 OC201", "opsconductor.yaml:4:18 OC207"]


def test_a_folder_without_a_project_says_so(tmp_path: Path) -> None:
    assert found(tmp_path) == ["opsconductor.yaml:1:1 OC303"]


def test_what_is_no_regular_file_is_not_opened(folder: Path) -> None:
    definitions = folder / "definitions"
    (definitions / "away.yaml").symlink_to("/etc/passwd")
    (definitions / "broken.yaml").symlink_to("nowhere")
    (definitions / "loop").symlink_to(".")
    os.mkfifo(definitions / "pipe.yaml")
    (definitions / "folder.yaml").mkdir()

    assert found(folder) == [
        "definitions/away.yaml:1:1 OC121",
        "definitions/broken.yaml:1:1 OC121",
        "definitions/loop:1:1 OC121",
        "definitions/pipe.yaml:1:1 OC121",
    ]


@pytest.mark.parametrize(
    ("include", "severity"),
    [("definitions/**/*.yaml", "error"), ("definitions/*", "error"), ("*/**/*.yaml", "warning")],
)
def test_a_folder_of_which_nothing_is_read_is_an_error(folder: Path, include: str, severity: str) -> None:
    """Where `definitions` is a link, a repository without definitions would be taken for one that is right."""
    (folder / "opsconductor.yaml").write_text(PROJECT + f"spec: {{include: ['{include}']}}\n")
    (folder / "definitions").rename(folder / "elsewhere")
    (folder / "definitions").symlink_to("elsewhere")

    report = validate_paths(folder)

    assert [(one.span.file, one.code, one.severity) for one in report.findings if one.code == "OC121"] == [
        ("definitions", "OC121", severity)
    ]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_project_file_that_is_none(folder: Path, kind: str) -> None:
    path = folder / "opsconductor.yaml"
    path.unlink()
    {"link": lambda: path.symlink_to("/etc/passwd"), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()

    assert found(folder) == ["opsconductor.yaml:1:1 OC121"]


def test_a_file_that_is_not_read_for_its_ending_is_told(folder: Path) -> None:
    """Who has always written .yml would else wait in vain for what it holds."""
    other_endings(folder)

    report = validate_paths(folder)

    assert [(one.span.file, one.code, one.severity) for one in report.findings] == [
        (f"definitions/{name}", "OC127", "warning") for name in (".yml", "a.yml", "b.YAML")
    ]
    assert "'a.yaml'" in report.findings[1].hint


def test_an_include_of_nothing_is_told(folder: Path) -> None:
    (folder / "opsconductor.yaml").write_text(PROJECT + "spec: {include: []}\n")

    assert found(folder) == ["opsconductor.yaml:4:17 OC307"]


def test_names_that_are_not_text(folder: Path) -> None:
    os.close(os.open(os.fsencode(folder / "definitions") + b"/caf\xe9.yaml", os.O_CREAT))
    (folder / "definitions" / "a\nb.yaml").touch()

    report = validate_paths(folder)

    assert [finding.code for finding in report.findings] == ["OC124", "OC124"]
    assert as_json(report).encode()
    assert len(as_text(report).splitlines()) == 5


def test_folders_are_read_to_a_depth(folder: Path) -> None:
    deep = folder / "definitions" / "/".join("a" * (MAX_FOLDERS - 1))
    deep.mkdir(parents=True)
    (deep / "x.yaml").write_text("- a\n")
    (deep / "b").mkdir()

    assert [code.rpartition(" ")[2] for code in found(folder)] == ["OC123", "OC201"]


def test_a_large_file_is_not_read_whole(folder: Path) -> None:
    with (folder / "definitions" / "big.yaml").open("wb") as file:
        file.truncate(10 * 1024**3)  # a hole: takes no room

    assert found(folder) == ["definitions/big.yaml:1:1 OC116"]


def test_a_folder_that_cannot_be_opened(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == [".:1:1 OC125", "opsconductor.yaml:1:1 OC303"]


# --- on disk and in a commit ------------------------------------------------------------------------------------------


def git(folder: Path, *words: str | bytes) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgSign=false", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, env=GIT_ENV).stdout.decode().strip()


def committed(folder: Path) -> str:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def links(folder: Path) -> None:
    definitions = folder / "definitions"
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "a.yaml").write_text("- a\n")
    (definitions / "file.yaml").symlink_to("p.yaml")
    (definitions / "folder").symlink_to("../elsewhere")
    (definitions / "folder.yaml").symlink_to("../elsewhere")
    (definitions / "dangling.yaml").symlink_to("nowhere")
    (definitions / "dangling").symlink_to("nowhere")
    (definitions / "absolute.yaml").symlink_to("/etc/passwd")
    (definitions / "absolute").symlink_to("/etc")
    (definitions / "loop").symlink_to(".")
    (definitions / "notes.txt").symlink_to("p.yaml")
    (folder / "not-looked-at.yaml").symlink_to("/dev/zero")


def odd_names(folder: Path) -> None:
    definitions = os.fsencode(folder / "definitions")
    folders = [b"caf\xe9", b"tab\there", b" leading", "e\u0301".encode(), b"back\\slash"]
    names = [b"caf\xe9", b"new\nline", b"new\nline\xff", b"\x1b[31m", "\u202e".encode(), b" a", b"a\\b", b"'\"$x"]
    for name in folders:
        os.mkdir(definitions + b"/" + name)
    for path in [*names, *(name + b"/x" for name in folders)]:
        with open(definitions + b"/" + path + b".yaml", "w") as file:
            file.write("- a\n")
    (folder / "definitions" / "größe 漢字.yaml").write_text("- a\n")
    (folder / "definitions" / "odd\there.txt").write_text("not looked at")


def deep_folders(folder: Path) -> None:
    deep = folder / "definitions" / "/".join("a" * MAX_FOLDERS)
    deep.mkdir(parents=True)
    (deep / "x.yaml").write_text("- a\n")
    (deep.parent / "x.yaml").write_text("- a\n")


def large_files(folder: Path) -> None:
    (folder / "definitions" / "large.yaml").write_text("#" * (MAX_BYTES + 1))
    (folder / "definitions" / "fits.yaml").write_text("#" * MAX_BYTES)


def much_together(folder: Path) -> None:
    (folder / "definitions" / "0.yaml").write_text("#" * MAX_BYTES)
    for number in range(1, MAX_TOTAL // MAX_BYTES + 3):
        (folder / "definitions" / f"{number}.yaml").hardlink_to(folder / "definitions" / "0.yaml")


def other_endings(folder: Path) -> None:
    for path in ("definitions/a.yml", "definitions/b.YAML", "definitions/.yml", "definitions/notes.txt", "c.yml"):
        (folder / path).write_text("- a\n")


def a_large_project(folder: Path) -> None:
    (folder / "opsconductor.yaml").write_text("#" * (MAX_BYTES + 1))


def a_linked_project(folder: Path) -> None:
    (folder / "project.yaml").write_text(PROJECT)
    (folder / "opsconductor.yaml").unlink()
    (folder / "opsconductor.yaml").symlink_to("project.yaml")


def a_project_folder(folder: Path) -> None:
    (folder / "opsconductor.yaml").unlink()
    (folder / "opsconductor.yaml").mkdir()
    (folder / "opsconductor.yaml" / "x").touch()


def a_submodule(folder: Path) -> None:
    inner = folder / "definitions" / "inner"
    inner.mkdir()
    (inner / "x.yaml").write_text("- a\n")
    committed(inner)


def everything_included(folder: Path) -> None:
    links(folder)
    (folder / "opsconductor.yaml").write_text(PROJECT + "spec: {include: ['**']}\n")


SHAPES = [
    links, odd_names, deep_folders, large_files, much_together,
    other_endings, a_large_project, a_linked_project, a_project_folder, a_submodule,
    everything_included,
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_folder_and_the_commit_of_it_have_the_same_findings(shape: Callable[[Path], None], folder: Path) -> None:
    """What an author sees before pushing is what the engine says afterwards, word for word."""
    shape(folder)
    commit = committed(folder)

    on_disk, in_commit = validate_paths(folder), validate_commit(folder / ".git", commit)

    assert on_disk.findings == in_commit.findings
    assert on_disk.documents == in_commit.documents
    assert on_disk.findings


@pytest.mark.parametrize("after", [b"", b"# gone\n", None], ids=["emptied", "only a comment", "removed"])
@pytest.mark.parametrize("path", ["definitions/p.yaml", "definitions/job.yaml", "opsconductor.yaml", "files/motd.j2"])
def test_a_change_is_judged_as_the_files_that_it_would_leave(path: str, after: bytes | None, folder: Path) -> None:
    """One rule for files on disk and in a commit: no bytes at all are bytes too."""
    step = "{uses: template, with: {source: files/motd.j2, destination: /etc/motd}}"
    job = f"kind: Job\nmetadata: {{name: j}}\nspec: {{runsOn: {{pool: p}}, steps: [{step}]}}\n"
    (folder / "definitions" / "job.yaml").write_text(HEAD + job)
    (folder / "files").mkdir()
    (folder / "files" / "motd.j2").write_text("{{ x }}\n")
    base = committed(folder)

    on_disk, in_commit = validate_paths(folder, {path: after}), validate_changed(folder / ".git", base, {path: after})
    if after is None:
        (folder / path).unlink()
    else:
        (folder / path).write_bytes(after)
    written = validate_paths(folder)

    assert on_disk.findings == in_commit.findings == written.findings
    assert on_disk.documents == in_commit.documents == written.documents
    assert on_disk.findings != validate_commit(folder / ".git", base).findings


def test_a_process_that_goes_on_is_neither_forked_nor_its_garbage_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a server, whose other threads a child would not have. A command takes all that there is."""
    for start in range(0, 3 * cores.WORTH_A_PROCESS, 200):
        pools = (POOL.replace("name: p", f"name: p{number}") for number in range(start, start + 200))
        (folder / "definitions" / f"{start}.yaml").write_text("---\n".join(pools))
    commit = committed(folder)
    asked: list[str] = []
    fork = os.fork

    def counted() -> int:
        asked.append("fork")
        return fork()

    monkeypatch.setattr(cores, "_cores", lambda: 3)
    monkeypatch.setattr(os, "fork", counted)
    monkeypatch.setattr(gc, "freeze", lambda: asked.append("freeze"))

    shared = [validate_paths(folder), validate_commit(folder / ".git", commit)]
    assert asked == []
    alone = [validate_paths(folder, process=ALONE), validate_commit(folder / ".git", commit, process=ALONE)]
    assert {*asked} == {"fork", "freeze"}
    assert [one.findings for one in shared] == [one.findings for one in alone]


def test_what_is_said_of_links(folder: Path) -> None:
    """An error where a document should be, a warning where some might lie behind it."""
    links(folder)

    findings = validate_paths(folder).findings
    said = {finding.span.file.removeprefix("definitions/"): finding.severity for finding in findings}

    errors = {"file.yaml", "folder.yaml", "dangling.yaml", "absolute.yaml"}
    assert said == dict.fromkeys(errors, "error") | dict.fromkeys(
        {"folder", "dangling", "absolute", "loop", "notes.txt"}, "warning"
    )


# --- how findings are shown -------------------------------------------------------------------------------------------


def test_text_quotes_the_line_and_marks_the_place(folder: Path) -> None:
    (folder / "definitions" / "p.yaml").write_text(f"{POOL}spec: {{maxRun: 1}}\n")

    assert as_text(validate_paths(folder)).splitlines() == [
        "definitions/p.yaml:4:8: OC203 'maxRun' is not a field of 'spec'",
        "       4 | spec: {maxRun: 1}",
        "         |        ^^^^^^",
        "    hint: did you mean 'maxRuns'?",
        "2 documents, 1 error",
    ]


def test_wide_characters_and_tabs_keep_the_mark_below(folder: Path) -> None:
    (folder / "definitions" / "p.yaml").write_text(f'{POOL}spec: {{labels: {{"한":\t"é"}}, maxRun: 1}}\n')

    _, quoted, mark, *_ = as_text(validate_paths(folder)).splitlines()

    assert quoted == '       4 | spec: {labels: {"한":\t"é"}, maxRun: 1}'
    assert mark == f"         | {' ' * 21}\t      ^^^^^^"


def test_nothing_in_a_document_moves_the_cursor(folder: Path) -> None:
    """Escape sequences, and characters that turn the direction of writing, are shown and not sent."""
    (folder / "definitions" / "p.yaml").write_text(f'{POOL}spec: {{"\\e[2J\\u202e": 1}}\n')

    text = as_text(validate_paths(folder))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J\\u202e" in text

    (folder / "definitions" / "p.yaml").write_text(f'{POOL}spec: {{"\u202e": 1}}\n')
    assert "\u202e" not in as_text(validate_paths(folder))


def test_a_long_line_is_cut_around_the_place(folder: Path) -> None:
    (folder / "definitions" / "p.yaml").write_text(f"{POOL}spec: {{labels: {{a: {'x' * 5000}}}, maxRun: 1}}\n")

    _, quoted, mark, *_ = as_text(validate_paths(folder)).splitlines()

    assert len(quoted) < 140
    assert quoted[mark.index("^") : mark.rindex("^") + 1] == "maxRun"


def test_json_has_the_shape_of_the_contract(folder: Path) -> None:
    (folder / "definitions" / "p.yaml").write_text(f"{POOL}spec: {{maxRun: 1}}\n")

    data = json.loads(as_json(validate_paths(folder)))

    assert data["documents"] == 2
    (finding,) = data["findings"]
    assert {key: finding[key] for key in ("file", "line", "column", "endLine", "endColumn", "code", "severity")} == {
        "file": "definitions/p.yaml", "line": 4, "column": 8, "endLine": 4, "endColumn": 14, "code": "OC203",
        "severity": "error",
    }  # fmt: skip
    assert finding["docs"] == "docs/codes/OC203.md"
    assert finding["hint"] == "did you mean 'maxRuns'?"


# --- what the models tell ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [None, *MODELS])
def test_schemas_are_json_schema(kind: str | None) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", sorted((ROOT / "definitions" / "hello").rglob("*.yaml")), ids=lambda file: file.name)
def test_editors_accept_what_we_accept(file: Path) -> None:
    every = jsonschema.Draft202012Validator(schema(None))
    for document in yaml.safe_load_all(file.read_text()):
        assert list(every.iter_errors(document)) == []
        assert list(jsonschema.Draft202012Validator(schema(document["kind"])).iter_errors(document)) == []


def test_editors_refuse_an_unknown_field() -> None:
    document = {**yaml.safe_load(POOL), "spec": {"maxRun": 1}}

    assert list(jsonschema.Draft202012Validator(schema(None)).iter_errors(document))


def test_every_kind_and_field_is_explained() -> None:
    page = kinds_page()

    assert all(f"\n## {kind}\n" in page for kind in MODELS)
    assert all("| |" not in row and not row.endswith("|  |") for row in page.splitlines() if row.startswith("| `"))
    assert all(code in codes_page() for code in CODES)
    assert "`targetFirst`" in (explain_kind("job.spec.strategy.order") or "")
    assert "\n  for example: batches: [1, 25%, 100%]\n" in (explain_kind("Job.spec.strategy.batches") or "") + "\n"
    assert (
        explain_kind("Job.spec.steps[0].run")
        == explain_kind("Job.spec.steps.3.run")
        == explain_kind("job.spec.steps.run")
    )
    assert explain_kind("Job.spec.nonsense") is None
    assert (nearest_field("Job.spec.stepz"), nearest_field("Job.spec.steps.rnu")) == (
        "Job.spec.steps",
        "Job.spec.steps.run",
    )
    assert (nearest_field("Job.spec.steps"), nearest_field("nonsense"), nearest_field("Job.zzz")) == (None, None, None)
    assert explain_kind("nonsense") is None


def test_every_code_is_explained() -> None:
    assert all((explain_code(code) or "").startswith(f"# {code}: {CODES[code].title}") for code in CODES)
    assert explain_code("OC999") is None
