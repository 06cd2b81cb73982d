"""The loop on a real repository and a real journal: what it takes in, and what cannot stop it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pygit2
import pytest
import pytest_asyncio
from sqlalchemy import select

from engine.checks import steps
from engine.checks.scope import Scope
from engine.compile import Compiled
from journal import acts, events, facts, runs
from journal.clock import Clock, SystemClock
from journal.databases.tables import decisions
from journal.databases.tables import runs as runs_table
from journal.errors import Unavailable
from journal.events import NewEvent
from journal.store import Journal
from reconciler.accepted import ACCEPTED
from reconciler.acts import door
from reconciler.acts.door import RequestsDoor
from reconciler.loop import Loop
from reconciler.repository.history import History
from reconciler.repository.mirror import Mirror
from reconciler.repository.mirrorfolder import MARK
from reconciler.repository.objects import Objects
from reconciler.wake import Wake
from schemas import reader
from schemas.diagnostic import Diagnostic
from schemas.quantities import format_instant
from schemas.reader import Authored
from tests.catalogs import PROJECT
from tests.trees import without_end

MAIN, REQUESTS = "refs/heads/main", "refs/heads/opsconductor/requests"
JOB = """apiVersion: opsconductor/v1
kind: Target
metadata: {name: here}
spec: {connections: {local: {}}}
---
apiVersion: opsconductor/v1
kind: Job
metadata: {name: greet}
spec: {targets: {names: [here]}, concurrency: {onConflict: queueOne}, steps: [{run: echo hello}]}
"""
ASK = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {{name: {name}}}\nspec: {{jobRef: greet}}\n"


class Site:
    """A bare repository, and a loop on it that has a journal but no runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "ops.git"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            **{f"GIT_{who}_{what}": "ana@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.source], check=True)
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=SystemClock())
        self.loop = self.new_loop()

    def new_loop(self, *, decides: bool = True, watched: bool = True, clock: Clock | None = None) -> Loop:
        mirror = Mirror(self.folder / "mirror.git", str(self.source), environment=self.env)
        return Loop(
            journal=self.journal,
            mirror=mirror,
            objects=Objects(mirror.path),
            wake=Wake(self.source if watched else None),
            clock=clock or SystemClock(),
            branch="main",
            decides=decides,
        )

    def git(self, *arguments: str, data: bytes = b"") -> str:
        done = subprocess.run(
            ["git", "-C", self.source, *arguments], input=data, capture_output=True, check=True, env=self.env
        )
        return done.stdout.decode().strip()

    def commit(self, ref: str, files: dict[str, str]) -> str:
        """Set a branch to a tree with these files, on top of what it has."""
        env = {**self.env, "GIT_INDEX_FILE": str(self.folder / "index")}
        (self.folder / "index").unlink(missing_ok=True)
        parent = subprocess.run(["git", "-C", self.source, "rev-parse", "-q", "--verify", ref], capture_output=True)
        for path, text in files.items():
            blob = self.git("hash-object", "-w", "--stdin", data=text.encode())
            words = ["update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"]
            subprocess.run(["git", "-C", self.source, *words], check=True, env=env)
        tree = subprocess.run(["git", "-C", self.source, "write-tree"], capture_output=True, check=True, env=env)
        parents = ["-p", parent.stdout.decode().strip()] if parent.returncode == 0 else []
        made = self.git("commit-tree", tree.stdout.decode().strip(), *parents, "-m", "change")
        self.git("update-ref", ref, made)
        return made

    async def look(self) -> None:
        await self.loop.look()
        await self.loop.once()


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB})
    await made.look()
    yield made
    await made.journal.close()


async def test_a_broken_requests_branch_blocks_no_definitions(site: Site) -> None:
    """One bad object on a branch that anybody may push to must not stop commits from coming into force."""
    tree = b"0100644 a.yaml\x00" + bytes.fromhex(site.git("hash-object", "-w", "--stdin", data=b"x"))
    odd = site.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", data=tree)
    site.git("update-ref", REQUESTS, site.git("commit-tree", odd, "-m", "zero-padded mode"))
    head = site.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB + "\n"})
    await site.look()
    assert site.loop.sync.applied == head
    assert site.loop.sync.requests_trouble


