"""The status branch: one writer, coalesced commits, nothing lost to strangers, deletions, crashes and damage."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest

from engine.status import readmodel
from engine.status.views import EngineView, SyncView
from journal import points
from journal.errors import Refused
from reconciler.publication import owner
from reconciler.publication.claim import claim_in, with_claim
from reconciler.publication.publish import BranchGone, Foreign, OtherOwner, Publisher
from reconciler.repository.mirror import Mirror

STATUS = "refs/heads/opsconductor/status"
ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Fixed:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


class Place:
    """A remote, and engines that write to it, each with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = folder / "ops.git"
        (folder / "home").mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.remote], check=True)
        self.mirrors: list[Mirror] = []
        self.foreign: list[Foreign] = []

    def engine(self, name: str = "one", *, identity: str | None = None) -> Publisher:
        """A publisher as a newly started process has it; a second one of the same name finds what the first left."""
        mirror = Mirror(self.folder / name / "mirror.git", str(self.remote), environment=self.environment)
        self.mirrors.append(mirror)
        return Publisher(mirror, STATUS, engine_id=identity or name, clock=Fixed(), on_foreign=self.foreign.append)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", self.remote, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.rstrip("\n")

    def head(self) -> str:
        return self.git("rev-parse", STATUS)

    def files(self, ref: str = STATUS) -> dict[str, str]:
        names = self.git("ls-tree", "-r", "--name-only", ref).splitlines()
        return {name: self.git("show", f"{ref}:{name}") for name in names}

    def count(self) -> int:
        return int(self.git("rev-list", "--count", STATUS))

    def stranger(self, files: dict[str, str], *, start: str | None = STATUS) -> str:
        """A commit somebody makes on the branch by hand."""
        repository = pygit2.Repository(str(self.remote))
        base = repository[repository.revparse_single(start).id].tree if start else None
        builder = repository.TreeBuilder(base) if base else repository.TreeBuilder()
        for name, text in files.items():
            builder.insert(name, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB)
        who = pygit2.Signature("Mallory", "m@example.org", 1700000000, 0)
        parents = [repository.revparse_single(start).id] if start else []
        commit = str(repository.create_commit(None, who, who, "by hand", builder.write(), parents))
        repository.create_reference(STATUS, commit, force=True)
        return commit


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for mirror in made.mirrors:
        mirror.close()
    points.install(None)


async def test_a_first_publish_makes_the_branch(place: Place) -> None:
    publisher = place.engine()
    assert await publisher.open() is None

    commit = await publisher.publish({"sync.yaml": b"s", "runs/2026/11/21/a.yaml": b"a"}, "status: 1 run")

    assert commit == place.head()
    assert place.files() == {"sync.yaml": "s", "runs/2026/11/21/a.yaml": "a"}
    assert place.git("log", "-1", "--format=%B%cn <%ce> %cI", STATUS).split("\n") == [
        "status: 1 run [skip ci]",
        "OpsConductor <opsconductor@localhost> 2026-11-21T12:00:00+00:00",
    ]
    assert publisher.read("sync.yaml") == b"s"
    assert publisher.read("runs") is None
    assert publisher.list("runs/2026") == ("runs/2026/11/21/a.yaml",)
    assert publisher.list() == ("runs/2026/11/21/a.yaml", "sync.yaml")


async def test_writes_touch_only_what_they_name(place: Place) -> None:
    publisher = place.engine()
    await publisher.publish({"a/b/c": b"1", "a/d": b"2", "e": b"3"}, "m")
    await publisher.publish({"a/b/c": None, "e": b"4", "none/there": None}, "m")
    await publisher.publish({"e/f": None}, "m")
    assert place.files() == {"a/d": "2", "e": "4"}
    await publisher.publish({"e": None, "a/d": None}, "m")
    assert place.files() == {}


async def test_nothing_is_committed_while_nothing_changes(place: Place) -> None:
    publisher = place.engine()
    assert await publisher.publish({"a": None}, "m") is None
    first = await publisher.publish({"a": b"1"}, "m")
    place.remote.rename(place.folder / "away")  # nor is anybody asked
    assert await publisher.publish({"a": b"1", "b/c": None}, "m") == first
    (place.folder / "away").rename(place.remote)
    assert place.count() == 1


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/", "../a", "a/../b", ".git/config", "a/.git", "a\0b"])
async def test_a_path_that_is_none_is_a_bug(path: str, place: Place) -> None:
    with pytest.raises(ValueError, match="no path of a status file"):
        await place.engine().publish({path: b"x"}, "m")


