"""The series of one scrape, as plain values, from what the journal measured and what the engine shows of itself."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import get_args

from engine.catalog import Catalog
from engine.notifications.channels import OF_PROJECT
from engine.schedules.decide import SkipReason
from engine.status.views import SyncView
from journal.attendance import Controller, Runner
from journal.counts import BOUNDS, NO_CLASS, Count
from journal.measures import Measures
from opsconductor.metrics.described import OTHERS
from opsconductor.metrics.names import NO_OTHERS, Labels, Names, Others
from opsconductor.service.health import Pulse

_ENDS = ("succeeded", "failed", "timedOut", "unknown")
"""Shown as 0 for a job that never ended so: what begins at nought can be seen to grow, which a series that is there
from its first event on cannot (`increase` of it is 0)."""
_DUE = (("run", ""), *(("skipped", reason) for reason in get_args(SkipReason)))
"""The same of due instants."""
_UNSENT = ("waiting", "dead")
_NO_FAILURE = ("succeeded", "cancelled")
_RUNNERS = 200
"""So many runners have a series of their own."""
_EVERY_POOL = "*"


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram: how many were at most each of BOUNDS, at last all of them; and their sum in seconds."""

    up_to: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the store's files, by what they are, and what is left on the disk."""

    files: Mapping[str, int]
    free: int


@dataclass(frozen=True, slots=True)
class Company:
    """Who shares a journal, and who of the controllers leads."""

    controllers: tuple[Controller, ...]
    runners: tuple[Runner, ...]
    leader: str | None


@dataclass(frozen=True, slots=True)
class Scrape:
    """What is asked for once a scrape. `measures` None: the journal cannot be read, and its metrics are absent."""

    at: datetime
    version: str
    pulse: Pulse
    ready: bool
    sync: SyncView
    catalog: Catalog | None
    measures: Measures | None
    sizes: Sizes
    company: Company | None = None
    """None: one process alone, or the journal cannot be read."""
    others: Others = NO_OTHERS
    """The counts of what has no series of its own."""


Series = tuple[str, Labels, float | Spread]
"""The name without its beginning, the values of its labels, and its value."""


def series(scrape: Scrape) -> Iterator[Series]:
    """All series, each once. Those of one metric follow one another."""
    yield from _of_engine(scrape)
    yield from _of_definitions(scrape)
    if scrape.measures is not None:
        names = Names.of(scrape.catalog)
        alone = [one for one in scrape.measures.counts if not names.sums(one)]
        yield from _of_journal(scrape.measures, [*alone, *scrape.others.counts.values()], names, scrape.at)


def _of_engine(scrape: Scrape) -> Iterator[Series]:
    pulse = scrape.pulse
    yield "build_info", (scrape.version,), 1
    yield "start_time_seconds", (), pulse.started_at.timestamp()
    yield "ready", (), scrape.ready
    yield "claim_held", (), pulse.claimed
    yield "loop_age_seconds", (), pulse.since(pulse.turned)
    for name, moment in (("reconcile_age_seconds", pulse.passed), ("source_age_seconds", pulse.seen)):
        if (age := pulse.since(moment)) != float("inf"):
            yield name, (), age
    yield "leads", (), pulse.rank is None or pulse.rank.leads
    yield from _of_runners(scrape)
    if pulse.rank is None:  # else it is in a database, which has metrics of its own
        for file, size in scrape.sizes.files.items():
            yield "store_bytes", (file,), size
    yield "state_free_bytes", (), scrape.sizes.free


def _of_runners(scrape: Scrape) -> Iterator[Series]:
    if scrape.pulse.rank is None:
        working = scrape.pulse.working
        yield "runners", (_EVERY_POOL,), working is not None
        yield "runner_runs", (_EVERY_POOL,), working.runs if working else 0
        yield "runner_capacity", (_EVERY_POOL,), working.capacity if working else 0
        return
    if scrape.company is None:
        return
    states = {"leads": 0.0, "standsBy": 0.0, "lost": 0.0}
    for controller in scrape.company.controllers:
        leads = controller.name == scrape.company.leader
        states["lost" if controller.lost else "leads" if leads else "standsBy"] += 1
    yield from (("controllers", (state,), count) for state, count in states.items())
    yield "runners_lost", (), sum(one.lost for one in scrape.company.runners)
    for one in scrape.company.runners[:_RUNNERS]:
        yield "runner_up", (one.name, one.pool), not one.lost
    names = Names.of(scrape.catalog).pools | {_EVERY_POOL}
    each: dict[str, list[Runner]] = {}
    for runner in scrape.company.runners:
        for pool in runner.pool.split(",") if not runner.lost else ():
            each.setdefault(_among(names, pool), []).append(runner)
    yield from (("runners", (pool,), len(found)) for pool, found in each.items())
    yield from (("runner_runs", (pool,), sum(one.runs for one in found)) for pool, found in each.items())
    yield from (("runner_capacity", (pool,), sum(one.capacity for one in found)) for pool, found in each.items())