async def test_a_requests_branch_without_end_is_said_and_read_again_once_it_is_mended(site: Site) -> None:
    """Anybody may push there: a kilobyte must not take the engine's memory, and no act is lost by it."""
    tree = without_end(pygit2.Repository(str(site.source)))
    ask = site.commit(REQUESTS, {"requests/one.yaml": ASK.format(name="one")})
    bomb = site.git("mktree", data=f"{site.git('ls-tree', ask)}\n040000 tree {tree}\tx\n".encode())
    site.git("update-ref", REQUESTS, site.git("commit-tree", bomb, "-p", ask, "-m", "bomb"))
    await site.look()
    assert "no act on it is read" in (site.loop.sync.requests_trouble or "")
    await site.loop.all_acts()
    assert site.loop.unread is not None, "who fills a new store must not take none for all of them"
    assert not await site.journal.read(lambda conn: acts.seen(conn, ["one"]))
    mended = site.git("commit-tree", f"{ask}^{{tree}}", "-p", site.git("rev-parse", REQUESTS), "-m", "mended")
    site.git("update-ref", REQUESTS, mended)
    await site.look()
    await site.look()
    assert site.loop.sync.requests_trouble is None
    assert [one.authored.document.name for one in await site.loop.all_acts()] == ["one"]
    assert site.loop.unread is None
    assert (await site.journal.read(lambda conn: acts.seen(conn, ["one"])))["one"].state == "accepted"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"files": 2}, "more than 2 files that changed since all was answered"),
        ({"acts": 5}, "more than 5 requests that changed since all was answered"),
        ({}, "more than 0 MiB together"),
    ],
)
async def test_more_than_is_read_at_once_is_said_and_what_is_left_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], said: str
) -> None:
    """A push of a few kilobytes may name one content at any number of paths."""
    site.commit(REQUESTS, {"requests/first.yaml": ASK.format(name="first")})
    await site.look()
    many = "---\n".join(ASK.format(name=f"many-{number}") for number in range(3))
    kept = {f"requests/{name}.yaml": ASK.format(name=name) for name in ("first", "good")}
    site.commit(REQUESTS, {**kept, **{f"requests/many-{number}.yaml": many for number in range(3)}})
    monkeypatch.setattr(door, "_SINCE_ANSWERED", replace(door._SINCE_ANSWERED, **limits))
    if not limits:
        monkeypatch.setattr(door, "MAX_TOTAL", 500)
    await site.look()
    trouble = site.loop.sync.requests_trouble or ""
    assert said in trouble
    assert "with another commit" in trouble
    site.loop = site.new_loop()
    await site.loop.start()
    await site.look()
    assert site.loop.sync.requests_trouble == trouble, "a restart neither reads it nor takes it for answered"
    assert not await site.journal.read(lambda conn: acts.seen(conn, ["good", "many-0"]))
    site.commit(REQUESTS, kept)
    await site.look()
    assert site.loop.sync.requests_trouble is None
    answers = await site.journal.read(lambda conn: acts.seen(conn, ["good", "many-0"]))
    assert {name: one.state for name, one in answers.items()} == {"good": "accepted"}