async def test_a_foreign_commit_is_set_aside_and_our_line_goes_on(place: Place) -> None:
    """Nobody's work is lost, ours wins, and the users are told."""
    publisher = place.engine()
    ours = await publisher.publish({"a": b"1"}, "m")
    foreign = place.stranger({"a": "changed by hand", "extra": "x"})

    commit = await publisher.publish({"b": b"2"}, "m")

    assert commit == place.head()
    assert place.files() == {"a": "1", "b": "2"}
    assert place.git("rev-parse", f"{STATUS}^") == ours
    kept = f"refs/heads/opsconductor/status-foreign-{foreign[:12]}"
    assert place.git("rev-parse", kept) == foreign
    assert place.foreign == [Foreign(foreign, kept, "Mallory <m@example.org>", "by hand")]
    assert "Mallory" in place.foreign[0].message


async def test_a_foreign_commit_is_found_while_idle(place: Place) -> None:
    """A poll that includes the status ref is enough."""
    publisher = place.engine()
    ours = await publisher.publish({"a": b"1"}, "m")
    await publisher.seen(ours)
    foreign = place.stranger({"a": "by hand"})
    await publisher.seen(foreign)
    assert place.head() == ours
    assert [found.commit for found in place.foreign] == [foreign]


async def test_a_foreign_commit_made_while_we_were_down(place: Place) -> None:
    ours = await place.engine().publish({"a": b"1"}, "m")
    foreign = place.stranger({"a": "by hand"})
    again = place.engine()
    assert await again.open() == ours
    assert place.head() == ours
    assert [found.commit for found in place.foreign] == [foreign]


async def test_reading_only_sets_nothing_aside(place: Place) -> None:
    """`--paused` neither decides nor pushes."""
    await place.engine().publish({"a": b"1"}, "m")
    foreign = place.stranger({"a": "by hand"})
    paused = place.engine()
    assert await paused.open(read_only=True) == foreign
    assert paused.read("a") == b"by hand"
    assert place.head() == foreign
    await place.engine().open()
    assert place.head() != foreign


async def test_an_unrelated_history_is_set_aside_too(place: Place) -> None:
    publisher = place.engine()
    ours = await publisher.publish({"a": b"1"}, "m")
    foreign = place.stranger({"z": "z"}, start=None)
    await publisher.publish({"b": b"2"}, "m")
    assert place.files() == {"a": "1", "b": "2"}
    assert place.git("rev-parse", f"{STATUS}^") == ours
    assert [found.commit for found in place.foreign] == [foreign]


async def test_our_own_older_commit_pushed_back_needs_no_keeping(place: Place) -> None:
    publisher = place.engine()
    older = await publisher.publish({"a": b"1"}, "m")
    newer = await publisher.publish({"a": b"2"}, "m")
    place.git("update-ref", STATUS, str(older))
    await publisher.seen(older)
    assert place.head() == newer
    assert place.foreign == []
    assert "foreign" not in place.git("for-each-ref")


async def test_a_remote_that_forbids_rewinding(place: Place) -> None:
    """Our tree wins all the same: as a commit on top of the stranger's."""
    place.git("config", "receive.denyNonFastForwards", "true")
    publisher = place.engine()
    await publisher.publish({"a": b"1"}, "m")
    foreign = place.stranger({"a": "by hand"})
    await publisher.publish({"b": b"2"}, "m")
    assert place.files() == {"a": "1", "b": "2"}
    assert place.git("rev-parse", f"{STATUS}~2") == foreign


async def test_a_deleted_branch_is_told_and_begins_anew(place: Place) -> None:
    publisher = place.engine()
    await publisher.publish({"a": b"1"}, "m")
    place.git("update-ref", "-d", STATUS)
    with pytest.raises(BranchGone):
        await publisher.publish({"b": b"2"}, "m")
    await publisher.publish({"a": b"1", "b": b"2"}, "m")
    assert place.files() == {"a": "1", "b": "2"}
    assert place.count() == 1
    place.git("update-ref", "-d", STATUS)
    with pytest.raises(BranchGone):
        await publisher.seen(None)
    assert await place.engine().open() is None


