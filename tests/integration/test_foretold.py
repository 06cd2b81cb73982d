"""What `next` foretells is what the engine does, and what `why` says of it: by one night in which clocks go back.

The engine wakes when it says that something is due, and goes over to a commit that renames schedules half way.
"""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from engine.catalog import Catalog
from engine.schedules.dueness import rule
from engine.schedules.fires import Fire, upcoming
from engine.states import RunState
from engine.status.views import SyncView
from journal import leases, names, renames, runviews, schedules
from opsconductor.evidence import Evidence
from opsconductor.inquiry import Inquiry
from opsconductor.repository import Repository
from reconciler.publication.projection import Projection
from tests.catalogs import catalog, job, local_target
from tests.integration.test_held_runs import MINUTE, T0, Bench
from tests.integration.test_rebuild import STATUS, Site

pytestmark = pytest.mark.slow

BEGIN, RENAME, END = (datetime(2026, 10, day, hour, 5, tzinfo=UTC) for day, hour in ((24, 20), (25, 3), (25, 10)))
PROJECT = (
    "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: test}\nspec: {defaults: {timeZone: Europe/Berlin}}\n"
)
HELD = {
    "off": "kind: Calendar\nmetadata: {name: off}\nspec: {dates: [2026-10-25]}\n",
    "freeze": "from: 2026-10-25T00:00:00Z, until: 2026-10-25T04:10:00Z, blocked: skip, jobs: {names: [held]}",
    "later": "from: 2026-10-25T05:00:00Z, until: 2026-10-25T07:00:00Z, blocked: defer, jobs: {names: [later]}",
}
TIMES = {
    "both": "jobRef: greet, cron: '30 1-3 * * *', timeZone: Europe/Berlin, dst: {fold: both}",
    "second": "jobRef: greet, cron: '30 2 * * *', timeZone: Europe/Berlin, dst: {fold: second}",
    "rule": 'jobRef: greet, rrule: "FREQ=HOURLY;INTERVAL=2;BYMINUTE=45;BYSECOND=0\\nEXDATE:20261025T064500",'
    " startAt: 2020-01-01T00:00:00Z, timeZone: Europe/Berlin",
    "weekly": "jobRef: greet, rrule: 'FREQ=WEEKLY;BYDAY=SU;BYHOUR=1,2,3;BYMINUTE=15;BYSECOND=0',"
    " startAt: 2026-01-04T00:00:00Z, timeZone: Europe/Berlin",
    "off": "jobRef: greet, every: 40m, calendars: {except: [off]}",
    "held": "jobRef: held, every: 50m",
    "later": "jobRef: later, every: 35m",
    "spread": "jobRef: greet, every: 1h, jitter: 10m",
    "rests": "jobRef: greet, every: 45m, suspend: {reason: moving, until: 2026-10-25T02:00:00Z}",
}
RENAMED = ("both", "rule", "held", "spread")


def definitions(commit: str, *, renamed: bool) -> Catalog:
    """All of them; those of RENAMED are called `new-x` in the second commit."""
    jobs = [
        job(name, spec="  targets: {names: [here]}\n  concurrency: {onConflict: allow}\n")
        for name in ("greet", "held", "later")
    ]
    windows = [
        f"kind: Window\nmetadata: {{name: {name}}}\nspec: {{effect: deny, {HELD[name]}}}\n"
        for name in ("freeze", "later")
    ]
    shown = []
    for name, spec in TIMES.items():
        named = f"new-{name}, previousNames: [{name}]" if renamed and name in RENAMED else name
        shown.append(f"kind: Schedule\nmetadata: {{name: {named}}}\nspec: {{{spec}}}\n")
    return catalog(local_target("here"), *jobs, HELD["off"], *windows, *shown, project=PROJECT, commit=commit)


@dataclass
class Night:
    """What came of it: the commits, and a repository with what was published."""

    bench: Bench
    first: Catalog
    second: Catalog
    site: Site

    @property
    def foretold(self) -> tuple[Fire, ...]:
        return (*upcoming(self.first, BEGIN, RENAME), *upcoming(self.second, RENAME, END))


