"""Plans of open runs from a real repository: which commits and which requests count."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.identity import Cause, run_id
from engine.runs.resumption import Unprovable
from engine.states import RunState
from engine.status.views import RunView
from journal.runs import NewRun
from reconciler.acts.door import Found
from reconciler.publication.resumptions import Resumptions
from reconciler.repository.objects import Objects
from schemas.reader import read
from tests.catalogs import HEAD, PROJECT, job, local_target

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INLINE = HEAD + (
    "kind: RunRequest\nmetadata: {name: ask}\nspec: {job: {targets: {selector: {}}, steps: [{run: 'true'}]}}\n"
)
ACT = "requests/ask.yaml"
SOUND = {
    "opsconductor.yaml": PROJECT,
    "definitions/here.yaml": HEAD + local_target("here"),
    "definitions/job.yaml": HEAD + job("clean", spec="  targets: {selector: {}}\n  queueTimeout: 5m\n"),
}


class Repository:
    """Branches, committed to by ana at noon unless said otherwise."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ops.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.path], check=True)

    def commit(self, branch: str, files: dict[str, str], *, at: datetime = NOON, onto: str | None = None) -> str:
        index = {"GIT_INDEX_FILE": str(self.path / "an-index")}
        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (
            ("NAME", "Ana"), ("EMAIL", "ana@example.org"), ("DATE", at.isoformat()),
        )}  # fmt: skip

        def git(*arguments: str, data: str = "") -> str:
            done = subprocess.run(
                ["git", "-C", self.path, *arguments],
                env={**os.environ, **index, **who}, input=data, text=True, capture_output=True, check=True,
            )  # fmt: skip
            return done.stdout.strip()

        git("read-tree", onto or "--empty")
        for path, content in files.items():
            blob = git("hash-object", "-w", "--stdin", data=content)
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        made = git("commit-tree", git("write-tree"), "-m", "change", *(["-p", onto] if onto else []))
        git("update-ref", f"refs/heads/{branch}", made)
        return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def open_run(job: str, commit: str, *, inline: bool = False) -> RunView:
    cause = Cause("request", "ask", NOON, requested_by="ana@example.org")
    return RunView(
        id=run_id(job, cause), job=job, commit=commit, cause=cause, state=RunState.QUEUED, queued_at=NOON,
        targets=("here",), inline=inline,
    )  # fmt: skip


async def plan_of(
    repository: Repository, view: RunView, *, head: str | None, requests: str | None = None
) -> NewRun | Unprovable:
    objects = Objects(repository.path)
    found: tuple[Found, ...] = ()
    if requests is not None:
        parsed = read(objects.file(requests, ACT) or b"", ACT)
        found = tuple(Found(authored, requests) for authored in parsed.documents)
    return (await Resumptions(objects, head=head, acts=found).plans([view]))[view.id]


async def test_a_run_is_planned_from_its_own_commit(repository: Repository) -> None:
    """With what only its Job says; a later commit that has no such job changes nothing."""
    old = repository.commit("main", SOUND)
    head = repository.commit("main", {"opsconductor.yaml": PROJECT}, onto=None)
    assert isinstance(await plan_of(repository, open_run("clean", old), head=head), Unprovable), "history was rewritten"
    head = repository.commit("main", {"definitions/job.yaml": HEAD + job("other")}, onto=old)
    found = await plan_of(repository, open_run("clean", old), head=head)
    assert isinstance(found, NewRun)
    assert (found.spec.commit, found.group, found.queue_timeout.total_seconds()) == (old, "clean", 300)


@pytest.mark.parametrize("commit", ["0" * 40, "1f0c", "; echo", "main"])
async def test_a_commit_that_is_not_there_is_said(repository: Repository, commit: str) -> None:
    head = repository.commit("main", SOUND)
    found = await plan_of(repository, open_run("clean", commit), head=head)
    assert isinstance(found, Unprovable)
    assert "commit" in found.message


async def test_only_the_branch_of_definitions_brings_definitions_in(repository: Repository) -> None:
    """Whoever may write to the status branch alone can name a commit of it, and must not have it run."""
    head = repository.commit("main", SOUND)
    elsewhere = repository.commit("opsconductor/status", SOUND | {"x": "1"})
    for seen in (head, None):
        found = await plan_of(repository, open_run("clean", elsewhere), head=seen)
        assert isinstance(found, Unprovable)
        assert "not in the history" in found.message


async def test_steps_come_from_a_request_that_has_not_changed_since(repository: Repository) -> None:
    head = repository.commit("main", SOUND)
    view = open_run("ask", head, inline=True)
    asked = repository.commit("opsconductor/requests", {ACT: INLINE})
    assert isinstance(await plan_of(repository, view, head=head, requests=asked), NewRun)
    assert isinstance(await plan_of(repository, view, head=head), Unprovable)
    other = replace(view, cause=replace(view.cause, requested_by="eve@example.org"))
    assert isinstance(await plan_of(repository, other, head=head, requests=asked), Unprovable)
    later = NOON.replace(hour=13)
    changed = INLINE.replace("'true'", "'false'")
    edited = repository.commit("opsconductor/requests", {ACT: changed}, at=later, onto=asked)
    assert isinstance(await plan_of(repository, view, head=head, requests=edited), Unprovable)
