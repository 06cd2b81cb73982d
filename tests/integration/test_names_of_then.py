"""Renamed twice, where only the last name is said, and a name that another has taken since: whose is what began then?

`greet` becomes `hail` and then `welcome`; in some tests another job is called `greet` thereafter.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from engine.identity import RunId
from engine.judge import ActFacts, Launch, heeding, judge
from engine.states import RunState
from engine.triggers import Happened, Refuse, of_run, verdict
from journal import events, leases, runs, steprecords, trends
from journal import notices as noticed
from journal.clock import SystemClock
from journal.databases.noticetables import messages
from journal.store import Journal
from reconciler.acts.requests import Requests
from reconciler.deciders import Deciders
from reconciler.launches import new_run
from reconciler.notices import Notices
from reconciler.repository.mirror import Mirror
from reconciler.triggers import Triggers
from schemas.act import RunRequest
from tests.catalogs import catalog, local_target
from tests.integration.test_held_runs import MINUTE, T0, Bench, asked, claimed, window, wished

FIRST, SECOND, THIRD = "name: greet", "name: hail, previousNames: [greet]", "name: welcome, previousNames: [hail]"
NAMES = (FIRST, SECOND, THIRD)
FLOW = "kind: Workflow\nmetadata: {name: flow}\nspec: {jobs: {first: {wait: 5m}, then: {jobRef: %s, needs: [first]}}}\n"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


def job(names: str, run: str = "true") -> str:
    spec = f"{{targets: {{names: [here]}}, concurrency: {{onConflict: queue}}, steps: [{{run: '{run}'}}]}}"
    return f"kind: Job\nmetadata: {{{names}}}\nspec: {spec}\n"


def name_of(names: str) -> str:
    return names.split(",", maxsplit=1)[0].removeprefix("name: ")


async def renamed(bench: Bench, at: float, *more: str, taken: bool) -> None:
    """Two commits, each of which says the name before; `taken`: a third in which another job is called greet."""
    assert bench.catalog is not None
    has_flow = bool(bench.catalog.workflows)
    for number, names in enumerate((SECOND, THIRD), start=1):
        shown = [job(names), *([FLOW % name_of(names)] if has_flow else ())]
        last = more if number == 2 and not taken else ()
        await bench.adopt(at + number * 0.01, local_target("here"), *shown, *last)
    if taken:
        shown = [job("name: welcome"), job("name: greet", "id"), *([FLOW % "welcome"] if has_flow else ())]
        await bench.adopt(at + 0.03, local_target("here"), *shown, *more)


TAKEN = pytest.mark.parametrize("taken", [False, True])


@TAKEN
@pytest.mark.parametrize("held", ["welcome", "greet"])
async def test_windows_hold_what_began_two_names_ago_as_what_it_is_today(bench: Bench, taken: bool, held: str) -> None:
    await bench.adopt(0, local_target("here"), job(FIRST))
    await asked(bench, 1, jobRef="greet")
    await bench.look(1)
    assert len(await claimed(bench, 1)) == 1
    known = held == "welcome" or taken  # else nothing of that name is there to be named
    by = window("w", 5, 60, f"running: cancel, requests: deny, jobs: {{names: [{held}]}}")
    await renamed(bench, 2, *([by] if known else ()), taken=taken)
    await bench.look(6)
    assert await wished(bench) == (["Window/w: no run may go on (running: cancel)"] if held == "welcome" else [])


@TAKEN
async def test_a_node_of_an_old_plan_is_a_run_of_the_job_that_had_the_name(bench: Bench, taken: bool) -> None:
    """In its group, and by its windows; also once the name is another's. What it does stands in the plan."""
    await bench.adopt(0, local_target("here"), job(FIRST), FLOW % "greet")
    await asked(bench, 1, workflowRef="flow")
    await bench.look(1)
    held = window("w", 5, 8, "requests: deny, blocked: defer, jobs: {names: [welcome]}")
    await renamed(bench, 2, held, taken=taken)
    await bench.look(7)
    (node,) = [run for run in await bench.seen() if run.cause.kind == "workflow"]
    assert (node.job, node.today, node.state, node.starts_at) == ("greet", "welcome", RunState.WAITING, T0 + 8 * MINUTE)
    other = await asked(bench, 8.5, "other", jobRef="welcome")
    await bench.look(9)
    states = {run.id: run.state for run in await bench.seen() if not run.workflow}
    assert states == {node.id: RunState.QUEUED, other: RunState.WAITING}, "they are in one group"
    past = await bench.journal.read(lambda conn: trends.marks(conn, "welcome", workflow=False, limit=9))
    assert {mark.id for mark in past} == {node.id, other}