async def test_a_lost_mirror_costs_nothing(place: Place) -> None:
    publisher = place.engine()
    first = await publisher.publish({"a": b"1"}, "m")
    (place.folder / "one" / "mirror.git").rename(place.folder / "one" / "gone")
    second = await publisher.publish({"b": b"2"}, "m")
    assert place.files() == {"a": "1", "b": "2"}
    assert place.git("rev-parse", f"{second}^") == first
    assert place.foreign == []


async def test_a_mirror_that_lost_our_commit_is_mended(place: Place) -> None:
    """As after a power cut: the objects of the last commits are there by name and empty."""
    publisher = place.engine()
    await publisher.publish({"a": b"1"}, "m")
    for file in (place.folder / "one" / "mirror.git" / "objects").glob("??/*"):
        file.unlink()
        file.write_bytes(b"")
    again = place.engine()
    await again.open()
    await again.publish({"b": b"2"}, "m")
    assert place.files() == {"a": "1", "b": "2"}
    assert place.foreign == []


async def test_a_push_that_is_forbidden_is_tried_again_without_loss(place: Place) -> None:
    publisher = place.engine()
    await publisher.publish({"a": b"1"}, "m")
    hook = place.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="does not take"):
        await publisher.publish({"b": b"2"}, "m")
    hook.unlink()
    await publisher.publish({"b": b"2", "c": b"3"}, "m")
    assert place.files() == {"a": "1", "b": "2", "c": "3"}
    assert place.count() == 2


async def test_a_push_whose_answer_was_lost_is_known_again(place: Place) -> None:
    """The commit arrived, we were told it had not, and more came up since: it is ours, not a stranger's."""
    publisher = place.engine()
    await publisher.publish({"a": b"1"}, "m")

    def lose(point: str) -> None:
        if point == "status.pushed":
            points.install(None)
            raise ConnectionError

    points.install(lose)
    with pytest.raises(ConnectionError):
        await publisher.publish({"b": b"2"}, "m")
    await publisher.publish({"b": b"2", "c": b"3"}, "m")
    assert place.files() == {"a": "1", "b": "2", "c": "3"}
    assert place.count() == 3
    assert place.foreign == []
    assert "tried" not in "".join(pygit2.Repository(str(place.folder / "one" / "mirror.git")).references)


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from journal import points
from reconciler.repository.mirror import Mirror
from reconciler.publication.publish import Publisher
from journal.clock import SystemClock

def die(point):
    if point == {point!r}:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    mirror = Mirror(Path({mirror!r}), {remote!r}, environment={environment!r})
    publisher = Publisher(mirror, {ref!r}, engine_id="one", clock=SystemClock())
    await publisher.open()
    points.install(die)
    await publisher.publish({{"b": b"2"}}, "m")
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "point", ["mirror.fetched", "status.written", "status.pushed", "status.recorded", "status.set-aside"]
)
@pytest.mark.parametrize("meanwhile", [False, True])
async def test_killed_anywhere_the_same_content_converges(point: str, meanwhile: bool, place: Place) -> None:
    """The caller's cursor has not moved, so it repeats itself: one commit in the end, none of ours foreign."""
    publisher = place.engine()
    first = await publisher.publish({"a": b"1"}, "m")
    foreign = place.stranger({"x": "x"}) if point in {"mirror.fetched", "status.set-aside"} else None
    code = CHILD.format(
        tests=str(ROOT), point=point, mirror=str(place.folder / "one" / "mirror.git"), remote=str(place.remote),
        environment=place.environment, ref=STATUS,
    )  # fmt: skip
    if foreign:  # found by the push, not at the start
        place.git("update-ref", STATUS, str(first))
        code = code.replace("    points.install(die)\n", f"    points.install(die)\n    {MOVE}\n")
        code = code.replace("@FOREIGN@", foreign).replace("@REMOTE@", str(place.remote))
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert child.returncode == -signal.SIGKILL, child.stderr

    again = place.engine()
    await again.open()
    await again.publish({"b": b"2", "c": b"3"} if meanwhile else {"b": b"2"}, "m")

    assert place.files() == {"a": "1", "b": "2"} | ({"c": "3"} if meanwhile else {})
    assert place.git("merge-base", "--is-ancestor", str(first), STATUS) == ""
    if not meanwhile:
        assert place.count() == 2
    kept = place.git("for-each-ref", "--format=%(objectname)", "refs/heads/opsconductor/status-foreign-*").split()
    assert kept == ([foreign] if foreign else [])


