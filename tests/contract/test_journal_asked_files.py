"""Files of the repository on their way from the controller that leads to a runner without git."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pygit2
import pytest
from sqlalchemy import func, select

from journal import files
from journal.databases.controltables import file_parts
from journal.databases.controltables import files as table
from journal.store import Journal
from opsconductor.service.answering import Answering
from opsconductor.service.askedfiles import AskedFiles
from tests.contract.conftest import GivenClock, opened

LARGE = random.Random(8).randbytes(5 * files.PART + 17)


class KilledError(Exception):
    """As a controller would."""


@pytest.fixture
async def doors(url: str, clock: GivenClock) -> AsyncIterator[tuple[Journal, Journal]]:
    """Of the controller and of the runner."""
    found = opened(url, clock), opened(url, clock)
    yield found
    for door in found:
        await door.close()


def committed(path: Path, **contents: bytes) -> str:
    repository = pygit2.init_repository(path, bare=True)
    tree = repository.TreeBuilder()
    for name, data in contents.items():
        tree.insert(name, repository.create_blob(data), pygit2.enums.FileMode.BLOB)
    person = pygit2.Signature("Ada", "ada@example.org")
    return str(repository.create_commit("refs/heads/main", person, person, "files", tree.write(), []))


def answering(journal: Journal, clock: GivenClock, path: Path) -> "asyncio.Task[None]":
    one = Answering(journal, clock, path, catalog=lambda: None, seen=lambda: True, pushed=lambda: None)
    return asyncio.create_task(one.run())


async def ended(work: "asyncio.Task[None]") -> None:
    work.cancel()
    with suppress(asyncio.CancelledError, KilledError):
        await work


async def test_a_large_file_comes_whole_and_in_parts_between_which_others_write(
    doors: tuple[Journal, Journal], clock: GivenClock, tmp_path: Path
) -> None:
    commit = committed(tmp_path, large=LARGE, small=b"small", full=LARGE[: files.PART], none=b"")
    leads, runs = doors
    work, asked = answering(leads, clock, tmp_path), AskedFiles(runs, clock)
    for name, data in (("large", LARGE), ("small", b"small"), ("full", LARGE[: files.PART]), ("none", b"")):
        assert await asyncio.to_thread(asked.read, commit, name) == data
    assert [entry.path for entry in await asyncio.to_thread(asked.listed, commit, ".")] == [
        "full", "large", "none", "small",
    ]  # fmt: skip
    await ended(work)

    def longest(conn):  # type: ignore[no-untyped-def]
        pieces = [conn.execute(select(func.max(func.length(of.c.data)))).scalar_one() for of in (table, file_parts)]
        return pieces, conn.execute(select(func.count()).select_from(file_parts)).scalar_one()

    assert await runs.read(longest) == ([files.PART, files.PART], 6)


async def test_a_controller_that_dies_between_two_parts_is_followed_by_one_that_begins_again(
    doors: tuple[Journal, Journal], clock: GivenClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(tmp_path, large=LARGE)
    leads, runs = doors
    put, given = files.put_part, asyncio.Event()
    loop = asyncio.get_running_loop()

    def dies(*arguments, number, **more):  # type: ignore[no-untyped-def]
        if number == 2:
            loop.call_soon_threadsafe(given.set)
            raise KilledError
        return put(*arguments, number=number, **more)

    monkeypatch.setattr(files, "put_part", dies)
    work, asked = answering(leads, clock, tmp_path), AskedFiles(runs, clock)
    reading = asyncio.create_task(asyncio.to_thread(asked.read, commit, "large"))
    await given.wait()
    await ended(work)
    monkeypatch.undo()
    assert not reading.done()
    work = answering(leads, clock, tmp_path)
    assert await reading == LARGE
    await ended(work)
