"""Step types and settings of plug-ins, as the lock file copies them."""

from dataclasses import replace
from typing import Any

import pytest

from engine.compile import compile_files
from engine.plugins import plugged, problem_of
from engine.vendored import LOCK_FILE, NO_LIBRARIES, file_of, vendored
from schemas.reader import read

GREET = {"description": "Greets.", "inputs": {"name": {"type": "string"}}, "required": ["name"], "needs": "nothing"}
PROJECT = read(b"apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\n", "opsconductor.yaml")


def lock(**steps: Any) -> bytes:
    import yaml

    return yaml.safe_dump({"plugins": {"greetings": {"version": "1", "steps": steps}}}).encode()


def found(step: str, locked: bytes) -> list[str]:
    text = f"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {{name: j}}\nspec: {{steps: [{step}]}}\n"
    libraries = vendored((), locked)
    compiled = compile_files("c", [PROJECT, read(text.encode(), "j.yaml")], libraries=libraries)
    return [f"{one.code} {one.message}" for one in compiled.findings]


def test_a_locked_step_type_is_checked_like_a_built_in_one() -> None:
    locked = lock(**{"greetings.greet": {**GREET, "outputs": {"said": {"type": "string"}}}})
    assert found("{uses: greetings.greet, with: {name: Ana}}", locked) == []
    assert found("{uses: greetings.greet, with: {name: 1}}", locked) == ["OC406 'name': it must be text, not a number"]
    assert found("{uses: greetings.greet}", locked) == ["OC406 'greetings.greet' needs 'name'"]
    first = (
        "{id: a, uses: greetings.greet, with: {name: x}}, "
        "{uses: assert, with: {that: '${{ steps.a.outputs.%s == null }}'}}"
    )
    assert found(first % "said", locked) == []
    assert found(first % "sad", locked) == ["OC405 step 'a' declares no output 'sad'"]
    assert found("{uses: greetings.greet, with: {name: Ana}}", b"") == ["OC305 there is no step type 'greetings.greet'"]


def test_a_step_of_a_library_uses_locked_step_types_as_a_job_does() -> None:
    head = "apiVersion: opsconductor/v1\n"
    library = head + "kind: StepLibrary\nmetadata: {name: hello}\nspec: {version: 1.0.0, description: Greets.}\n"

    def said(given: str, locked: bytes) -> list[str]:
        step = head + f"kind: Step\nmetadata: {{name: all, description: Greets.}}\nspec:\n  steps: [{given}]\n"
        texts = {"libraries/hello/library.yaml": library, "libraries/hello/steps/all.yaml": step}
        libraries = vendored((file_of(path, text.encode()) for path, text in texts.items()), locked)
        findings = compile_files("c", [PROJECT], libraries=libraries).findings
        return [f"{one.code} {one.message}" for one in findings if one.code != "OC318"]

    known = lock(**{"greetings.greet": GREET})
    assert said("{uses: greetings.greet, with: {name: Ana}}", known) == []
    assert said("{uses: greetings.greet}", known) == ["OC406 'greetings.greet' needs 'name'"]
    assert said("{uses: greetings.great}", known) == ["OC305 there is no step type 'greetings.great'"]
    assert said("{uses: greetings.greet}", b"") == ["OC305 there is no step type 'greetings.greet'"]


def test_the_findings_follow_the_lock_from_commit_to_commit() -> None:
    """What is remembered of a document does not outlive the step types that it was checked with."""
    text = b"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: j}\nspec: {steps: [{uses: a.b}]}\n"
    job = read(text, "j.yaml")
    without = compile_files("1", [PROJECT, job])
    with_it = vendored((), lock(**{"a.b": {"description": "x", "needs": "nothing"}}))
    after = compile_files("2", [PROJECT, job], libraries=with_it, before=without)
    again = compile_files("3", [PROJECT, job], before=after)
    assert [len(one.findings) for one in (without, after, again)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("assert", GREET, "there is a built-in step type of this name, which cannot be replaced"),
        ("greet", GREET, "the name of a plug-in's step type is two to four words with dots between"),
        ("a.b", [], "it is not a mapping"),
        ("a.b", {}, "description: Field required"),
        ("a.b", {**GREET, "more": 1}, "more: Extra inputs are not permitted"),
        ("a.b", {**GREET, "required": ["other"]}, "'required' names 'other', which is none of the inputs"),
        ("a.b", {**GREET, "over": "ssh"}, "a type that needs nothing is over no connection"),
        ("a.b", {**GREET, "inputs": {"name": {"type": "txt"}}}, "input 'name': "),
        ("a.b", {"description": "x", "inputs": {"run": {"type": "string"}}}, "'run' is for scripts"),
    ],
)
def test_what_cannot_be_used_says_why(name: str, data: Any, why: str) -> None:
    problem = problem_of(name, data)
    assert problem is not None and problem.startswith(why), problem
    (finding,) = plugged({"greetings": {"steps": {name: data}}}, LOCK_FILE).findings
    assert (finding.code, finding.span.file) == ("OC323", LOCK_FILE)


