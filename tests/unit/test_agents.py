"""What agents are given: cut, visible and marked, whatever it says; and changes judged as their commit would be."""

import json
from pathlib import Path

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.userschema import faults_of, problems_of
from opsconductor.agents import answer, logs
from opsconductor.agents.answer import Found, Long, NoAnswer, Tool
from opsconductor.agents.runs import run_called
from opsconductor.agents.server import TOOLS
from opsconductor.checking.validation import validate_changed, validate_commit
from opsconductor.status import StatusReader

TOOL = Tool("t", "T", "Does.", lambda _, __: Found({}), {}, {"said": answer.TEXT})
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: a}\nspec: {}\n"
JOB = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: a}\nspec: {steps: [{uses: dummy}]}\n"


@given(st.text(max_size=200))
def test_no_text_ends_the_part_that_is_marked_nor_hides_in_it(text: str) -> None:
    shown = answer.as_text(answer.structured(TOOL, Found({"said": text})))
    mark = shown.split("\n")[1].removeprefix("<<<untrusted ")
    assert shown.count(f"untrusted {mark}>>>") == 1
    assert all(char in "\n\t" or char.isprintable() for char in shown)


def test_a_long_text_is_cut_where_its_tool_has_not_cut_it() -> None:
    found = answer.visible({"a": "x" * 3_000, "b": Long("x" * 3_000)})
    assert found["a"].endswith("… (1000 more characters)") and len(found["b"]) == 3_000


def test_an_answer_that_is_too_large_is_refused_with_what_to_ask_instead() -> None:
    with pytest.raises(NoAnswer, match="ask for less") as error:
        answer.structured(TOOL, Found({"said": Long("x" * answer.MOST)}))
    assert error.value.code == "tooLarge"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_schema_is_sound_and_takes_nothing_unnamed(tool: Tool) -> None:
    assert problems_of(tool.input_schema) == () and problems_of(tool.output_schema) == ()
    assert faults_of(tool.input_schema, {"surely-not": 1})
    assert set(tool.needs) <= tool.takes.keys()


def test_the_last_lines_of_a_log_need_not_the_whole_of_it(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"first\n" + b"x" * (1 << 20) + b"\n" + b"".join(b"line %d\n" % n for n in range(1000)) + b"open")
    assert logs.last_lines(log, 2) == ["line 999", "open"]
    log.write_bytes(b"y" * (1 << 20))
    assert logs.last_lines(log, 5) == []  # one line, of which the beginning is too far away
    log.write_bytes(b"")
    assert logs.last_lines(log, 5) == []


def test_a_log_that_is_a_link_out_of_the_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "logs" / "a.log").symlink_to(tmp_path / "secret")
    assert logs.tail_of(tmp_path / "logs", "a.log", 5) is None
    assert logs.tail_of(tmp_path / "logs", "../secret", 5) is None
    assert logs.tail_of(tmp_path / "logs", "a\0b", 5) is None


def test_a_change_is_judged_as_the_commit_that_it_would_be(tmp_path: Path) -> None:
    repo = pygit2.init_repository(str(tmp_path), bare=True)
    old = {
        "opsconductor.yaml": PROJECT,
        "definitions/a.yaml": JOB,
        "definitions/b.yaml": JOB.replace("name: a", "name: b"),
    }
    new = {"opsconductor.yaml": PROJECT, "definitions/a.yaml": JOB.replace("uses", "use"), "definitions/c/d.yaml": JOB}
    base, made = commit(repo, old), commit(repo, new)
    changes = {
        path: new[path].encode() if path in new else None for path in {**old, **new} if old.get(path) != new.get(path)
    }
    changed, whole = validate_changed(tmp_path, base, changes), validate_commit(tmp_path, made)
    assert changed.compiled.findings == whole.compiled.findings != ()
    assert json.dumps(sorted(changed.sources)) == json.dumps(sorted(whole.sources))
    assert not validate_changed(tmp_path, base, {}).compiled.findings


def test_the_newest_runs_come_first_and_only_those_in_a_state(tmp_path: Path) -> None:
    repo = pygit2.init_repository(str(tmp_path), bare=True)
    runs = {}
    for day, job, state in (("20", "a", "failed"), ("21", "b", "running"), ("22", "a", "succeeded")):
        name = f"{job}-202611{day}T010000Z-{'0' * 10}"
        runs[f"runs/2026/11/{day}/{name}.yaml"] = (
            f"kind: Run\nmetadata:\n  name: {name}\nspec:\n  job: {job}\n  params:\n    state: running\n"
            f"status:\n  state: {state}\n"
        )
    status = StatusReader(tmp_path, commit(repo, runs))
    assert [run["spec"]["job"] for run in status.newest()] == ["a", "b", "a"]
    assert [run["status"]["state"] for run in status.newest("a")] == ["succeeded", "failed"]
    assert [run["spec"]["job"] for run in status.newest(states=["running"])] == ["b"]


def commit(repo: pygit2.Repository, files: dict[str, str]) -> str:
    index = pygit2.Index()
    for path, text in files.items():
        index.add(pygit2.IndexEntry(path, repo.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))
    who = pygit2.Signature("Ann", "ann@example.org", 1, 0)
    return str(repo.create_commit(None, who, who, "x", index.write_tree(repo), []))


def test_a_run_is_meant_by_its_id_a_beginning_or_its_job(tmp_path: Path) -> None:
    repo = pygit2.init_repository(str(tmp_path), bare=True)
    names = [f"{job}-202611{day}T010000Z-{'0' * 10}" for day, job in (("20", "web"), ("21", "web"), ("22", "web-logs"))]
    files = {
        f"runs/2026/11/{name.rpartition('-202611')[2][:2]}/{name}.yaml": (
            f"metadata:\n  name: {name}\nspec:\n  job: {name.rpartition('-2026')[0]}\nstatus:\n  state: failed\n"
        )
        for name in names
    }
    status = StatusReader(tmp_path, commit(repo, files))
    meant = {
        wanted: run_called(status, wanted)["metadata"]["name"] for wanted in (names[0], "web", "web-l", "web-20261120")
    }
    assert meant == {names[0]: names[0], "web": names[1], "web-l": names[2], "web-20261120": names[0]}
    with pytest.raises(NoAnswer, match=f"several runs; name one: {names[2]}"):
        run_called(status, "we")
    with pytest.raises(NoAnswer, match="there is no run other"):
        run_called(status, "other")
