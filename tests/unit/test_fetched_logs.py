"""Logs that only the place for logs has are fetched once, and do not fill the disk."""

import asyncio
from pathlib import Path

import pytest

from engine.identity import RunId
from journal.errors import Unavailable
from opsconductor.dashboard.fetched import Fetched
from opsconductor.dashboard.logindex import Indexes
from opsconductor.dashboard.pages.log import kept_log
from runners.logs import folder_of
from runners.logstore import LogStore

RUN = RunId("job-20261121T001500Z-9f31c2a07b")
FOLDER = folder_of(RUN)


class Counted(LogStore):
    """A folder that notes what is fetched from it."""

    def __init__(self, root: Path) -> None:
        kept = LogStore.open(str(root), {})
        super().__init__(kept._store, kept.shown)
        self.fetches: list[str] = []

    async def fetch(self, name: str, to: Path) -> None:
        self.fetches.append(name)
        await super().fetch(name, to)


def store_with(root: Path, logs: dict[str, bytes]) -> Counted:
    for name, content in logs.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return Counted(root)


def test_of_a_steps_attempts_the_one_that_is_shown_is_fetched_and_only_once(tmp_path: Path) -> None:
    name = f"{FOLDER}/here/steps.talk.{{}}.log"
    logs = {name.format(number): b"line\n" * number for number in (1, 2, 3)}
    store, fetched = store_with(tmp_path, logs | {f"{FOLDER}/here/steps.other.1.log": b"x"}), Fetched()

    async def looked(attempt: int | None) -> dict[int, Path]:
        return await kept_log(fetched, store, RUN, ("here", "talk"), attempt)

    async def looks() -> None:
        first, again = await asyncio.gather(looked(None), looked(None))
        assert first == again and sorted(first) == [1, 2, 3]
        assert first[3].read_bytes() == b"line\n" * 3
        assert store.fetches == [name.format(3)]
        assert (await looked(1))[1].read_bytes() == b"line\n"
        assert sorted(await looked(9)) == [1, 2, 3]
        assert await kept_log(fetched, store, RUN, ("here", "none"), None) == {}
        assert store.fetches == [name.format(3), name.format(1)]

    asyncio.run(looks())


def test_its_lines_are_counted_to_the_end_by_those_who_look_again(tmp_path: Path) -> None:
    store, fetched, indexes = store_with(tmp_path, {"log": b"line\n" * 1_000_000}), Fetched(), Indexes()

    async def looks() -> list[bool]:
        return [indexes.of(await fetched.file(store, "log"), patience=part).whole for part in (0, 60)]

    assert asyncio.run(looks()) == [False, True]


def test_together_they_take_no_more_than_they_may_and_the_oldest_go(tmp_path: Path) -> None:
    store, fetched = store_with(tmp_path, {name: name.encode() * 10 for name in "abc"}), Fetched(most=20)

    async def looks() -> None:
        a, b = await fetched.file(store, "a"), await fetched.file(store, "b")
        await fetched.file(store, "a")
        c = await fetched.file(store, "c")
        assert [file.exists() for file in (a, b, c)] == [True, False, True]
        assert (await fetched.file(store, "b")).read_bytes() == b"b" * 10
        assert store.fetches == ["a", "b", "c", "b"]

    asyncio.run(looks())


def test_what_cannot_be_had_leaves_nothing_and_is_fetched_when_it_can(tmp_path: Path) -> None:
    store, fetched = store_with(tmp_path, {}), Fetched()

    async def looks() -> None:
        with pytest.raises(Unavailable):
            await fetched.file(store, "log")
        (tmp_path / "log").write_bytes(b"here")
        file = await fetched.file(store, "log")
        assert [one.name for one in file.parent.iterdir()] == [file.name]

    asyncio.run(looks())