def test_a_step_type_of_two_plug_ins_is_a_finding() -> None:
    both = plugged({"one": {"steps": {"a.b": GREET}}, "two": {"steps": {"a.b": GREET}}}, LOCK_FILE)
    assert [one.message for one in both.findings] == [
        "step type 'a.b' of plug-in 'two': 'one' has it too; one of the two must go"
    ]


SHELL = {"description": "A shell.", "settings": {"folder": {"type": "string"}}, "required": ["folder"]}
BOX = (
    "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: box}\n"
    "spec: {connections: {plugins: {a.shell: {folder: %s, credentialRef: key}}}}\n---\n"
    "apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n"
)


def settings(**connections: Any) -> Any:
    return {"greetings": {"version": "1", "connections": connections}}


def test_settings_are_checked_by_what_the_lock_says() -> None:
    def found(folder: str, **more: Any) -> list[str]:
        plugins = plugged(settings(**{"a.shell": {**SHELL, **more}}), LOCK_FILE)
        documents = [PROJECT, read((BOX % folder).encode(), "box.yaml")]
        findings = compile_files("c", documents, libraries=replace(NO_LIBRARIES, plugins=plugins)).findings
        return [f"{one.code} {one.message}" for one in findings]

    assert found("/srv", credentials=["token"]) == []
    assert found("/srv", credentials=["ssh"]) == ["OC609 credential 'key' is of type token"]
    assert found("/srv") == []
    assert found("1", credentials=["token"]) == ["OC326 'folder': it must be text, not a number"]


def test_the_settings_are_checked_again_where_the_lock_has_changed() -> None:
    box = read((BOX % "/srv").encode(), "box.yaml")
    plugins = plugged(settings(**{"a.shell": {**SHELL, "credentials": ["token"]}}), LOCK_FILE)
    without = compile_files("1", [PROJECT, box])
    after = compile_files("2", [PROJECT, box], libraries=replace(NO_LIBRARIES, plugins=plugins), before=without)
    again = compile_files("3", [PROJECT, box], before=after)
    assert [[one.code for one in commit.findings] for commit in (without, after, again)] == [["OC325"], [], ["OC325"]]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("shell", SHELL, "what a plug-in brings has a name of words with dots between"),
        ("a.b", [], "it is not a mapping"),
        ("a.b", {**SHELL, "required": ["port"]}, "'required' names 'port', which is none of the settings"),
        ("a.b", {**SHELL, "settings": {"folder": {"type": "txt"}}}, "setting 'folder': "),
    ],
)
def test_settings_that_cannot_be_used_say_why(name: str, data: Any, why: str) -> None:
    (finding,) = plugged(settings(**{name: data}), LOCK_FILE).findings
    assert finding.code == "OC323" and finding.message.startswith(f"connection '{name}' of plug-in 'greetings': {why}")


USES = (
    "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: work}\n"
    "spec: {targets: {names: [box]}, steps: [{uses: a.load, become: app}, {run: id, become: app}, {run: id}]}\n"
)


def test_a_connection_that_does_not_say_that_it_becomes_another_user_is_found_at_the_step() -> None:
    documents = [PROJECT, read((BOX % "/srv").encode(), "box.yaml"), read(USES.encode(), "work.yaml")]
    locked = {"steps": {"a.load": {"description": "x", "needs": "commands"}}, "version": "1"}

    def libraries(**more: Any) -> Any:
        known = {"greetings": {**locked, "connections": {"a.shell": {**SHELL, **more}}}}
        return replace(NO_LIBRARIES, plugins=plugged(known, LOCK_FILE))

    silent = compile_files("1", documents, libraries=libraries())
    said = compile_files("2", documents, libraries=libraries(becomes=True), before=silent)
    again = compile_files("3", documents, libraries=libraries(), before=said)
    message = "'become' does not work over a.shell, which target 'box' is reached by"
    assert [(one.code, one.message, one.severity) for one in silent.findings] == [("OC406", message, "warning")] * 2
    assert said.findings == ()
    assert again.findings == silent.findings