async def test_what_stands_in_many_places_is_read_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is answered is not kept while it is read, and others have their turn between portions."""
    site.commit(REQUESTS, {"requests/seen.yaml": ASK.format(name="seen")})
    await site.look()
    texts = {f"requests/a-{number}.yaml": ASK.format(name=f"ask-{number}") for number in range(5)}
    same = "---\n".join(ASK.format(name=name) for name in ("seen", "fresh"))
    head = site.commit(REQUESTS, {**texts, **{f"requests/same-{number}.yaml": same for number in range(40)}})
    await site.loop.look()
    read: list[str] = []
    turns: list[int] = []
    monkeypatch.setattr(door, "read", lambda data, path: read.append(path) or reader.read(data, path))
    monkeypatch.setattr(door, "_MOST_READ", 2)

    async def between() -> None:
        turns.append(len(read))

    mirror = site.folder / "mirror.git"
    news = await RequestsDoor(site.journal, Objects(mirror), History(mirror)).news(head, between=between)
    assert (sorted(read), turns, news.malformed) == (sorted([*texts, "requests/same-0.yaml"]), [2, 4], ())
    assert [(one.authored.file, one.authored.document.name) for one in news.found] == sorted(
        [(f"requests/a-{number}.yaml", f"ask-{number}") for number in range(5)]
        + [(f"requests/same-{number}.yaml", "fresh") for number in range(40)]
    )


async def test_what_a_new_engine_could_not_read_at_first_is_not_taken_for_new(tmp_path: Path) -> None:
    """Who may push there could else have old requests done again, by those who once signed them."""
    made = Site(tmp_path)
    ask = made.commit(REQUESTS, {"requests/old.yaml": ASK.format(name="old")})
    tree = without_end(pygit2.Repository(str(made.source)))
    bomb = made.git("mktree", data=f"{made.git('ls-tree', ask)}\n040000 tree {tree}\tx\n".encode())
    made.git("update-ref", REQUESTS, made.git("commit-tree", bomb, "-p", ask, "-m", "bomb"))
    head = made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB})
    await made.look()
    assert (made.loop.sync.applied, bool(made.loop.sync.requests_trouble)) == (head, True)
    made.loop = made.new_loop()
    await made.loop.start()  # that it was not read outlives the process
    made.git("update-ref", REQUESTS, ask)
    await made.look()
    answer = (await made.journal.read(lambda conn: acts.seen(conn, ["old"])))["old"]
    assert (answer.state, answer.reason) == ("refused", "tooOld")
    made.commit(REQUESTS, {"requests/new.yaml": ASK.format(name="new")})
    await made.look()
    assert (await made.journal.read(lambda conn: acts.seen(conn, ["new"])))["new"].state == "accepted"
    await made.journal.close()


async def test_an_act_is_answered_once_and_only_news_are_read(site: Site) -> None:
    site.commit(REQUESTS, {"requests/a.yaml": ASK.format(name="a")})
    await site.look()
    site.commit(REQUESTS, {"requests/a.yaml": ASK.format(name="a") + "\n", "requests/b.yaml": ASK.format(name="b")})
    await site.look()
    site.loop = site.new_loop()
    await site.loop.start()
    await site.look()
    answers = await site.journal.read(lambda conn: acts.seen(conn, ["a", "b"]))
    assert {name: row.state for name, row in answers.items()} == {"a": "accepted", "b": "accepted"}
    assert len(await site.journal.read(runs.open_runs)) == 2


async def test_an_act_at_fault_is_refused_under_its_own_name_wherever_it_stands(site: Site) -> None:
    """In a file of any name, on either branch; what stands beside it in the file is judged all the same."""
    wrong = ASK.replace("{{jobRef: greet}}", "{{jobRef: greet, notBefore: soon}}")
    asks = "---\n".join([wrong.format(name="typo"), ASK.format(name="fine")])
    twice = ASK.format(name="twice").replace("jobRef: greet", "jobRef: greet, jobRef: greet")
    site.commit(MAIN, {"definitions/asks.yaml": asks, "definitions/twice.yaml": twice})
    site.commit(
        REQUESTS, {"requests/first.yaml": wrong.format(name="other"), "requests/empty.yaml": "kind: RunRequest"}
    )
    await site.look()
    names = ["typo", "fine", "twice", "other", "first", "empty"]
    found = await site.journal.read(lambda conn: acts.seen(conn, names))
    assert {name: (row.state, row.reason) for name, row in found.items()} == {
        **dict.fromkeys(["typo", "twice", "other", "empty"], ("refused", "invalid")),
        "fine": ("accepted", None),
    }
    assert (found["typo"].message or "").startswith("definitions/asks.yaml:4:")
    site.commit(MAIN, {"definitions/asks.yaml": ASK.format(name="typo")})
    await site.look()
    assert len(await site.journal.read(runs.open_runs)) == 1, "a name is used up by its answer"


async def test_a_request_runs_while_the_definitions_are_broken(site: Site) -> None:
    good = site.loop.sync.applied
    site.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": "kind: Nonsense\n"})
    site.commit(REQUESTS, {"requests/a.yaml": ASK.format(name="a")})
    await site.look()
    assert (site.loop.sync.rejected, site.loop.sync.applied) == (True, good)
    (run,) = await site.journal.read(runs.open_runs)
    view = await site.journal.read(lambda conn: runs.get(conn, run))
    assert view is not None
    assert view.commit == good


async def test_the_commit_in_force_survives_rewritten_history_and_a_restart(site: Site) -> None:
    good = site.loop.sync.applied
    site.git("update-ref", "-d", MAIN)
    head = site.commit(MAIN, {"opsconductor.yaml": PROJECT})
    await site.look()
    assert site.loop.sync.frozen is not None
    assert (site.loop.sync.observed, site.loop.sync.applied) == (head, good)
    site.loop = site.new_loop()
    await site.loop.start()
    assert site.loop.catalog is not None
    assert site.loop.catalog.commit == good


async def test_a_paused_loop_looks_and_rests(site: Site) -> None:
    """Nothing is decided, so what is due stays due; that must not make it look again at once."""
    timed = (
        JOB
        + "---\napiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {name: s}\nspec: {jobRef: greet, every: 1s}\n"
    )
    site.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": timed})
    paused = site.new_loop(decides=False)
    await paused.look()
    stop = asyncio.Event()
    running = asyncio.create_task(paused.run(stop))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(running), timedelta(seconds=2.5).total_seconds())
    stop.set()
    await running
    assert paused.passes <= 3
    assert await site.journal.read(runs.open_runs) == ()


async def test_the_first_commit_sets_how_often_a_remote_is_looked_at(site: Site) -> None:
    """A remote cannot be watched, and until its first commit is in force its interval is not known."""
    loop = site.new_loop(watched=False)
    stop = asyncio.Event()
    often = {"opsconductor.yaml": PROJECT.replace("spec: {}", "spec: {interval: 1s}")}
    head = site.commit(MAIN, often)
    await loop.look()
    running = asyncio.create_task(loop.run(stop))
    try:
        async with asyncio.timeout(20):
            while loop.sync.applied != head:
                await asyncio.sleep(0.01)
            head = site.commit(MAIN, {**often, "definitions/greet.yaml": JOB})
            while loop.sync.applied != head:
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await running


async def test_a_bug_of_ours_rejects_the_commit_and_not_the_engine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    good = site.loop.sync.applied

    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("reconciler.definitions.compile_files", broken)
    site.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB + "\n"})
    await site.look()
    assert (site.loop.sync.rejected, site.loop.sync.applied) == (True, good)
    (finding,) = site.loop.sync.findings
    assert (finding.code, "a bug of ours" in finding.message) == ("OC801", True)


async def test_a_bug_in_one_check_rejects_the_commit_with_all_that_is_wrong(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in force stays, and the next good commit comes into force."""
    good, asked = site.loop.sync.applied, steps.about

    def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
        if authored.document.name == "odd":
            raise RecursionError("too deep")
        yield from asked(authored, scope)

    monkeypatch.setattr(steps, "about", about)
    job = JOB.partition("---\n")[2]
    odd, wrong = job.replace("greet", "odd"), job.replace("greet", "wrong").replace("steps", "stepz")
    files = {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB, "definitions/odd.yaml": odd}
    site.commit(MAIN, {**files, "definitions/wrong.yaml": wrong})
    await site.look()
    codes = {finding.span.file: finding.code for finding in site.loop.sync.findings}
    assert (site.loop.sync.rejected, site.loop.sync.applied) == (True, good)
    assert codes == {"definitions/odd.yaml": "OC801", "definitions/wrong.yaml": "OC203"}
    mended = site.commit(MAIN, {**files, "definitions/odd.yaml": odd.replace("odd", "even")})
    await site.look()
    assert (site.loop.sync.rejected, site.loop.sync.applied) == (False, mended)


