"""Waking up: soon after a push, when poked, and every interval in any case."""

import asyncio
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.repository.source import git_folder
from reconciler.wake import Wake, first_cause

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=30)


def git(path: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "-C", path, *identity, *arguments], check=True, capture_output=True)


def repository(path: Path, *options: str) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", *options, path], check=True)
    return path


async def quiet(wake: Wake) -> None:
    """Wait until the watch is set and what was before it is over."""
    assert wake._source is not None
    folder = git_folder(wake._source)
    assert folder is not None
    for number in range(200):
        probe = folder / "refs" / f"probe{number}"
        probe.write_text("")
        woken = await wake.wait(timedelta(milliseconds=100))
        probe.unlink()
        if "refs" in woken:
            break
    while "refs" in await wake.wait(timedelta(milliseconds=300)):
        pass


@pytest.mark.parametrize("kind", ["bare", "tree", "linked"])
async def test_a_commit_wakes(kind: str, tmp_path: Path) -> None:
    """A path source of any kind; many refs of one push are one look."""
    tree = repository(tmp_path / "tree")
    git(tree, "commit", "-q", "--allow-empty", "-m", "one")
    source = tree
    if kind == "bare":
        source = tmp_path / "bare"
        git(tree, "clone", "-q", "--bare", str(tree), str(source))
    elif kind == "linked":
        source = tmp_path / "linked"
        git(tree, "worktree", "add", "-q", "--detach", str(source))
    async with Wake(source) as wake:
        await quiet(wake)
        if kind == "bare":
            git(tree, "push", "-q", str(source), "main:refs/heads/a", "main:refs/heads/b/c")
        else:
            git(tree, "commit", "-q", "--allow-empty", "-m", "two")
        assert await wake.wait(LONG) == {"refs"}
        while "refs" in await wake.wait(timedelta(milliseconds=300)):
            pass
        git(source, "pack-refs", "--all")
        assert await wake.wait(LONG) == {"refs"}


async def test_a_poke_wakes_and_pokes_gather() -> None:
    async with Wake() as wake:
        wake.poke()
        wake.poke()
        assert await wake.wait(LONG) == {"poked"}
        waiting = asyncio.create_task(wake.wait(LONG))
        await asyncio.sleep(0)
        wake.poke()
        assert await waiting == {"poked"}
        assert await wake.wait(SHORT) == {"interval"}


async def test_without_a_repository_the_interval_wakes(tmp_path: Path) -> None:
    async with Wake(tmp_path / "none") as wake:
        assert await wake.wait(SHORT) == {"interval"}


async def test_a_repository_that_appears_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.wake._WATCH_AGAIN", timedelta(milliseconds=20))
    async with Wake(tmp_path / "later") as wake:
        await wake.wait(SHORT)
        repository(tmp_path / "later", "--bare")
        await quiet(wake)


async def test_the_first_cause_of_a_group_of_tasks_is_told() -> None:
    async def fails() -> None:
        async with asyncio.TaskGroup() as inner:
            inner.create_task(asyncio.to_thread((Path("/") / "nowhere").stat))

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.TaskGroup() as outer:
            outer.create_task(fails())
    assert first_cause(caught.value) == "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"


async def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    source = repository(tmp_path / "bare", "--bare")
    wake = Wake(source)
    await quiet(wake)
    async with asyncio.timeout(10):
        await wake.close()
    assert not [thread for thread in threading.enumerate() if "watch" in thread.name.lower()]
    assert await wake.wait(SHORT) == {"interval"}