async def test_a_node_of_a_plan_of_now_is_a_run_of_who_has_the_name_now(bench: Bench) -> None:
    await bench.adopt(0, local_target("here"), job(FIRST), FLOW % "greet")
    await renamed(bench, 1, taken=True)
    await bench.adopt(2, local_target("here"), job("name: welcome"), job("name: greet", "id"), FLOW % "greet")
    await asked(bench, 3, workflowRef="flow")
    await bench.look(3)
    await bench.look(9)
    (node,) = [run for run in await bench.seen() if run.cause.kind == "workflow"]
    assert (node.job, node.today) == ("greet", "greet")


async def test_the_ledger_is_read_again_only_where_somebody_else_has_changed_it(bench: Bench, tmp_path: Path) -> None:
    """It may be long, and most commits rename nothing."""
    deciders = Deciders(bench.journal, Mirror(tmp_path / "m.git", str(tmp_path), environment={}), SystemClock(), "main")
    for names_ in (FIRST, SECOND):
        known = await deciders.named(catalog(local_target("here"), job(names_)))
        await deciders.adopt(known, (), T0, also=lambda _: None)
    assert deciders.active is not None
    assert (await deciders.named(catalog(local_target("here"), job(SECOND)))).names is deciders.active.names
    await bench.adopt(1, local_target("here"), job(THIRD))
    found = await deciders.named(catalog(local_target("here"), job(THIRD)))
    assert found.names.generation == 2