async def test_what_is_asked_before_the_first_good_commit_waits_for_it(tmp_path: Path) -> None:
    """Not so what was there before the engine looked at all: a copied repository repeats nothing."""
    site = Site(tmp_path)
    tree = {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB.replace("steps", "stepz")}
    site.commit(MAIN, {**tree, "definitions/old.yaml": ASK.format(name="old")})
    older = {"requests/older.yaml": ASK.format(name="older")}
    site.commit(REQUESTS, older)
    await site.look()
    assert site.loop.sync.applied is None
    site.commit(REQUESTS, {**older, "requests/early.yaml": ASK.format(name="early")})
    await site.look()
    site.loop = site.new_loop()  # it is remembered over a restart
    await site.loop.start()
    mended = {"definitions/greet.yaml": JOB, "definitions/new.yaml": ASK.format(name="new")}
    site.commit(MAIN, {**tree, "definitions/old.yaml": ASK.format(name="old"), **mended})
    await site.look()
    seen = await site.journal.read(lambda conn: acts.seen(conn, ("old", "older", "early", "new")))
    assert {name: (one.state, one.reason) for name, one in seen.items()} == {
        "old": ("refused", "tooOld"),
        "older": ("refused", "tooOld"),
        "early": ("accepted", None),
        "new": ("accepted", None),
    }
    await site.journal.close()


