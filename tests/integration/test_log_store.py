"""Where logs are kept: a folder, and a bucket of a real server, by one suite; and how they get there."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from engine.identity import RunId
from engine.states import RunState
from journal import facts, history, leases, measures, outbox
from journal.errors import Refused, Unavailable
from journal.store import Journal
from runners import uploads
from runners.logs import FETCHED, files_in, folder_of
from runners.logstore import LogStore
from runners.ownlogs import OwnLogs
from runners.uploads import CONSUMER, Uploads
from schemas.project import Retention
from tests.buckets import Buckets, buckets
from tests.contract.conftest import Desk, GivenClock, a_run

RUN = RunId("rotate-20261121T001500Z-9f31c2a07b")
OTHER = RunId("rotate-20261121T001500Z-9f31c2a07c")
STEPS = f"{folder_of(RUN)}/web-01/steps.space.1.log"
ROUND = f"{folder_of(RUN)}/web-01/steps.each[0].wörk.1.log"
RESCUE = f"{folder_of(RUN)}/web-01/steps.rotate/rescue.mend.1.log"


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, server: Buckets, monkeypatch: pytest.MonkeyPatch) -> LogStore:
    if request.param == "folder":
        return LogStore.open(str(tmp_path / "kept"), {})
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = "b" + "".join(char for char in request.node.name.lower() if char.isalnum())[-40:]
    return LogStore.open(server.make(bucket) + "/some/where", server.environment)


def written(root: Path, *names: str, text: str = "hello\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


async def test_what_is_kept_can_be_had_again(store: LogStore, tmp_path: Path) -> None:
    logs, back = tmp_path / "logs", tmp_path / "back"
    written(logs, STEPS, ROUND, RESCUE)
    for name in (STEPS, ROUND, RESCUE, STEPS):
        await store.put(name, logs / name)
    assert sorted(await store.names(RUN)) == sorted([STEPS, ROUND, RESCUE])
    assert await store.names(OTHER) == []
    assert await store.fetch_run(RUN, back)
    assert files_in(back, RUN) == files_in(logs, RUN)
    assert (back / ROUND).read_text() == "hello\n"
    assert not await store.fetch_run(OTHER, back)


async def test_a_large_log_passes_in_parts(store: LogStore, tmp_path: Path) -> None:
    written(tmp_path / "logs", STEPS, text="0123456789abcdef" * (1 << 20))
    await store.put(STEPS, tmp_path / "logs" / STEPS)
    await store.fetch(STEPS, tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == 16 << 20


async def test_what_is_removed_is_gone_and_again_is_harmless(store: LogStore, tmp_path: Path) -> None:
    written(tmp_path / "logs", STEPS)
    await store.put(STEPS, tmp_path / "logs" / STEPS)
    await store.remove(RUN)
    await store.remove(RUN)
    assert await store.names(RUN) == []
    with pytest.raises(Unavailable, match="cannot be had"):
        await store.fetch(STEPS, tmp_path / "back")


async def test_a_file_that_is_gone_is_left_out(store: LogStore, tmp_path: Path) -> None:
    await store.put(STEPS, tmp_path / "logs" / STEPS)
    assert await store.names(RUN) == []


@pytest.mark.parametrize("url", ["ftp://host/x", "gs://bucket/x", "s3://", "s3://user:pass@bucket/x", "https://host/b"])
def test_what_is_no_place_for_logs_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="logs go to a folder") as refused:
        LogStore.open(url, {})
    assert "pass" not in refused.value.message


async def test_a_bucket_that_is_not_there_is_said_in_a_line(server: Buckets, tmp_path: Path) -> None:
    written(tmp_path, STEPS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        store = LogStore.open("s3://nosuch", server.environment)
        with pytest.raises(Unavailable) as away:
            await store.put(STEPS, tmp_path / STEPS)
    assert "\n" not in away.value.message and "not-a-real-secret" not in away.value.message
    assert "there is no such bucket" in away.value.message


@pytest.mark.parametrize("endpoint", ["nonsense", "https://a b", "https://", "ftp://host", "http://host:port"])
def test_what_is_no_endpoint_is_refused_before_a_log_is_brought(endpoint: str) -> None:
    """The library breaks by it, and with the engine."""
    with pytest.raises(Refused, match="AWS_ENDPOINT_URL: write https://HOST"):
        LogStore.open("s3://bucket/logs", {"AWS_ENDPOINT_URL": endpoint})


@pytest.mark.parametrize("url", ["s3://a b", "s3://bucket/x?y=1", "s3://bucket:80", "s3://b"])
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="write s3://BUCKET"):
        LogStore.open(url, {})


async def test_an_endpoint_that_does_not_answer_is_said_in_words(tmp_path: Path) -> None:
    written(tmp_path, STEPS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "eu-central-1",
        }  # fmt: skip
        for name, value in environment.items():
            patch.setenv(name, value)
        store = LogStore.open("s3://bucket/logs", environment)
        with pytest.raises(Unavailable, match="the endpoint of the bucket does not answer"):
            await store.put(STEPS, tmp_path / STEPS)


# --- how they get there ----------------------------------------------------------------------------------------------


@dataclass
class Ended(Desk):
    """A desk with runs that leave logs."""

    root: Path = Path()

    async def ran(self, name: str) -> RunId:
        await self.enqueue(a_run(name))
        (claim,) = await self.claim()
        await self.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=self.clock.now())
        return self.logged(claim.fence.run)

    def logged(self, run: RunId) -> RunId:
        written(self.root, f"{folder_of(run)}/web-01/steps.space.1.log", f"{folder_of(run)}/web-01/{FETCHED}/a.log")
        return run


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Ended]:
    clock = GivenClock()
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db", clock=clock)
    yield Ended(journal, clock, root=tmp_path / "logs")
    await journal.close()


def of(desk: Ended, store: LogStore) -> Uploads:
    return Uploads(desk.journal, desk.clock, desk.root, store)


async def test_ended_runs_are_brought_once_and_those_that_go_on_are_not(desk: Ended, store: LogStore) -> None:
    ended = await desk.ran("one")
    goes_on = desk.logged((await desk.running("two")).fence.run)
    await of(desk, store).finish()
    assert await store.names(ended) == [f"{folder_of(ended)}/web-01/steps.space.1.log"]
    assert await store.names(goes_on) == []
    assert await desk.see(outbox.position, CONSUMER) == await desk.see(outbox.last)


async def test_nothing_is_forgotten_while_the_place_is_away(desk: Ended, tmp_path: Path) -> None:
    blocked = tmp_path / "kept"
    store = LogStore.open(str(blocked), {})
    blocked.rmdir()
    blocked.write_text("not a folder")
    runs = [await desk.ran(f"n{number}") for number in range(30)]
    keeping = of(desk, store)
    with pytest.raises(Unavailable):
        await keeping.finish()
    assert await desk.see(outbox.position, CONSUMER) < await desk.see(outbox.last)
    blocked.unlink()
    await of(desk, LogStore.open(str(blocked), {})).finish()
    assert all([await store.names(run) for run in runs])


async def test_what_ends_is_brought_as_it_ends(desk: Ended, store: LogStore) -> None:
    keeping = asyncio.create_task(of(desk, store).keep_up())
    try:
        run = await desk.ran("one")
        async with asyncio.timeout(30):
            while not await store.names(run):
                await asyncio.sleep(0.02)
    finally:
        keeping.cancel()


async def test_what_retention_removes_is_removed_there_too(desk: Ended, store: LogStore) -> None:
    run = await desk.ran("one")
    await of(desk, store).finish()
    await desk.do(uploads.removed, (run, RunId("nothing-was-kept-of-this")))
    await of(desk, store).finish()
    assert await store.names(run) == []
    assert await desk.see(facts.get, uploads.GONE) == []


class Picky(LogStore):
    """A store whose place refuses some things, as a bucket with rights of its own does."""

    def __init__(self, inner: LogStore, *, refuses: tuple[str, ...] = (), removes: bool = True) -> None:
        super().__init__(inner._store, inner.shown)
        self._refuses, self._removes = refuses, removes

    async def put(self, name: str, file: Path) -> None:
        if any(run in name for run in self._refuses):
            raise Unavailable(f"{name} cannot be kept: the keys do not allow it", timedelta(seconds=10))
        await super().put(name, file)

    async def remove(self, run: RunId) -> None:
        if not self._removes:
            raise Unavailable("the logs cannot be removed: the keys do not allow it", timedelta(seconds=10))
        await super().remove(run)


async def test_logs_are_brought_where_nothing_may_be_removed(desk: Ended, store: LogStore) -> None:
    """A bucket whose objects are locked, or whose keys may only write, keeps what it has and takes what comes."""
    old = await desk.ran("old")
    await of(desk, store).finish()
    await desk.do(uploads.removed, (old,))
    new = await desk.ran("new")
    await of(desk, Picky(store, removes=False)).finish()
    assert await store.names(new)
    assert await desk.see(outbox.position, CONSUMER) == await desk.see(outbox.last)
    assert await desk.see(uploads.left) == uploads.Left(aside=0, gone=1)
    await of(desk, store).finish()
    assert await store.names(old) == []
    assert await desk.see(uploads.left) == uploads.Left(aside=0, gone=0)


@pytest.mark.parametrize("before, after", [(1, 1), (1, 0), (0, 40)])
async def test_one_run_whose_logs_never_get_there_holds_no_other_up(
    desk: Ended, store: LogStore, before: int, after: int
) -> None:
    first = [await desk.ran(f"before{number}") for number in range(before)]
    bad = await desk.ran("bad")
    later = [await desk.ran(f"after{number}") for number in range(after)]
    await of(desk, Picky(store, refuses=(bad,))).finish()
    assert all([await store.names(run) for run in (*first, *later)])
    assert await desk.see(outbox.position, CONSUMER) == await desk.see(outbox.last)
    assert await desk.see(uploads.left) == uploads.Left(aside=1, gone=0)
    assert ("logs.aside", 1) in (await desk.see(measures.read)).behind
    await of(desk, store).finish()
    assert await store.names(bad)
    assert await desk.see(uploads.left) == uploads.Left(aside=0, gone=0)


async def test_many_runs_that_never_get_there_hold_no_other_up(desk: Ended, store: LogStore) -> None:
    """More than one batch of them."""
    bad = [await desk.ran(f"bad{number}") for number in range(25)]
    good = await desk.ran("good")
    await of(desk, Picky(store, refuses=tuple(bad))).finish()
    assert await store.names(good)
    assert await desk.see(uploads.left) == uploads.Left(aside=len(bad), gone=0)


async def test_who_keeps_logs_nowhere_holds_the_outbox_up_no_longer(desk: Ended, store: LogStore) -> None:
    await desk.ran("one")
    await of(desk, store).finish()
    await desk.ran("two")
    await desk.do(uploads.off)
    assert await desk.see(outbox.position, CONSUMER) == 0
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    assert await desk.do(outbox.trim) > 0


async def test_who_leads_removes_what_retention_has_removed_and_brings_nothing(desk: Ended, store: LogStore) -> None:
    old, new = await desk.ran("old"), await desk.ran("new")
    await of(desk, store).finish()
    later = await desk.ran("later")
    await desk.do(uploads.removed, (old,))
    clearing = asyncio.create_task(of(desk, store).clear())
    watch = desk.journal.watch()
    while await desk.see(facts.get, uploads.GONE):
        await watch.changed(timeout=10)
    clearing.cancel()
    assert await store.names(old) == []
    assert await store.names(new)
    assert await store.names(later) == []


async def test_a_runner_among_several_brings_its_own_and_removes_what_retention_removed(
    desk: Ended, store: LogStore
) -> None:
    run, goes_on = await desk.ran("mine"), await desk.running("new")
    open_run = desk.logged(goes_on.fence.run)
    own = OwnLogs(desk.journal, desk.root, store)
    await own.finish()
    assert await store.names(run)
    await store.remove(run)
    await own.finish()
    assert await store.names(run) == [], "it was brought, and is not brought again"
    assert (desk.root / str(folder_of(run))).exists()
    await desk.do(history.prune, Retention(), desk.clock.now() + timedelta(days=1000))
    await own.finish()
    assert not (desk.root / str(folder_of(run))).exists()
    assert (desk.root / str(folder_of(open_run))).exists()


async def test_logs_of_runs_that_the_journal_never_had_stay_however_old(desk: Ended, store: LogStore) -> None:
    """The URL may name another database, or one of a backup, or one that the branch was not yet taken into."""
    strange = RunId("gone-20261121T001500Z-0123456789")
    written(desk.root, f"{folder_of(strange)}/web-01/steps.one.1.log")
    os.utime(desk.root / str(folder_of(strange)), (0, 0))
    await OwnLogs(desk.journal, desk.root, store).finish()
    await OwnLogs(desk.journal, desk.root, None).finish()
    assert (desk.root / str(folder_of(strange)) / "web-01" / "steps.one.1.log").exists()
    assert await store.names(strange) == []


async def test_logs_that_cannot_be_brought_hold_no_others_up(desk: Ended, store: LogStore) -> None:
    first, second = sorted([await desk.ran("one"), await desk.ran("two")])
    with pytest.raises(Unavailable):
        await OwnLogs(desk.journal, desk.root, Picky(store, refuses=(first,))).finish()
    assert await store.names(second)
    assert await store.names(first) == []
    await OwnLogs(desk.journal, desk.root, store).finish()
    assert await store.names(first)


async def test_a_runner_that_has_brought_many_asks_of_those_that_go_on_alone(desk: Ended, store: LogStore) -> None:
    """Its folder may have a hundred thousand runs, and it looks every ten seconds."""
    old, goes_on = await desk.ran("old"), await desk.running("new")
    run = desk.logged(goes_on.fence.run)
    own = OwnLogs(desk.journal, desk.root, store)
    await own.finish()
    assert (await store.names(old), await store.names(run)) == ([f"{folder_of(old)}/web-01/steps.space.1.log"], [])

    (desk.root / str(folder_of(old)) / "brought").unlink()
    await store.remove(old)
    await desk.do(leases.finish, goes_on.fence, RunState.SUCCEEDED, now=desk.clock.now())
    await own.look()
    assert await store.names(run), "it has ended since"
    assert await store.names(old) == [], "it was not looked at again"
    later = await desk.ran("later")
    await own.look()
    assert await store.names(later), "it has begun since"
