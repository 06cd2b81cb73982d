"""What a plan says is what the engine then does: random pairs of trees, over a simulated clock.

The engine's side is spelled out here as the reconciler does it (`reconciler.schedules`): decide under the old catalog
up to the acceptance, adopt the new one, then look every so often.
"""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.changes.plan import Plan, plan
from engine.compile import Compiled
from engine.judge import ActFacts, Launch, checked, judge, scheduled
from engine.runs.planning import Planned, plan_run
from engine.schedules.admission import Admissions
from engine.schedules.decide import ScheduleClock, decide, fingerprint, next_due, restarts
from engine.schedules.fires import fires_of
from engine.schedules.windows import Windows
from engine.times.recurrence import TICK
from schemas.act import RunRequest
from tests.planned import JOBS, trees

STARTS = ("2026-03-28T22:00:00Z", "2026-10-24T21:30:00Z", "2026-06-01T00:00:00Z", "2026-06-01T11:59:30Z")
HORIZON = timedelta(hours=30)
LATE = timedelta(seconds=29)
"""The engine looks at what is due no later than this, or it was late."""

pairs = st.tuples(trees(), trees(), st.sampled_from(STARTS).map(datetime.fromisoformat))


def planned(base: Compiled, head: Compiled, now: datetime) -> tuple[Plan, Catalog, Catalog]:
    assert base.catalog is not None and head.catalog is not None, (base.findings, head.findings)
    return plan(base, head, now, HORIZON, names=("base", "head")), base.catalog, head.catalog


def mark(catalog: Catalog, name: str) -> str:
    return fingerprint(catalog.schedules[name].spec, suspended=catalog.project.spec.suspend)


def decided(catalog: Catalog, name: str, since: datetime, until: datetime) -> tuple[list[datetime], int]:
    """Which instants run, and how many are skipped, where the engine wakes for what is due and is a little late."""
    spec, clock = catalog.schedules[name].spec, ScheduleClock(since)
    admission = Admissions(catalog).of(name)
    runs: list[datetime] = []
    skipped = 0
    while (due := next_due(spec, clock.considered_until)) is not None and due < until:
        found = decide(name, spec, clock, min(due + LATE, until - TICK), admission=admission)
        runs += [one.instant for one in found.runs]
        skipped += sum(skip.count for skip in found.skips)
        clock = ScheduleClock(found.considered_until)
    return runs, skipped


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(pairs)
def test_the_fires_of_a_plan_are_the_decisions_of_the_engine(pair: tuple[Compiled, Compiled, datetime]) -> None:
    base, head, now = pair
    found, before, after = planned(base, head, now)
    accepted = now - TICK
    listed = {change.name: change for change in found.schedules}
    for name in after.live_schedules:
        kept = name in before.live_schedules and not restarts(mark(before, name), mark(after, name), accepted)
        # Whether its clock was kept or not: what was due until the acceptance is decided under the base right before.
        runs, skipped = decided(after, name, accepted, now + HORIZON)
        if name not in listed:
            assert name in before.live_schedules
            assert decided(before, name, accepted, now + HORIZON) == (runs, skipped)
            continue
        fires = [one.fire for one in listed[name].after.listed]
        assert [fire.instant for fire in fires if fire.decision == "run"] == runs
        assert sum(fire.decision == "skipped" for fire in fires) == skipped
        assert (listed[name].clock == "kept") == kept
        assert all(earlier.instant < later.instant for earlier, later in pairwise(fires))
    held = after.schedules.keys() - after.live_schedules.keys()
    assert all(not listed[name].after.listed for name in held & listed.keys())
    gone = {name for name, change in listed.items() if change.clock == "gone"}
    assert gone == before.schedules.keys() - after.schedules.keys()


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(pairs)
def test_a_schedule_that_is_not_listed_meets_the_windows_that_it_met_before(
    pair: tuple[Compiled, Compiled, datetime],
) -> None:
    base, head, now = pair
    found, before, after = planned(base, head, now)
    listed = {change.name: change for change in found.schedules}
    old, new = Windows(before), Windows(after)
    for name, schedule in after.live_schedules.items():
        rules = new.of_schedule(schedule)
        if name in listed:
            for one in listed[name].after.listed:
                held = one.fire.reason in ("suspended", "calendar")
                assert one.blocked == (None if held else rules.at(one.fire.instant))
            continue
        known = old.of_schedule(before.live_schedules[name])
        for fire in fires_of(schedule, now, now + HORIZON):
            assert rules.at(fire.instant) == known.at(fire.instant)


def pinned(catalog: Catalog, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """The targets and the credentials that a run of the job is given."""
    match plan_run(catalog, catalog.jobs[name], params={}):
        case Planned(spec=spec):
            return frozenset(target.name for target in spec.targets), frozenset(spec.credentials)
        case _:
            return frozenset(), frozenset()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs)
def test_what_a_plan_says_is_reached_is_what_runs_are_given(pair: tuple[Compiled, Compiled, datetime]) -> None:
    found, before, after = planned(*pair)
    targets = {one.job: (frozenset(one.gained), frozenset(one.lost)) for one in found.targets if one.schedule is None}
    gains = {(one.job, one.credential) for one in found.credentials}
    for name in JOBS:
        (old_targets, old_credentials), (new_targets, new_credentials) = pinned(before, name), pinned(after, name)
        nothing: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        assert targets.get(name, nothing) == (new_targets - old_targets, old_targets - new_targets)
        assert {credential for of, credential in gains if of == name} == new_credentials - old_credentials


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs)
def test_limits_that_a_plan_says_widen_give_scheduled_runs_more_targets(
    pair: tuple[Compiled, Compiled, datetime],
) -> None:
    found, _, after = planned(*pair)
    for change in found.targets:
        if change.schedule is not None:
            launched = scheduled(after, change.schedule, pair[2])
            names = _names(launched.planned) if isinstance(launched, Launch) else ()
            assert set(names) >= set(change.gained)
            assert not set(names) & set(change.lost)


def _names(planned_run: Planned) -> tuple[str, ...]:
    return tuple(target.name for target in planned_run.spec.targets)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs)
def test_schedules_that_are_due_at_once_start_on_the_targets_that_a_plan_says(
    pair: tuple[Compiled, Compiled, datetime],
) -> None:
    found, _, after = planned(*pair)
    for one in found.starts_at_once:
        if one.cause.startswith("Schedule/"):
            launched = scheduled(after, one.cause.removeprefix("Schedule/"), pair[2])
            assert one.targets == (_names(launched.planned) if isinstance(launched, Launch) else ())
            assert (one.verdict in ("starts", "waits") or one.reason == "overlap") is isinstance(launched, Launch)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs)
def test_requests_start_what_a_plan_says(pair: tuple[Compiled, Compiled, datetime]) -> None:
    base, head, now = pair
    found, _, after = planned(base, head, now)
    consumed = {authored.identity for authored in base.acts}
    launched = {}
    for authored in head.acts:
        request = authored.document
        assert isinstance(request, RunRequest)
        judgement = checked(judge(request, ActFacts(now, now, "a@b.example"), after, now), authored, after)
        if authored.identity not in consumed and isinstance(judgement, Launch):
            launched[authored.identity] = _names(judgement.planned)
    assert launched == {
        one.cause: one.targets
        for one in (*found.starts_at_once, *found.starts_later)
        if (one.verdict in ("starts", "waits") or one.reason == "overlap") and one.cause.startswith("RunR")
    }