START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class _Set(SystemClock):
    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant


class _Slow(SystemClock):
    """A clock by which everything takes long: it is seven seconds later whenever somebody looks."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        self.instant += timedelta(seconds=7)
        return self.instant


async def test_a_commit_that_takes_long_to_come_into_force_leaves_each_instant_one_decision(tmp_path: Path) -> None:
    """What was due until then belongs to the definitions of before, all of it, and nothing else does."""
    made = Site(tmp_path)
    made.loop = made.new_loop(clock=_Slow())
    often = JOB.replace("queueOne", "allow") + (
        "---\napiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {name: often}\n"
        "spec: {jobRef: greet, every: 5s, suspend: SUSPENDED}\n"
        "---\napiVersion: opsconductor/v1\nkind: Credential\nmetadata: {name: key}\n"
        "spec: {type: token, from: {file: key}}\n"
        "---\napiVersion: opsconductor/v1\nkind: Trigger\nmetadata: {name: hook}\n"
        "spec: {event: {webhook: {credentialRef: key}}, jobRef: greet}\n"
    )
    for suspended in ("false", "true", "false"):
        text = often.replace("SUSPENDED", suspended)
        head = made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": text})
        event = NewEvent("hook", head, "webhook", made.loop.schedules.next_due or START, payload=b"{}")
        await made.journal.write(lambda tx, event=event: events.receive(tx, event))  # type: ignore[misc]
        await made.look()
        assert made.loop.sync.applied == head
        await made.look()
    asked = select(decisions.c.verdict, decisions.c.first, decisions.c.last, decisions.c.times)
    rows = await made.journal.read(lambda conn: conn.execute(asked.order_by(decisions.c.first)).all())
    spans = [(row.first, row.last) for row in rows]
    assert {row.verdict for row in rows} == {"run", "skipped"}
    assert all(before[1] < after[0] for before, after in pairwise(spans)), "two decisions for one instant"
    due = (spans[-1][1] - spans[0][0]) // timedelta(seconds=5) + 1
    assert sum(row.times for row in rows) == due, "an instant that nobody decided"
    causes = await made.journal.read(lambda conn: conn.execute(select(runs_table.c.cause)).scalars().all())
    ran = {datetime.fromisoformat(cause["instant"]) for cause in causes if cause["kind"] == "schedule"}
    assert ran == {row.first for row in rows if row.verdict == "run"}, "a run of an instant that was skipped"
    await made.journal.close()


async def test_a_machine_that_sleeps_while_a_commit_is_read_wakes_to_no_clock_that_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass goes by the time at which it decides: by an older one, what the commit brought would seem to be ahead."""
    clock = _Set()
    made = Site(tmp_path)
    made.loop = made.new_loop(clock=clock)
    schedule = (
        "---\napiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {{name: {}}}\n"
        "spec: {{jobRef: greet, every: 30m, suspend: {}, catchUp: {{policy: all, window: 1d, max: 50}}}}\n"
    )
    files = {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB + schedule.format("old", "true")}
    made.commit(MAIN, files)
    await made.look()
    read = made.loop._intake.definitions.load

    async def sleeping(head: str) -> Compiled:
        clock.instant += timedelta(hours=3)
        return await read(head)

    monkeypatch.setattr(made.loop._intake.definitions, "load", sleeping)
    files["definitions/greet.yaml"] = JOB + schedule.format("old", "false") + schedule.format("new", "false")
    made.commit(MAIN, files)
    await made.look()
    monkeypatch.undo()
    await made.look()
    rows = await made.journal.read(lambda conn: conn.execute(select(decisions)).all())
    assert [(row.schedule, row.reason, row.first, row.last, row.times) for row in rows] == [
        ("old", "suspended", START + timedelta(minutes=30), START + timedelta(hours=3), 6)
    ]
    assert made.loop.sync.ahead is None
    await made.journal.close()


