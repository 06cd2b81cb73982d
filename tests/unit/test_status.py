"""Reading the status branch as the command line does."""

from collections.abc import Mapping
from pathlib import Path

import pygit2
import pytest

from opsconductor.status import StatusReader

RUN = "big-20261121T120000Z-0123456789"
DAY = "runs/2026/11/21"
HEAD = f"""
metadata: {{name: {RUN}}}
spec: {{job: big, targets: [a, b, c]}}
status: {{state: succeeded, queuedAt: "2026-11-21T12:00:00Z", finishedAt: null, outputs: {{}}, slices: 2}}
"""
ENDED = HEAD.replace("null", '"2026-11-21T12:00:09Z"')


def reader(folder: Path, files: Mapping[str, str]) -> StatusReader:
    """A repository with one commit of these files."""
    repo = pygit2.init_repository(str(folder), bare=True)
    index = pygit2.Index()
    for path, text in files.items():
        index.add(pygit2.IndexEntry(path, repo.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))
    ann = pygit2.Signature("Ann", "ann@example.org")
    commit = repo.create_commit("refs/heads/s", ann, ann, "status", index.write_tree(repo), [])
    return StatusReader(folder, str(commit))


def test_a_run_in_several_files_is_one_run(tmp_path: Path) -> None:
    status = reader(tmp_path, {
        f"{DAY}/{RUN}.yaml": HEAD,
        f"{DAY}/{RUN}.1.yaml": "status: {slice: 1, targets: {a: {state: succeeded}, b: {state: failed}}}",
        f"{DAY}/{RUN}.2.yaml": "status: {slice: 2, targets: {c: {state: succeeded}}}",
    })  # fmt: skip
    (run,) = status.runs()
    assert list(run["status"]["targets"]) == ["a", "b", "c"]
    assert status.run("big") == run


@pytest.mark.parametrize("head", [HEAD, ENDED])
def test_outputs_are_put_together_once_it_has_ended(tmp_path: Path, head: str) -> None:
    status = reader(tmp_path, {
        f"{DAY}/{RUN}.yaml": head,
        f"{DAY}/{RUN}.1.yaml": "status: {slice: 1, targets: {a: {outputs: {freed: 7}}, b: {outputs: [odd]}, d: 3}}",
        f"{DAY}/{RUN}.2.yaml": "status: {slice: 2, targets: {c: {outputs: {freed: null, more: x}}}}",
    })  # fmt: skip
    (run,) = status.runs()
    whole = {"freed": {"a": 7, "c": None}, "more": {"c": "x"}}
    assert run["status"]["outputs"] == (whole if head == ENDED else {})


@pytest.mark.parametrize("part", ["", "[]", "status: [1]", "status: {targets: 3}"])
def test_a_slice_that_is_missing_or_damaged_costs_its_targets_only(tmp_path: Path, part: str) -> None:
    files = {f"{DAY}/{RUN}.yaml": HEAD, f"{DAY}/{RUN}.2.yaml": "status: {targets: {c: {state: succeeded}}}"}
    status = reader(tmp_path, {**files, **({f"{DAY}/{RUN}.1.yaml": part} if part else {})})
    (run,) = status.runs()
    assert list(run["status"]["targets"]) == ["c"]


def test_the_runs_of_a_renamed_job_are_those_of_its_former_names(tmp_path: Path) -> None:
    """Where its file says so. A name that could be no path, or says what a path may, is that of nothing."""
    job = "status: {lastRun: null, formerNames: [big, 7]}"
    status = reader(
        tmp_path, {f"{DAY}/{RUN}.yaml": HEAD, "jobs/huge.yaml": job, "jobs/odd.yaml": "status: {formerNames: 3}"}
    )
    assert status.names_of("huge") == ("huge", "big")
    assert [run["metadata"]["name"] for run in status.runs_of("huge")] == [RUN]
    assert [run["metadata"]["name"] for run in status.newest("huge")] == [RUN]
    for name in ("odd", "no", "../jobs/huge", "\udcff", ""):
        assert status.names_of(name) == (name,)
        assert list(status.runs_of(name)) == []