@pytest_asyncio.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    site = Site(tmp_path)
    bench = Bench(site.store("lived"))
    first, second = definitions("a" * 40, renamed=False), definitions("b" * 40, renamed=True)
    await bench.journal.write(lambda tx: leases.register(tx, "default/r", "default", "h", BEGIN))
    lived = Night(bench, first, second, site)
    for known, begins, ends in ((first, BEGIN, RENAME), (second, RENAME, END)):
        if begins == RENAME:
            await bench.look((RENAME - timedelta(seconds=1) - T0) / MINUTE)
        found = known.after(await bench.journal.read(names.known))
        bench.catalog = found
        # Just before, as `next` counts what is due at its beginning.
        await bench.schedules.adopt(
            found, begins - timedelta(seconds=1), also=lambda tx, found=found: renames.follow(tx, found)
        )
        while (due := bench.schedules.next_due) is not None and due < ends:
            await bench.look((due - T0) / MINUTE)
            await worked(bench, due)
        await published(lived, found)
    yield lived
    for journal in site.journals:
        await journal.close()


async def worked(bench: Bench, now: datetime) -> None:
    """A runner is free whenever something may begin."""
    claims = await bench.journal.write(lambda tx: leases.claim(tx, "default/r", None, 50, now))
    for claim in claims:
        end = partial(leases.finish, fence=claim.fence, state=RunState.SUCCEEDED, now=now)
        await bench.journal.write(end)


async def published(night: Night, known: Catalog) -> None:
    sync = SyncView(applied=known.commit, last_good=known.commit)
    projection = Projection(
        night.bench.journal, night.site.publisher, schedule=night.bench.schedules.view, sync=lambda: sync
    )
    while await projection.publish():
        pass


async def test_the_engine_does_what_next_foretells_and_why_says_it(night: Night) -> None:
    await decided_as_foretold(night)
    await said_as_foretold(night)


async def decided_as_foretold(night: Night) -> None:
    """Each instant once, and no others; each run starts when it was to."""
    foretold = {(fire.schedule, fire.instant): (fire.decision, fire.reason, fire.starts_at) for fire in night.foretold}
    assert {reason for _, reason, _ in foretold.values()} == {None, "calendar", "window", "suspended"}
    assert len(foretold) > 100

    newest = await night.bench.journal.read(lambda conn: runviews.recent(conn, limit=1_000))
    views = await night.bench.journal.read(lambda conn: runviews.get_all(conn, [one.id for one in newest]))
    ran = {
        (run.cause.name, run.cause.instant): ("run", None, run.starts_at or run.cause.instant) for run in views.values()
    }
    assert ran == {of: said for of, said in foretold.items() if said[0] == "run"}

    days = (BEGIN.date(), END.date())
    skips = [
        skip for day in days for skip in await night.bench.journal.read(lambda conn, day=day: schedules.day(conn, day))
    ]
    for skip in skips:
        within = [
            said for (name, at), said in foretold.items() if name == skip.schedule and skip.first <= at <= skip.last
        ]
        assert within == [("skipped", skip.reason, None)] * skip.count
    assert sum(skip.count for skip in skips) == len(foretold) - len(ran)


async def said_as_foretold(night: Night) -> None:
    """By the name of today, and by the rule of the commit that decided."""
    remote = night.site.remote
    tip = subprocess.run(["git", "-C", remote, "rev-parse", STATUS], check=True, capture_output=True, text=True).stdout
    known = {one.commit: one for one in (night.first, night.second)}
    repository, evidence = Repository.open(str(remote), remote=None), Evidence(remote, tip.strip())
    inquiry = Inquiry(repository, evidence, END, night.second, night.second.commit, _catalogs=dict(known))
    for fire in night.foretold:
        today = inquiry.now_called(fire.schedule)
        answer = inquiry.answer(today, fire.instant)
        assert (answer.decision, answer.reason, answer.local) == (fire.decision, fire.reason, fire.local), answer
        decided_by = night.first if fire.instant < RENAME else night.second
        assert answer.rule == rule(decided_by.schedules[fire.schedule], fire), answer
        if fire.decision == "run":
            assert answer.commit == decided_by.commit