async def test_what_a_commit_sets_off_is_decided_by_that_commit(site: Site) -> None:
    """Nothing decides events between the words that a commit is in force and its being so."""
    head = site.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB.replace("hello", "you")})
    async with site.loop._deciders.triggers.turn:
        looking = asyncio.create_task(site.look())
        while site.loop.outlook.sighting.heads.get("main", head) != head:
            await asyncio.sleep(0.01)
        done, _ = await asyncio.wait({looking}, timeout=0.5)
        assert not done
        before = await site.journal.read(lambda conn: facts.get(conn, ACCEPTED, None))
        assert head not in str(before)
    await looking
    assert site.loop.sync.applied == head


async def test_workflows_ask_windows_of_their_own(site: Site) -> None:
    """They ask on the journal's thread, and what windows keep is for one thread at a time."""
    heeded, admissions = site.loop._deciders.workflows.heeded, site.loop.schedules.admissions
    assert heeded is not None
    assert admissions is not None
    assert heeded[1] is not admissions.windows


async def started_without_source(site: Site, clock: Clock | None = None) -> None:
    """Another loop, whose mirror is made anew while the source is away; it is there again thereafter."""
    away = site.source.rename(site.folder / "away.git")
    mirror = site.folder / "mirror.git"
    mark = (mirror / MARK).read_text()
    shutil.rmtree(mirror)
    subprocess.run(["git", "init", "-q", "--bare", mirror], check=True)
    (mirror / MARK).write_text(mark)
    site.loop = site.new_loop(watched=False, clock=clock)
    await site.loop.start()
    assert site.loop.catalog is None
    away.rename(site.source)