async def test_a_node_that_begins_while_its_job_is_renamed_has_the_new_name(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit that is in the journal already and all that goes by it: nobody would rename it later."""
    deciders = Deciders(bench.journal, Mirror(tmp_path / "m.git", str(tmp_path), environment={}), SystemClock(), "main")
    target = local_target("here")

    async def adopt(*documents: str) -> None:
        known = await deciders.named(catalog(target, *documents))
        await deciders.adopt(known, (), T0, also=lambda _: None)

    await adopt(job(FIRST), FLOW % "greet")
    bench.catalog, bench.schedules = deciders.active, deciders.schedules
    await asked(bench, 1, workflowRef="flow")
    await bench.journal.write(lambda tx: runs.admit(tx, T0 + MINUTE))
    await deciders.workflows.lead(T0 + MINUTE)
    put, leads = deciders.schedules.adopt, []

    async def put_slowly(*arguments: Any, **more: Any) -> None:
        await put(*arguments, **more)
        leads.append(asyncio.create_task(deciders.workflows.lead(T0 + 7 * MINUTE)))
        await asyncio.wait(leads, timeout=0.3)  # as long as it would take

    monkeypatch.setattr(deciders.schedules, "adopt", put_slowly)
    await adopt(job(SECOND), FLOW % "hail")
    await asyncio.gather(*leads)
    (node,) = [run for run in await bench.seen() if run.cause.kind == "workflow"]
    assert (node.job, node.today) == ("greet", "hail")


async def ended(bench: Bench, at: float, state: RunState = RunState.FAILED) -> RunId:
    """What waits is run, and ends."""
    await bench.look(at)
    now = T0 + at * MINUTE
    await bench.journal.write(lambda tx: leases.register(tx, "default/r", "default", "h", now))
    (claim,) = await bench.journal.write(lambda tx: leases.claim(tx, "default/r", None, 8, now))
    await bench.journal.write(lambda tx: leases.finish(tx, claim.fence, state, now=now))
    return claim.fence.run


async def again(bench: Bench, run: RunId, at: str, of: str = "welcome", kind: str = "Job") -> Launch:
    envelope = {"apiVersion": "opsconductor/v1", "kind": "RunRequest", "metadata": {"name": f"again-{at}"}}
    act = RunRequest.model_validate({**envelope, "spec": {"action": "rerun", "run": run, "at": at}})
    assert bench.catalog is not None
    assert bench.schedules.admissions is not None
    requests = Requests(bench.journal, objects=None)  # type: ignore[arg-type] # no commit is looked at
    assert await requests._of_run(act, bench.catalog) == f"{kind}/{of}", "whose policies are asked"
    original = await bench.journal.read(lambda conn: steprecords.original(conn, run))
    now = T0 + 10 * MINUTE
    found = judge(act, ActFacts(now, now, "a@b", original=original), bench.catalog, now)
    found = heeding(found, act, bench.schedules.admissions.windows, bench.catalog, now)
    assert isinstance(found, Launch), found
    return found


@TAKEN
@pytest.mark.parametrize("at", ["original", "current"])
async def test_what_began_two_names_ago_is_done_again_as_what_it_is_today(bench: Bench, taken: bool, at: str) -> None:
    await bench.adopt(0, local_target("here"), job(FIRST))
    await asked(bench, 1, jobRef="greet")
    run = await ended(bench, 1)
    others = [window("w", 5, 60, "requests: deny, jobs: {names: [greet]}")] if taken else []
    await renamed(bench, 2, *others, taken=taken)
    found = await again(bench, run, at)
    assert (found.name_now, found.planned.spec.job) == ("welcome", "greet" if at == "original" else "welcome")
    assert found.membership is not None
    assert found.membership.group == "welcome"
    assert bench.catalog is not None
    new = new_run(found, bench.catalog)
    assert (new.past[1], new.naming) == ("welcome", bench.catalog.names.generation)
    await bench.journal.write(lambda tx: runs.enqueue(tx, new, T0 + 10 * MINUTE))
    await bench.look(10)
    assert await wished(bench) == []


async def gone(bench: Bench, at: float, *more: str) -> None:
    """`greet` is called `hail`, then another is called `greet`, and `hail` is removed."""
    for number, shown in enumerate(
        ([job(SECOND)], [job("name: hail"), job("name: greet", "id")], [job("name: greet", "id")])
    ):
        await bench.adopt(at + number * 0.01, local_target("here"), *shown, *(more if number == 2 else ()))


async def test_what_is_gone_is_done_again_under_its_last_name_where_another_has_its_first(bench: Bench) -> None:
    """It is no part of the other's past, in none of its groups, and no window of the other holds it."""
    await bench.adopt(0, local_target("here"), job(FIRST))
    await asked(bench, 1, jobRef="greet")
    run = await ended(bench, 1)
    await gone(bench, 2, window("w", 5, 60, "requests: deny, jobs: {names: [greet]}"))
    found = await again(bench, run, "original", of="hail")
    assert (found.name_now, found.planned.spec.job) == ("hail", "greet")
    assert found.membership is not None
    assert found.membership.group == "hail"
    assert bench.catalog is not None
    assert new_run(found, bench.catalog).past == ("job", "hail")


async def test_a_node_of_an_old_plan_is_no_run_of_the_other_that_has_the_name_of_what_is_gone(bench: Bench) -> None:
    await bench.adopt(0, local_target("here"), job(FIRST), FLOW % "greet")
    await asked(bench, 1, workflowRef="flow")
    await bench.look(1)
    await gone(bench, 2, window("w", 5, 60, "requests: deny, jobs: {names: [greet]}"))
    other = await asked(bench, 3, "other", jobRef="greet")
    await bench.look(7)
    (node,) = [run for run in await bench.seen() if run.cause.kind == "workflow"]
    assert (node.job, node.today, node.state) == ("greet", "hail", RunState.QUEUED), "neither held nor in its group"
    past = await bench.journal.read(lambda conn: trends.marks(conn, "greet", workflow=False, limit=9))
    assert {mark.id for mark in past} == {other}


async def test_a_workflow_that_is_gone_is_done_again_in_no_group_of_the_other(bench: Bench) -> None:
    await bench.adopt(0, local_target("here"), job("name: j"), FLOW % "j")
    await asked(bench, 1, workflowRef="flow")
    await bench.look(1)
    (run,) = [run.id for run in await bench.seen()]
    await bench.journal.write(lambda tx: runs.cancel(tx, run, reason="x", by=None, now=T0 + 2 * MINUTE))
    await bench.look(2)
    flow = FLOW % "j"
    first = flow.replace("name: flow", "name: stream, previousNames: [flow]")
    stream = flow.replace("name: flow", "name: stream")
    for number, shown in enumerate(([first], [stream, flow], [flow])):
        await bench.adopt(3 + number, local_target("here"), job("name: j"), *shown)
    found = await again(bench, run, "original", of="stream", kind="Workflow")
    assert found.membership is not None
    assert (found.name_now, found.membership.group) == ("stream", "workflow/stream")


ON_END = "kind: Trigger\nmetadata: {name: t}\nspec: {event: {run: {jobs: [%s], states: [failed]}}, jobRef: after}\n"
AFTER = "kind: Job\nmetadata: {name: after}\nspec: {steps: [{uses: dummy}]}\n"


@TAKEN
async def test_the_end_of_what_began_two_names_ago_sets_off_who_listens_for_it(bench: Bench, taken: bool) -> None:
    """And not who listens for the other that has the name by now."""
    await bench.adopt(0, local_target("here"), job(FIRST))
    await asked(bench, 1, jobRef="greet")
    await bench.look(1)
    other = (ON_END % "greet").replace("name: t", "name: o")
    await renamed(bench, 2, AFTER, ON_END % "welcome", *([other] if taken else ()), taken=taken)
    known = bench.catalog
    assert known is not None
    await bench.journal.write(lambda tx: Triggers(bench.journal).adopt(tx, known, (), T0 + 3 * MINUTE))
    run = await ended(bench, 4)
    found = await bench.journal.read(events.pending)
    assert [(event.trigger, event.key) for event in found] == [("t", f"run/{run}")]
    view = await bench.journal.read(lambda conn: runs.get(conn, run))
    assert view is not None
    assert of_run(view, known)["job"] == "welcome"


@TAKEN
async def test_a_rule_tells_what_began_two_names_ago_as_of_today(bench: Bench, taken: bool) -> None:
    """The message keeps the name that the run began with."""
    chat = "kind: NotificationChannel\nmetadata: {name: chat}\nspec: {type: slack, url: 'https://chat.example.org/x'}\n"
    tells = "events: [run.failed], channels: [chat]"
    rule = f"kind: NotificationRule\nmetadata: {{name: %s}}\nspec: {{{tells}, select: {{names: [%s]}}}}\n"
    await bench.adopt(0, local_target("here"), job(FIRST))
    await asked(bench, 1, jobRef="greet")
    await bench.look(1)
    rules = [rule % ("mine", "welcome"), *([rule % ("others", "greet")] if taken else ())]
    await renamed(bench, 2, chat, *rules, taken=taken)
    known, by = bench.catalog, Notices(bench.journal)
    assert known is not None
    await bench.journal.write(lambda tx: by.adopt(tx, known))
    by.active = known
    await ended(bench, 4)
    (row,) = [one for one in await bench.journal.read(noticed.recent) if one.type == "run.failed"]
    assert (row.kind, row.name) == ("Job", "greet")
    await by.decide(T0 + 5 * MINUTE)
    found = await bench.journal.read(lambda conn: conn.execute(select(messages.c.rule)).scalars().all())
    assert found == ["mine"]


CATCHES_UP = "catchUp: {policy: all, window: 1d, max: 10}"
EVERY = f"kind: Schedule\nmetadata: {{%s}}\nspec: {{jobRef: greet, every: 30m, {CATCHES_UP}}}\n"
OFTEN = ("name: often", "name: more, previousNames: [often]", "name: most, previousNames: [more]")


async def test_what_a_clock_ahead_ran_two_names_ago_does_not_run_again(bench: Bench) -> None:
    """An instant of a schedule runs once, whatever that is called."""
    allow = job(FIRST).replace("queue", "allow")
    await bench.adopt(0, local_target("here"), allow, EVERY % OFTEN[0])
    for minute in (30, 240):
        await bench.look(minute)
    for number, names in enumerate(OFTEN[1:], start=1):
        await bench.adopt(45 + number, local_target("here"), allow, EVERY % names)
    await bench.look(48)
    for minute in range(60, 271, 30):
        await bench.look(minute)
    found = [(run.cause.instant - T0) / MINUTE for run in await bench.seen()]
    assert found == sorted(set(found))
    assert 270 in found


@pytest.mark.parametrize("taken", [False, True])
async def test_a_run_that_windows_put_off_begins_by_the_schedule_that_it_is_of(bench: Bench, taken: bool) -> None:
    """When they are taken away: at once, and not when the other schedule of that name says."""
    allow = job(FIRST).replace("queue", "allow")
    every = EVERY.replace("every: 30m,", "every: 10m,")
    await bench.adopt(0, local_target("here"), allow, every % OFTEN[0], window("w", 9, 10_000))
    await bench.schedules.decide(T0 + 10 * MINUTE)
    for number, names in enumerate(OFTEN[1:], start=1):
        await bench.adopt(10 + number / 10, local_target("here"), allow, every % names, window("w", 9, 10_000))
    other = (every % "name: often").replace("every: 10m,", "every: 10m, calendars: {except: [none]},")
    never = "kind: Calendar\nmetadata: {name: none}\nspec: {dates: [2026-11-01]}\n"
    await bench.adopt(10.5, local_target("here"), allow, every % "name: most", *((other, never) if taken else ()))
    await bench.look(10.5)
    (run,) = [run for run in await bench.seen() if run.cause.instant == T0 + 10 * MINUTE]
    assert (run.cause.name, run.state) == ("often", RunState.QUEUED)
    assert bench.schedules.admissions is not None
    admission = bench.schedules.admissions.schedule(run.cause.name, run.naming)
    assert admission is not None
    assert (admission.schedule.name, admission.drawn_by) == ("most", "often")


async def test_a_circle_of_triggers_is_found_by_the_names_of_then(bench: Bench) -> None:
    ring = "kind: Trigger\nmetadata: {%s}\nspec: {event: {run: {jobs: [greet], states: [failed]}}, jobRef: %s}\n"
    base = (local_target("here"), job(FIRST), job("name: b"))
    for at, names in enumerate(("name: t", "name: u, previousNames: [t]", "name: v, previousNames: [u]")):
        await bench.adopt(at, *base, ring % (names, "b"))
    await bench.adopt(4, *base, ring % ("name: v", "b"), ring % ("name: t", "b"))
    known = bench.catalog
    assert known is not None
    now = Happened("v", "k", T0, {}, chain=("t",), naming=0)
    found = verdict(known, now)
    assert isinstance(found, Refuse)
    assert found.reason == "cycle"
    found = verdict(known, replace(now, trigger="t", naming=0))
    assert not isinstance(found, Refuse), "the other t was not in the chain"
    assert found.launch.cause.chain == ("v",), "from here on it is said by the names of today"  # type: ignore[union-attr]
