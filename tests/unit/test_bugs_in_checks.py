"""A bug of ours in one check is said at its document, hides nothing, and nothing that it was met in is used."""

import asyncio
import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from engine import compile as compiling
from engine import plugins, vendored
from engine.checks import (
    circles,
    concurrency,
    everything,
    identities,
    libraries,
    patternsizes,
    people,
    projects,
    scriptsizes,
    steps,
    triggers,
)
from engine.checks.scope import Scope
from opsconductor.checking import cores
from opsconductor.checking.validation import ALONE, SHARED, Process, validate_paths
from opsconductor.cli.main import call
from reconciler.definitions import Definitions
from reconciler.repository.objects import Objects
from schemas import reader
from schemas.bugs import told
from schemas.diagnostic import Diagnostic
from schemas.guard import Loaded
from schemas.reader import Authored
from schemas.span import start_of
from schemas.steps import StepType
from tests.catalogs import HEAD, PROJECT

SECRET = "hunter2"
JOB = HEAD + "kind: Job\nmetadata: {{name: {name}}}\nspec: {{targets: {{names: [nobody]}}, steps: [{{uses: dummy}}]}}\n"
USER = HEAD + "kind: User\nmetadata: {{name: {name}}}\nspec: {{email: same@example.org}}\n"
TARGET = HEAD + "kind: Target\nmetadata: {name: t}\nspec: {connections: {local: {}}}\n"
TRIGGER = HEAD + "kind: Trigger\nmetadata: {name: t}\nspec: {event: {run: {jobs: [a]}}, jobRef: a}\n"
ALL = [
    "definitions/a.yaml:4:26 OC305",
    "definitions/b.yaml:4:26 OC305",
    "definitions/c.yaml:4:26 OC305",
]