async def test_what_was_due_to_the_commit_in_force_is_decided_though_going_on_by_it_fails_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor, which comes with it, has no schedule any more: nobody else would account for these instants."""
    clock, made = _Set(), Site(tmp_path)
    made.loop = made.new_loop(clock=clock)
    every = "{jobRef: greet, every: 10m, catchUp: {policy: all, window: 1d, max: 100}}"
    schedule = f"---\napiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {{name: often}}\nspec: {every}\n"
    allow = JOB.replace("queueOne", "allow")
    made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/all.yaml": allow + schedule})
    await made.look()
    await started_without_source(made, clock)
    head = made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/all.yaml": allow})
    clock.instant += timedelta(minutes=35)
    keep, fails = Mirror.keep, iter([True])

    def fails_once(mirror: Mirror, name: str, commit: str) -> None:
        if next(fails, False):
            raise Unavailable("the disk is full")
        keep(mirror, name, commit)

    monkeypatch.setattr(Mirror, "keep", fails_once)
    with pytest.raises(Unavailable):
        await made.look()
    await made.look()
    assert made.loop.sync.applied == head
    rows = await made.journal.read(lambda conn: conn.execute(select(decisions)).all())
    assert {(row.schedule, row.verdict) for row in rows} == {("often", "run")}
    assert sum(row.times for row in rows) == 3
    await made.journal.close()


async def test_what_a_commit_sets_off_is_known_though_the_one_before_was_not_there_at_the_start(site: Site) -> None:
    """A mirror that is made anew while the source is away: its commits come together, and follow one another."""
    watches = "event: {definitions: {paths: ['definitions/note.yaml']}}, jobRef: greet"
    trigger = f"apiVersion: opsconductor/v1\nkind: Trigger\nmetadata: {{name: noted}}\nspec: {{{watches}}}\n"
    files = {"opsconductor.yaml": PROJECT, "definitions/greet.yaml": JOB, "definitions/trigger.yaml": trigger}
    before = site.commit(MAIN, {**files, "definitions/note.yaml": "# nothing yet\n"})
    await site.look()
    assert site.loop.sync.applied == before
    await started_without_source(site)
    head = site.commit(MAIN, {**files, "definitions/note.yaml": "# noted\n"})
    await site.look()
    assert site.loop.sync.applied == head
    (event,) = await site.journal.read(lambda conn: events.recent(conn, "noted"))
    assert (event.state, event.key.split("/")[1]) == ("started", head)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
async def test_after_an_outage_windows_hold_what_they_held_and_nothing_else(tmp_path: Path, policy: str) -> None:
    """An engine that was away from minute 5 to 185, with a window from 60 to 120 in between: what was due in it is
    skipped for it, or is not put off any more, whatever is caught up of the rest; each instant is accounted for."""
    clock = _Set()
    made = Site(tmp_path)
    made.loop = made.new_loop(clock=clock)
    times = "from: {}, until: {}".format(*(format_instant(START + timedelta(minutes=minute)) for minute in (60, 120)))
    text = (
        JOB.replace("queueOne", "allow")
        + "---\n"
        + JOB.split("---\n")[1].replace("greet", "later").replace("queueOne", "allow")
    )
    for name, blocked in (("greet", "skip"), ("later", "defer")):
        catches = f"catchUp: {{policy: {policy}, window: 1d, max: 100}}"
        text += (
            f"---\napiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {{name: {name}}}\n"
            f"spec: {{jobRef: {name}, every: 10m, {catches}}}\n"
            f"---\napiVersion: opsconductor/v1\nkind: Window\nmetadata: {{name: {name}}}\n"
            f"spec: {{effect: deny, {times}, blocked: {blocked}, jobs: {{names: [{name}]}}}}\n"
        )
    made.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/all.yaml": text})
    await made.look()
    clock.instant += timedelta(minutes=5)
    await made.look()
    clock.instant += timedelta(hours=3)
    made.loop = made.new_loop(clock=clock)
    await made.loop.start()
    await made.look()

    rows = await made.journal.read(lambda conn: conn.execute(select(decisions)).all())
    found: dict[str, dict[str, int]] = {"greet": {}, "later": {}}
    for row in rows:
        found[row.schedule][row.reason or row.verdict] = (
            found[row.schedule].get(row.reason or row.verdict, 0) + row.times
        )
    assert (
        found
        == {
            "none": {"greet": {"window": 6, "missed": 12}, "later": {"missed": 18}},
            "latest": {"greet": {"window": 6, "missed": 11, "run": 1}, "later": {"missed": 17, "run": 1}},
            "all": {"greet": {"window": 6, "run": 12}, "later": {"run": 18}},
        }[policy]
    )
    starts = await made.journal.read(
        lambda conn: conn.execute(select(runs_table.c.starts_at, runs_table.c.state)).all()
    )
    assert {row.state for row in starts} <= {"queued"}, "no window holds them any more"
    await made.journal.close()