MOVE = "import subprocess; subprocess.run(['git', '-C', '@REMOTE@', 'update-ref', " + repr(STATUS) + ", '@FOREIGN@'])"


async def test_loose_objects_do_not_grow_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.publication.publish._TIDY_AFTER_COMMITS", 10)
    publisher = place.engine()
    for number in range(25):
        await publisher.publish({f"runs/{number}": b"x%d" % number}, "m")
    loose = list((place.folder / "one" / "mirror.git" / "objects").glob("??/*"))
    assert len(loose) <= 10 * 4
    assert len(place.files()) == 25


# --- one owner --------------------------------------------------------------------------------------------------------


async def no_sleep(_: float) -> None:
    return None


async def claim(publisher: Publisher, *, take_over: bool = False) -> owner.Found:
    return await owner.claim(publisher, clock=Fixed(), take_over=take_over, host="host-a", sleep=no_sleep)


async def test_an_engine_claims_before_it_decides_and_closes_at_the_end(place: Place) -> None:
    publisher = place.engine()
    found = await claim(publisher)
    own = EngineView("one", "host-a", NOON, None)
    assert found == owner.Found(own, before=None, commit=None)
    assert found.drained
    assert claim_in(place.files()["sync.yaml"].encode()) == own

    drawn = readmodel.to_yaml(readmodel.sync_file(SyncView(engine=own, observed="a" * 40)))
    await publisher.publish({"sync.yaml": drawn.encode()}, "m")
    await owner.close(publisher, clock=Fixed())

    closed = EngineView("one", "host-a", NOON, NOON)
    assert claim_in(place.files()["sync.yaml"].encode()) == closed
    assert f"observedCommit: {'a' * 40}" in place.files()["sync.yaml"]
    again = await claim(place.engine("two"))
    assert again.before == closed
    assert again.drained


async def test_another_open_claim_is_refused_by_name(place: Place) -> None:
    await claim(place.engine("one"))
    head = place.head()
    with pytest.raises(Refused, match=r"belongs to engine one on host-a .*--take-over"):
        await claim(place.engine("two"))
    assert place.head() == head


async def test_our_own_claim_is_known_after_the_store_was_deleted(place: Place) -> None:
    """The id comes from machine and state path."""
    await claim(place.engine("one"))
    found = await claim(place.engine("elsewhere", identity="one"))
    assert not found.drained
    assert found.before is not None
    assert found.before.id == "one"


async def test_taking_over_waits_takes_in_and_the_other_stops(place: Place) -> None:
    one, two = place.engine("one"), place.engine("two")
    await claim(one)
    await one.publish({"a": b"1"}, "m")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        with pytest.raises(OtherOwner, match="belongs to engine two"):
            await one.publish({"b": b"2"}, "m")

    found = await owner.claim(two, clock=Fixed(), take_over=True, host="host-b", sleep=sleep)

    assert slept == [4.0]
    assert not found.drained
    assert two.read("a") == b"1"
    assert place.foreign == []
    await two.publish({"c": b"3"}, "m")
    with pytest.raises(OtherOwner):
        await one.seen(place.head())


async def test_of_two_engines_that_start_at_once_one_owns(place: Place) -> None:
    """Both saw no claim; the push of the second one is refused, and it finds the first one's."""

    def late(point: str) -> None:
        if point == "status.written":
            points.install(None)
            text = with_claim(None, EngineView("first", "host-z", NOON, None)).decode()
            place.stranger({"sync.yaml": text}, start=None)

    points.install(late)
    with pytest.raises(Refused, match="belongs to engine first"):
        await claim(place.engine("two"))


async def test_a_frozen_engine_that_comes_back_does_not_overwrite_its_successor(place: Place) -> None:
    """Also when the successor has closed its claim meanwhile."""
    one, two = place.engine("one"), place.engine("two")
    await claim(one)
    await claim(two, take_over=True)
    await owner.close(two, clock=Fixed())
    with pytest.raises(OtherOwner):
        await one.publish({"a": b"1"}, "m")
    assert "a" not in place.files()