def trips(check: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a bug into the check of one document."""
    asked = check.about

    def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
        if authored.document.name == name:
            raise ZeroDivisionError(SECRET)
        yield from asked(authored, scope)

    monkeypatch.setattr(check, "about", about)


def broken(*_: object, **__: object) -> Iterator[Diagnostic]:
    raise ZeroDivisionError(SECRET)
    yield


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = tmp_path / "fleet"
    (root / "definitions").mkdir(parents=True)
    (root / "opsconductor.yaml").write_text(PROJECT)
    for name in "abc":
        (root / f"definitions/{name}.yaml").write_text(JOB.format(name=name))
    return root


def said(root: Path, process: Process = SHARED) -> list[str]:
    return [f"{one.span} {one.code}" for one in validate_paths(root, process=process).findings]


def bugs(root: Path) -> list[Diagnostic]:
    return [one for one in validate_paths(root).findings if one.bug]


def others(root: Path) -> set[str]:
    return {one for one in said(root) if not one.endswith("OC801")}


def test_a_bug_in_a_check_of_one_document_hides_no_other_finding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = said(root)
    trips(steps, "b", monkeypatch)

    report = validate_paths(root)
    (bug,) = (one for one in report.findings if one.code == "OC801")

    assert len(before) == 3
    assert others(root) == set(before)
    assert str(bug.span) == "definitions/b.yaml:3:18"
    assert "the check 'steps'" in bug.message
    assert "ZeroDivisionError" in bug.message
    assert "report" in bug.hint
    assert report.compiled.catalog is None


def test_the_finding_does_not_quote_the_error_and_keeps_it_for_the_report(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is published on the status branch, and the text of an error may be that of a secret."""
    trips(steps, "b", monkeypatch)
    (bug,) = bugs(root)

    assert SECRET not in bug.message + bug.hint
    assert f"ZeroDivisionError: {SECRET}" in bug.bug


def test_what_a_check_found_before_its_bug_stands(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Diagnostic(start_of("x"), "OC305", "there is none")

    def about() -> Iterator[Diagnostic]:
        yield found
        raise KeyError

    assert [one.code for one in told("x", lambda: start_of("x"), about)] == ["OC305", "OC801"]


def test_want_of_memory_is_no_bug_of_a_check(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object) -> Iterator[Diagnostic]:
        raise MemoryError

    monkeypatch.setattr(steps, "about", starved)
    with pytest.raises(MemoryError):
        validate_paths(root)


def test_a_bug_in_another_process_is_told_as_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3 * cores.WORTH_A_PROCESS):
        (root / f"definitions/n{number}.yaml").write_text(JOB.format(name=f"n{number}"))
    trips(steps, "n77", monkeypatch)
    monkeypatch.setattr(cores, "_cores", lambda: 3)
    forked: list[int] = []
    fork = cores.os.fork

    def counted() -> int:
        pid = fork()
        forked.append(pid)
        return pid

    monkeypatch.setattr(cores.os, "fork", counted)
    alone = validate_paths(root, process=ALONE).findings

    assert len(forked) >= 2
    assert [one for one in alone if one.bug] == bugs(root)
    assert len(alone) == 3 + 3 * cores.WORTH_A_PROCESS + 1


@pytest.mark.parametrize("check", [identities, projects, libraries, circles, concurrency, people, triggers])
def test_a_check_of_all_documents_that_meets_a_bug_is_named_while_the_others_speak(
    check: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "definitions/t.yaml").write_text(f"{TARGET}---\n{USER.format(name='u')}---\n{TRIGGER}")
    monkeypatch.setattr(check, "check", broken)
    (bug,) = bugs(root)

    assert set(ALL) <= others(root)
    assert str(bug.span) == "opsconductor.yaml:1:1"
    assert f"'{check.__name__.rpartition('.')[2]}'" in bug.message


def test_a_bug_in_what_all_checks_ask_for_is_said_by_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that do not ask for it still speak."""
    monkeypatch.setattr(Scope, "members", property(broken_answer))
    found = {(one.span.file, one.message.split("'")[1]) for one in bugs(root)}
    assert others(root) == set(ALL)
    assert {file for file, _ in found} >= {f"definitions/{name}.yaml" for name in "abc"}
    assert "references" not in {check for _, check in found}


def test_a_bug_in_reading_a_file_costs_that_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = reader.load

    def loaded(data: bytes, file: str) -> Loaded:
        if file.endswith("b.yaml"):
            raise IndexError(SECRET)
        return load(data, file)

    monkeypatch.setattr(reader, "load", loaded)

    assert bugs(root) != []
    assert said(root) == [ALL[0], "definitions/b.yaml:1:1 OC801", ALL[2]]


def test_a_bug_in_a_file_of_acts_rejects_no_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act = HEAD + "kind: Approval\nmetadata: {name: yes}\nspec: {}\n"
    (root / "definitions/a.yaml").write_text(act)
    for name in "bc":
        (root / f"definitions/{name}.yaml").unlink()
    load = reader.load

    def loaded(data: bytes, file: str) -> Loaded:
        if file.endswith("a.yaml"):
            raise IndexError(SECRET)
        return load(data, file)

    monkeypatch.setattr(reader, "load", loaded)
    report = validate_paths(root)

    assert [one.code for one in report.findings] == ["OC801"]
    assert report.compiled.catalog is not None


def test_a_bug_in_measuring_the_scripts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scriptsizes, "beyond", broken)
    (bug,) = bugs(root)

    assert others(root) == set(ALL)
    assert (str(bug.span), "'scripts'" in bug.message) == ("opsconductor.yaml:1:1", True)


@pytest.mark.parametrize("where", ["files", "patterns"])
def test_a_bug_in_what_is_asked_before_all_checks(where: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = (compiling, "files_of") if where == "files" else (patternsizes, "_in")
    asked = getattr(module, name)

    def tripping(document: object) -> object:
        if getattr(document, "name", "") == "b":
            raise ZeroDivisionError(SECRET)
        return asked(document)

    monkeypatch.setattr(module, name, tripping)
    (bug,) = bugs(root)

    assert others(root) == set(ALL)
    assert (str(bug.span), f"'{where}'" in bug.message) == ("definitions/b.yaml:3:18", True)


LIBRARY = HEAD + "kind: StepLibrary\nmetadata: {{name: {name}}}\nspec: {{version: 1.0.0}}\n"
STEP = HEAD + "kind: Step\nmetadata: {name: go}\nspec: {steps: [{run: 'true'}]}\n"
JOB_HEAD = HEAD + "kind: Job\nmetadata: {name: u}\n"
USING = JOB_HEAD + "spec: {targets: {names: [t]}, steps: [{uses: %s/go@1}, {uses: acme.go}]}"
PLUG_IN = "plugins: {acme: {version: '1', steps: {acme.go: {description: Goes there.}}}}\n"


@pytest.fixture
def with_libraries(root: Path) -> Path:
    """Two libraries, locked, with a plug-in's step type beside them: nothing is wrong with any of it."""
    (root / "definitions/t.yaml").write_text(TARGET)
    (root / "definitions/u.yaml").write_text(f"{USING % 'one'}\n---\n{USING.replace('name: u', 'name: v') % 'two'}")
    entries = []
    for name in ("one", "two"):
        texts = {"library.yaml": LIBRARY.format(name=name), "steps/go.yaml": STEP}
        for path, text in texts.items():
            (root / f"libraries/{name}/{path}").parent.mkdir(parents=True, exist_ok=True)
            (root / f"libraries/{name}/{path}").write_text(text)
        whole = vendored.digest((path, hashlib.sha256(text.encode()).hexdigest()) for path, text in texts.items())
        entries.append(f"{name}: {{digest: '{whole}'}}")
    (root / "opsconductor.lock").write_text(f"libraries: {{{', '.join(entries)}}}\n{PLUG_IN}")
    assert said(root) == ALL
    return root


def test_a_bug_in_reading_a_library_costs_that_library(with_libraries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of what it lacks, as nobody knows."""
    read = vendored._library

    def tripping(name: str, files: list[vendored.VendoredFile], types: Mapping[str, StepType]) -> vendored.Library:
        if name == "two":
            raise ZeroDivisionError(SECRET)
        return read(name, files, types)

    monkeypatch.setattr(vendored, "_library", tripping)
    (bug,) = bugs(with_libraries)

    assert others(with_libraries) == set(ALL)
    assert (str(bug.span), "'libraries'" in bug.message) == ("libraries/two/library.yaml:1:1", True)
    assert validate_paths(with_libraries).compiled.catalog is None


def test_a_bug_in_reading_the_lock_file_is_said_there(with_libraries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendored, "load", broken_answer)
    (bug,) = bugs(with_libraries)

    assert set(ALL) <= others(with_libraries)
    assert (str(bug.span), "'libraries'" in bug.message) == ("opsconductor.lock:1:1", True)
    assert not any(one.endswith("OC318") for one in others(with_libraries))  # what is locked is not known


def test_a_bug_in_what_the_lock_says_of_plug_ins_hides_no_library(
    with_libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (with_libraries / "libraries/two/steps/go.yaml").write_text(STEP + "\n")
    monkeypatch.setattr(vendored, "plugged", broken_answer)
    (bug,) = bugs(with_libraries)

    assert {*ALL, "libraries/two/library.yaml:3:18 OC318"} <= others(with_libraries)
    assert (str(bug.span), "'plug-ins'" in bug.message) == ("opsconductor.lock:1:1", True)


def test_a_bug_in_giving_a_document_the_types_of_plug_ins_is_said_at_it(
    with_libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = "kind: RunRequest\nmetadata: {name: b}\nspec: {jobRef: a}\n"
    (with_libraries / "definitions/act.yaml").write_text(HEAD + act)
    give = plugins._knowing

    def tripping(document: Authored, types: Mapping[str, StepType]) -> Authored:
        if document.document.name == "b":
            raise ZeroDivisionError(SECRET)
        return give(document, types)

    monkeypatch.setattr(plugins, "_knowing", tripping)

    assert others(with_libraries) == set(ALL)
    assert [str(one.span) for one in bugs(with_libraries)] == ["definitions/act.yaml:3:18", "definitions/b.yaml:3:18"]
    for name in "abc":
        (with_libraries / f"definitions/{name}.yaml").write_text(JOB.format(name=name).replace("nobody", "t"))
    (with_libraries / "definitions/b.yaml").unlink()
    report = validate_paths(with_libraries)
    assert [str(one.span) for one in report.findings] == ["definitions/act.yaml:3:18"]
    assert report.compiled.catalog is not None  # an act rejects no commit


def test_a_tree_in_which_a_library_met_a_bug_is_not_read_whole(
    with_libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what its change may do is judged by the definitions in force as well."""

    def git(*words: str) -> str:
        whole = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
        return subprocess.run(whole, cwd=with_libraries, check=True, capture_output=True, text=True).stdout.strip()

    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        git(*words)
    head = git("rev-parse", "HEAD")
    definitions = Definitions(Objects(with_libraries / ".git"))
    before = definitions.tree(head).whole
    monkeypatch.setattr(vendored, "_library", broken_answer)
    assert (before, definitions.tree(head).whole) == (True, False)


def test_a_bug_in_what_spares_the_next_commit_its_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is refused, with all that is wrong with it, and the next one is checked whole."""

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def committed() -> str:
        git("add", "-A")
        git("commit", "-q", "-m", "next")
        return git("rev-parse", "HEAD")

    git("init", "-q")
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    (tmp_path / "definitions").mkdir()
    for number in range(20):
        text = JOB.format(name=f"n{number}").replace("targets: {names: [nobody]}, ", "")
        (tmp_path / f"definitions/n{number}.yaml").write_text(text)
    definitions = Definitions(Objects(tmp_path / ".git"))
    assert asyncio.run(definitions.load(committed())).catalog is not None
    (tmp_path / "definitions/n3.yaml").write_text(JOB.format(name="n3"))
    with monkeypatch.context() as patched:
        patched.setattr(everything, "carried_over", broken_answer)
        second = asyncio.run(definitions.load(committed()))
    (tmp_path / "definitions/n3.yaml").write_text(JOB.format(name="n3") + "\n")
    third = asyncio.run(definitions.load(committed()))

    assert second.catalog is None
    assert [one.code for one in second.findings] == ["OC305", "OC801"]
    assert [one.code for one in third.findings] == ["OC305"]


def broken_answer(*_: object) -> None:
    raise ZeroDivisionError(SECRET)


def test_validate_ends_as_a_bug_does_and_is_asked_anew(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        trips(steps, "b", patched)
        code = call(["validate", str(root)])
        shown = capsys.readouterr()
    (report,) = tmp_path.glob("opsconductor-bug-*.txt")

    assert code == 70
    assert str(report) in shown.err
    assert "definitions/b.yaml:3:18: OC801" in shown.out
    assert all(place.split()[0] in shown.out for place in ALL)
    assert f"ZeroDivisionError: {SECRET}" in report.read_text()
    assert call(["validate", str(root)]) == 1


def test_plan_ends_as_a_bug_does(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *who, *words], cwd=root, check=True)
    trips(steps, "b", monkeypatch)

    assert call(["plan", str(root), "--base", "HEAD"]) == 70
    assert "OC801" in capsys.readouterr().out
    assert len(list(tmp_path.glob("opsconductor-bug-*.txt"))) == 1
