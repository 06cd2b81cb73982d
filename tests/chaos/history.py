"""The history checker: whether what is on record can be true, given what the targets themselves saw.

`violations` is pure. It is told when schedules were due (computed here, not by the engine), what every step wrote on
its target, and what the journal, the status branch and the acts' authors say; it answers with every promise of
CONTRACT 5 that does not hold. `tests.chaos.evidence` reads these things.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RUN_ENDS = frozenset({"succeeded", "failed", "cancelled", "timedOut", "unknown"})
_OPEN_ACT = "accepted"


# --- what is compared ---


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a schedule is due, by arithmetic of its own: every so many seconds since 1970, or once."""

    schedule: str
    every: timedelta | None = None
    at: datetime | None = None
    commit: str | None = None
    """The commit that brought it."""

    def due(self, after: datetime, until: datetime) -> list[datetime]:
        """The instants in (after, until]."""
        if self.at is not None:
            return [self.at] if after < self.at <= until else []
        assert self.every is not None
        first, last = (after - _EPOCH) // self.every + 1, (until - _EPOCH) // self.every
        return [_EPOCH + number * self.every for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job does, as its author wrote it. `steps` are in order; `skipped` never run; `failing` exit with 3.

    Those of `rescue` run after a failing one, and make up for it.
    """

    job: str
    targets: tuple[str, ...]
    steps: tuple[str, ...]
    idempotent: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    rescue: frozenset[str] = frozenset()
    group: str | None = None

    @property
    def slot(self) -> str:
        """Runs that share it may not overlap."""
        return self.group or self.job


@dataclass(frozen=True, slots=True)
class Effect:
    """A line that a step wrote on its target. `attempt` is the run's, raised with every claim; `code` of an end."""

    at: datetime
    what: str
    run: str
    target: str
    step: str
    attempt: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class StepRow:
    """An attempt of a step. `token` is that of the claim it was started under; 0 where a branch was taken in."""

    target: str
    step: str
    attempt: int
    token: int
    state: str
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run. `rows` are in the order in which they were written."""

    run: str
    cause: str
    job: str
    state: str
    reason: str | None
    finished_at: datetime | None
    attempt: int
    rows: tuple[StepRow, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    """How targets have ended; of a workflow's run, its nodes."""
    workflow: bool = False

    @property
    def ended(self) -> bool:
        return self.state in _RUN_ENDS

    def last(self) -> dict[tuple[str, str], StepRow]:
        """The last attempt of every step."""
        return {(row.target, row.step): row for row in sorted(self.rows, key=lambda row: row.attempt)}


@dataclass(frozen=True, slots=True)
class DecisionRow:
    schedule: str
    first: datetime
    last: datetime
    count: int
    verdict: str
    reason: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    considered_from: datetime
    considered_until: datetime


@dataclass(frozen=True, slots=True)
class ActRow:
    state: str | None
    reason: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """What set a trigger off, and what became of it."""

    trigger: str
    key: str
    state: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """All of the store that outlives it. `pruned` are causes whose runs retention removed, with those runs."""

    runs: tuple[RunRow, ...] = ()
    pruned: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[DecisionRow, ...] = ()
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    acts: Mapping[str, ActRow] = field(default_factory=dict)
    applied: str | None = None
    """The commit in force."""
    events: tuple[EventRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFile:
    """A Run on the status branch."""

    state: str
    reason: str | None
    attempt: int
    targets: Mapping[str, str]
    steps: Mapping[tuple[str, str], tuple[str, int | None]]
    """State and exit code by target and step."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The status branch at its end, and every distinct text that each run's file has had, oldest first."""

    runs: Mapping[str, RunFile] = field(default_factory=dict)
    past: Mapping[str, tuple[RunFile, ...]] = field(default_factory=dict)
    acts: Mapping[str, ActRow] = field(default_factory=dict)
    skips: frozenset[DecisionRow] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """Everything about one site. `earlier` are copies of the journal, oldest first.

    `until`: every instant up to it must be decided. `lost_at`: when the store was lost undrained, if ever. `asked`
    are the names of acts. `leaks` are the places where a canary was found. `branch` None: it is not compared.
    """

    plans: Mapping[str, Plan]
    timetables: tuple[Timetable, ...]
    effects: tuple[Effect, ...]
    journal: Journal
    until: datetime
    branch: Branch | None = None
    earlier: tuple[Journal, ...] = ()
    asked: frozenset[str] = frozenset()
    lost_at: datetime | None = None
    leaks: tuple[str, ...] = ()
    watched: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By trigger, the job and the state whose ends set it off."""
    heard: frozenset[str] = frozenset()
    """Triggers that a commit has set off: what several commits change that come into force at once is one event."""


# --- the checks ---


def violations(history: History) -> list[str]:
    """Every promise that the history breaks, in words; none where all hold."""
    return [
        *_causes(history.journal),
        *(found for timetable in history.timetables for found in _instants(timetable, history)),
        *_accepted(history),
        *_acts(history),
        *_events(history),
        *_effects(history),
        *(found for run in history.journal.runs for found in _claims(run, history)),
        *_slots(history),
        *_settled(history),
        *(_published(history.journal, history.branch) if history.branch else ()),
        *(f"secret canary found: {place}" for place in history.leaks),
    ]


def _causes(journal: Journal) -> Iterator[str]:
    counts = Counter(run.cause for run in journal.runs)
    for cause, count in counts.items():
        if count > 1:
            yield f"doubled: {cause} has {count} runs"
        if cause in journal.pruned:
            yield f"doubled: {cause} has a run, and had one that was removed"


def _instants(timetable: Timetable, history: History) -> Iterator[str]:
    """Each due instant has one decision; each that runs has one run; nothing else was decided."""
    name, journal = timetable.schedule, history.journal
    clock = journal.clocks.get(name)
    if clock is None:
        yield f"lost: schedule {name} has no clock"
        return
    prefix = f"schedule/{name}/"
    causes = [run.cause for run in journal.runs if run.cause.startswith(prefix)]
    causes += [cause for cause in journal.pruned if cause.startswith(prefix)]
    ran = Counter(datetime.strptime(cause.removeprefix(prefix), "%Y%m%dT%H%M%S%z") for cause in causes)
    decided_to_run: Counter[datetime] = Counter()
    skipped: Counter[datetime] = Counter()
    for decision in (decision for decision in journal.decisions if decision.schedule == name):
        if decision.verdict == "run":
            decided_to_run[decision.first] += 1
            continue
        covered = timetable.due(decision.first - timedelta(microseconds=1), decision.last)
        skipped.update(covered)
        if len(covered) != decision.count:
            yield f"{name}: a skip from {decision.first} to {decision.last} counts {decision.count}, not {len(covered)}"
    due = timetable.due(clock.considered_from, max(clock.considered_until, history.until))
    for instant in due:
        decided = ran[instant] + skipped[instant]
        if decided == 0:
            yield f"lost: {name} at {instant} has neither a run nor a skip"
        if ran[instant] and skipped[instant]:
            yield f"both run and skipped: {name} at {instant}"
        elif decided > 1:
            yield f"doubled: {name} at {instant} was decided {decided} times"
        if decided_to_run[instant] and not ran[instant]:
            yield f"lost: {name} at {instant} was decided to run and has no run"
        # A rebuilt store knows earlier decisions by their runs alone.
        if ran[instant] and decided_to_run[instant] != 1 and not _rebuilt(history):
            yield f"{name} at {instant} has a run and {decided_to_run[instant]} decisions"
    for instant in {*ran, *skipped, *decided_to_run} - set(due):
        if instant > clock.considered_from:
            yield f"{name} at {instant} was decided and was not due"


def _rebuilt(history: History) -> bool:
    return any(row.token == 0 for run in history.journal.runs for row in run.rows) or history.lost_at is not None


def _accepted(history: History) -> Iterator[str]:
    """A schedule is considered from when the commit that brings it was accepted, not from some later start."""
    for journal in (*history.earlier, history.journal):
        for timetable in history.timetables:
            brought = timetable.commit is not None and timetable.commit == journal.applied
            if brought and timetable.schedule not in journal.clocks:
                yield f"lost: schedule {timetable.schedule} came with the commit in force and has no clock"


def _acts(history: History) -> Iterator[str]:
    refusals = {"overlap", "alreadyEnded"} | ({"storeLost"} if history.lost_at else set())
    runs = {run.run: run for run in history.journal.runs}
    removed = set(history.journal.pruned.values())
    for name in sorted(history.asked):
        act = history.journal.acts.get(name)
        if act is None or act.state is None:
            yield f"lost: act {name} was never answered"
        elif act.state == "refused" and act.reason not in refusals:
            yield f"lost: act {name} was refused as {act.reason}"
        elif act.state == "refused" and f"request/{name}" in {run.cause for run in history.journal.runs}:
            yield f"both run and refused: act {name}"
        elif act.state != "refused" and act.run not in runs and act.run not in removed:
            yield f"lost: act {name} is {act.state}, and its run {act.run} is not there"
        elif act.state == _OPEN_ACT and act.run in runs and runs[act.run].ended:
            yield f"act {name} is still accepted, and its run {act.run} has ended"
    for name in history.journal.acts.keys() - history.asked:
        yield f"an act {name} was answered that nobody asked for"


def _events(history: History) -> Iterator[str]:
    """Every end that is watched, and every commit, set the trigger off once; what that started is there, once."""
    journal = history.journal
    runs = {run.run: run for run in journal.runs}
    by_key = Counter((event.trigger, event.key.rpartition("/")[0] or event.key) for event in journal.events)
    for (trigger, key), count in by_key.items():
        if key.startswith("commit/") and count > 1:
            yield f"doubled: {key} set trigger {trigger} off {count} times"
    for trigger, (job, state) in history.watched.items():
        ended = {f"run/{run.run}" for run in journal.runs if (run.job, run.state) == (job, state)}
        for key in ended - {event.key for event in journal.events if event.trigger == trigger}:
            yield f"lost: {key} did not set trigger {trigger} off"
    for trigger in history.heard - {event.trigger for event in journal.events if event.key.startswith("commit/")}:
        yield f"lost: no commit has set trigger {trigger} off"
    for event in journal.events:
        about = runs.get(event.key.removeprefix("run/"))
        if event.state == "pending" and (about is None or (about.finished_at or history.until) < history.until):
            yield f"lost: nothing became of {event.key} for trigger {event.trigger}"
        elif event.state == "started" and (
            event.run not in runs or runs[event.run].cause != f"trigger/{event.trigger}/{event.key}"
        ):
            yield f"lost: {event.key} has started {event.run}, which is not there"
    started = {event.run for event in journal.events if event.state == "started"}
    for run in journal.runs:
        if run.cause.startswith("trigger/") and run.run not in started:
            yield f"{run.run} was started by a trigger, and no event says so"


GRAPH = {"first": 1, "ask": 0, "each": 2, "rest": 0, "last": 1, "end": 1}
"""The nodes of the one workflow, in their order: how many runs each has."""


def _graph(run: RunRow, history: History) -> Iterator[str]:
    """Every node of a workflow that ended well has had its runs, each once, and after those of the nodes before it."""
    if run.state == "succeeded" and run.targets != dict.fromkeys(GRAPH, "succeeded") | {"last": "failed"}:
        yield f"{run.run} succeeded, and its nodes are {run.targets}"
    prefix = f"workflow/{run.run}/"
    children = [one for one in history.journal.runs if one.cause.startswith(prefix)]
    nodes = [one.cause.removeprefix(prefix).partition("/")[0] for one in children]
    if nodes != sorted(nodes, key=list(GRAPH).index):
        yield f"{run.run}: its runs were caused in the order {nodes}"
    if run.state == "succeeded" and Counter(nodes) != {node: count for node, count in GRAPH.items() if count}:
        yield f"{run.run}: its nodes have had these runs: {nodes}"


def _effects(history: History) -> Iterator[str]:
    """Nothing happened on a target without a durable start, and what may not be repeated was not."""
    runs: dict[str, list[RunRow]] = defaultdict(list)
    for run in history.journal.runs:
        runs[run.run].append(run)
    removed = set(history.journal.pruned.values())
    begun = Counter((e.run, e.target, e.step, e.attempt) for e in history.effects if e.what == "begin")
    for (name, target, step, attempt), count in begun.items():
        place = f"{name} {target} {step}"
        if name in removed:
            continue
        if name not in runs:
            if not _before_loss(history, name):
                yield f"effect without a durable start: {place}: there is no such run"
            continue
        rows = [row for run in runs[name] for row in run.rows if (row.target, row.step) == (target, step)]
        started = [row for row in rows if row.token in (0, attempt) and row.state != "skipped"]
        if not started and not _before_loss(history, name):
            yield f"effect without a durable start: {place}, attempt {attempt} of the run"
        elif started and count > len(started):
            yield f"one start, {count} effects: {place}, attempt {attempt} of the run"
    yield from _repeated(history)
    for effect in history.effects:
        for run in runs.get(effect.run, ()):
            after_the_end = run.finished_at is not None and effect.at > run.finished_at
            if effect.what == "begin" and after_the_end and not _before_loss(history, effect.run):
                yield f"{effect.run} {effect.target} {effect.step} began after the run's end"


def _repeated(history: History) -> Iterator[str]:
    counts = Counter((e.run, e.target, e.step) for e in history.effects if e.what == "begin")
    jobs = {run.run: run.job for run in history.journal.runs}
    for (run, target, step), count in counts.items():
        plan = history.plans.get(jobs.get(run) or _job_of(run))
        if count > 1 and (plan is None or step not in plan.idempotent):
            yield f"a step that may not be repeated had {count} effects: {run} {target} {step}"


def _job_of(run: str) -> str:
    return run.rsplit("-", 2)[0]


def _before_loss(history: History, run: str) -> bool:
    begins = [effect.at for effect in history.effects if effect.run == run]
    return history.lost_at is not None and min(begins, default=history.lost_at) < history.lost_at


def _claims(run: RunRow, history: History) -> Iterator[str]:
    """What is said of a run follows from its steps, and what is said of a step can be proven by its effects."""
    if run.workflow:
        yield from _graph(run, history)
        return
    if history.plans.get(run.job) is None:
        yield f"{run.run}: there is no job {run.job}"
        return
    plan = history.plans[run.job]
    tokens = [row.token for row in run.rows]
    if tokens != sorted(tokens):
        yield f"{run.run}: a runner that had lost the run wrote to it (tokens {tokens})"
    for row in run.rows:
        yield from _claim(run, row, history)
    if not run.ended:
        return
    for (target, step), row in run.last().items():
        if row.state == "running":
            yield f"{run.run} {target} {step}: running in a run that is {run.state}"
    unproven = "unknown" in {*run.targets.values(), *(row.state for row in run.last().values())}
    if unproven and run.state != "unknown":
        yield f"{run.run} is {run.state}, and part of it is unknown"
    if run.state == "unknown" and not unproven and run.reason not in ("storeLost", "lostTooOften"):
        yield f"{run.run} is unknown, and nothing of it is"
    if run.state == "succeeded":
        last = run.last()
        for target in plan.targets:
            for step in plan.steps:
                found = last.get((target, step))
                made_up_for = step in plan.failing and plan.rescue
                fine = "skipped" if step in plan.skipped else "failed" if made_up_for else "succeeded"
                if found is None or found.state != fine:
                    is_ = f"is {found.state}" if found else "is not there"
                    yield f"{run.run} succeeded, and {step} on {target} {is_}"
    if run.state == "failed" and not {"failed", "unreachable"} & {row.state for row in run.last().values()}:
        yield f"{run.run} failed, and none of its steps did"


def _claim(run: RunRow, row: StepRow, history: History) -> Iterator[str]:
    """One attempt of one step against what the target saw."""
    seen = [
        effect
        for effect in history.effects
        if (effect.run, effect.target, effect.step) == (run.run, row.target, row.step)
        and row.token in (0, effect.attempt)
    ]
    codes = [effect.code for effect in seen if effect.what == "end"]
    place = f"{run.run} {row.target} {row.step}"
    match row.state:
        case "succeeded" if 0 not in codes:
            yield f"succeeded without effect: {place} (token {row.token})"
        case "failed" if (codes and row.exit_code not in codes) or (not codes and (row.exit_code or -1) in range(128)):
            # Without an end of its own it was ended by a signal, which is no exit code of a step.
            yield f"failed cannot be proven: {place} (exit code {row.exit_code}, the target saw {codes})"
        case "skipped" | "unreachable" if seen and not _before_loss(history, run.run):
            yield f"{row.state} although it had an effect: {place}"


def _slots(history: History) -> Iterator[str]:
    """Two runs of one group never work at once, as the targets saw it."""
    jobs = {run.run: run.job for run in history.journal.runs}
    spans: dict[str, tuple[datetime, datetime]] = {}
    for effect in history.effects:
        first, last = spans.get(effect.run, (effect.at, effect.at))
        spans[effect.run] = (min(first, effect.at), max(last, effect.at))
    groups: dict[str, list[tuple[datetime, datetime, str]]] = defaultdict(list)
    for run, (first, last) in spans.items():
        plan = history.plans.get(jobs.get(run) or _job_of(run))
        if plan is not None:
            groups[plan.slot].append((first, last, run))
    for group, held in groups.items():
        held.sort()
        for (_, last, before), (first, _, after) in pairwise(held):
            if first < last:
                yield f"two holders of the slot of {group}: {before} and {after}"


# --- what was settled stays ---


def _settled(history: History) -> Iterator[str]:
    for before, after in pairwise([*history.earlier, history.journal]):
        yield from _kept(before, after, forgiving=history.lost_at is not None)
    if history.branch is not None:
        for run, texts in history.branch.past.items():
            for old, new in pairwise(texts):
                yield from _changed(run, old, new, "the branch")


def _kept(before: Journal, after: Journal, *, forgiving: bool) -> Iterator[str]:
    """`forgiving`: a store was lost between the two, or may have been, so that what was in it may be gone."""
    runs = {run.run: run for run in after.runs}
    removed = set(after.pruned.values())
    for old in before.runs:
        new = runs.get(old.run)
        if new is None:
            if old.run not in removed and not forgiving:
                yield f"lost: run {old.run} was in the journal and is not any more"
        elif not (forgiving and new.reason == "storeLost"):
            yield from _changed(old.run, _as_file(old), _as_file(new), "the journal")
            if old.ended and new.rows != old.rows:
                yield f"settled result changed in the journal: steps of {old.run}, which was {old.state}"
    for name, act in before.acts.items():
        now = after.acts.get(name, ActRow(None))
        done = act.state in ("done", "refused")
        if done and not forgiving and (act.state, act.run) != (now.state, now.run):
            yield f"act {name} was {act.state} and is {now.state}"
    if not forgiving:
        decided = {(decision.schedule, decision.first): decision for decision in after.decisions}
        for one in before.decisions:
            found = decided.get((one.schedule, one.first))
            if found is None or (found.verdict, found.run) != (one.verdict, one.run) or found.last < one.last:
                yield f"a decision of {one.schedule} at {one.first} was changed"


def _as_file(run: RunRow) -> RunFile:
    steps = {place: (row.state, row.exit_code) for place, row in run.last().items()}
    return RunFile(run.state, run.reason, run.attempt, dict(run.targets), steps)


def _changed(run: str, old: RunFile, new: RunFile, where: str) -> Iterator[str]:
    if old.state in _RUN_ENDS and (old.state, old.reason, old.targets) != (new.state, new.reason, new.targets):
        yield f"settled result changed in {where}: {run} was {old.state} ({old.reason}), is {new.state} ({new.reason})"
    for place, (state, code) in old.steps.items():
        final = state != "running" or old.state in _RUN_ENDS
        if final and new.steps.get(place) != (state, code):
            yield f"settled result changed in {where}: {run} {place} was {state}, is {new.steps.get(place)}"


# --- the branch says what the journal says ---


def _published(journal: Journal, branch: Branch) -> Iterator[str]:
    runs = {run.run: _as_file(run) for run in journal.runs}
    for name in sorted(runs.keys() | branch.runs.keys()):
        ours, theirs = runs.get(name), branch.runs.get(name)
        if ours is None or theirs is None:
            yield f"{name} is {'on the branch alone' if ours is None else 'not on the branch'}"
        elif _shown(ours) != _shown(theirs):
            yield f"{name} differs: the journal has {_shown(ours)}, the branch {_shown(theirs)}"
    answered = {name: act for name, act in journal.acts.items() if act.state is not None}
    for name in sorted(answered.keys() | branch.acts.keys()):
        if answered.get(name) != branch.acts.get(name):
            yield f"act {name} differs: the journal has {answered.get(name)}, the branch {branch.acts.get(name)}"
    skips = frozenset(decision for decision in journal.decisions if decision.verdict == "skipped")
    for decision in skips ^ branch.skips:
        yield f"a skip is only {'in the journal' if decision in skips else 'on the branch'}: {decision}"


def _shown(run: RunFile) -> tuple[object, ...]:
    return (run.state, run.reason, run.attempt, sorted(run.targets.items()), sorted(run.steps.items()))


def told(found: Iterable[str]) -> str:
    """The violations as a message of a failed test."""
    return "\n".join(["the history breaks promises:", *(f"  - {one}" for one in found)])