def _of_definitions(scrape: Scrape) -> Iterator[Series]:
    sync, catalog = scrape.sync, scrape.catalog
    for role, commit in (("applied", sync.applied), ("observed", sync.observed)):
        if commit is not None:
            yield "commit_info", (role, commit), 1
    yield "commit_in_force", (), any(one.type == "Ready" and one.status == "True" for one in sync.conditions)
    for severity in ("error", "warning"):
        yield "findings", (severity,), sum(found.severity == severity for found in sync.findings)
    if catalog is not None:
        for kind, documents in catalog.by_kind.items():
            yield "definitions", (kind,), len(documents)


def _among(names: Collection[str], name: str) -> str:
    return name if name in names else OTHERS


def _of_journal(measures: Measures, counts: list[Count], names: Names, at: datetime) -> Iterator[Series]:
    open_: dict[Labels, float] = defaultdict(float, {(*labels, "running"): 0.0 for labels in sorted(names.own)})
    for runs in measures.open:
        open_[*names.job(runs.job, runs.kind), runs.state] += runs.count
    yield from _all("runs_open", open_)
    yield from _of_ends([one for one in counts if one.what == "run"], names)
    streaks = dict.fromkeys(sorted(names.own), 0.0)
    for one in counts:
        if one.what == "streak" and (labels := (one.name, one.kind)) in names.own:
            streaks[labels] = one.times
    yield from _all("job_consecutive_failures", streaks)
    yield "jobs_without_series", (), len(names.others)
    yield from _of_schedules(counts)
    yield from _of_queues(measures, counts, names, at)
    yield "gates_open", (), measures.gates
    for consumer, behind in measures.behind:
        yield "outbox_lag_entries", (consumer,), behind
    for consumer, count in measures.dealt_with:
        yield "outbox_entries_total", (consumer,), count
    yield from _of_messages(measures, names, at)


def _of_ends(ends: list[Count], names: Names) -> Iterator[Series]:
    shown = sorted(names.own) + sorted({(OTHERS, kind) for _, kind in names.others})
    finished: dict[Labels, float] = {(*labels, state): 0 for labels in shown for state in _ENDS}
    spreads: dict[Labels, list[Count]] = {labels: [] for labels in sorted(names.own)}
    success: dict[Labels, float] = {}
    failure: dict[Labels, float] = {}
    for one in ends:
        labels: Labels = (one.name, one.kind)
        if one.name != OTHERS and labels not in names.own:
            continue  # of a job that is gone: added to the others, its past would look like news
        key = (*labels, one.detail)
        finished[key] = finished.get(key, 0) + one.times
        spreads.setdefault(labels, []).append(one)
        if one.last is not None and labels[0] != OTHERS:
            if one.detail == "succeeded":
                success[labels] = max(success.get(labels, 0.0), one.last.timestamp())
            elif one.detail not in _NO_FAILURE:
                failure[labels] = max(failure.get(labels, 0.0), one.last.timestamp())
    yield from _all("runs_finished_total", finished)
    for labels, counts in spreads.items():
        yield "run_duration_seconds", labels, _spread(counts)
    yield from _all("job_last_success_timestamp_seconds", success)
    yield from _all("job_last_failure_timestamp_seconds", failure)


def _of_schedules(counts: list[Count]) -> Iterator[Series]:
    due: dict[Labels, float] = dict.fromkeys(_DUE, 0)
    due |= {(one.kind, one.detail): one.times for one in counts if one.what == "due"}
    yield from _all("due_instants_total", due)


def _of_queues(measures: Measures, counts: list[Count], names: Names, at: datetime) -> Iterator[Series]:
    waiting: dict[Labels, float] = {(pool,): 0 for pool in sorted(names.pools)}
    oldest: dict[Labels, float] = dict(waiting)
    late: dict[Labels, list[Count]] = {pool: [] for pool in waiting}
    for queue in measures.queues:
        pool: Labels = (names.pool(queue.pool),)
        waiting[pool] = waiting.get(pool, 0) + queue.count
        oldest[pool] = max(oldest.get(pool, 0), (at - queue.oldest).total_seconds())
    for one in counts:
        if one.what == "late":
            late.setdefault((names.pool(one.name),), []).append(one)
    yield from _all("queue_runs", waiting)
    yield from _all("queue_oldest_seconds", oldest)
    for pool, spread in late.items():
        yield "run_lateness_seconds", pool, _spread(spread)


def _of_messages(measures: Measures, names: Names, at: datetime) -> Iterator[Series]:
    waiting: dict[Labels, float] = {(channel, state): 0 for channel in sorted(names.channels) for state in _UNSENT}
    oldest: dict[Labels, float] = dict(waiting)
    for one in measures.messages:
        key = (_among({*names.channels, *OF_PROJECT}, one.channel), one.state)
        waiting[key] = waiting.get(key, 0) + one.count
        oldest[key] = max(oldest.get(key, 0), (at - one.oldest).total_seconds())
    yield from _all("messages_open", waiting)
    yield from _all("messages_oldest_seconds", oldest)


def _all(name: str, values: Mapping[Labels, float]) -> Iterator[Series]:
    return ((name, labels, value) for labels, value in values.items())


def _spread(counts: Collection[Count]) -> Spread:
    classes = [0] * (len(BOUNDS) + 1)
    for one in counts:
        if one.size != NO_CLASS:
            classes[one.size] += one.times
    return Spread(tuple(accumulate(classes)), sum(one.seconds for one in counts))
