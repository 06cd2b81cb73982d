"""What the acceptance of a commit starts by itself: the acts it brings, judged as the engine will judge them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never

from engine.catalog import Catalog
from engine.changes.plan_places import Place, places
from engine.changes.plan_times import ScheduleChange
from engine.judge import ActFacts, Cancel, Launch, Refuse, checked, heeding, held_back, judge, scheduled
from engine.runs.pinned import PinnedSpec
from engine.runs.refused import PlanRefused
from engine.schedules.windows import Blocked, Windows, subjects_of
from engine.triggers import Fire, Happened, Ignore, verdict
from engine.workflows.workflowplan import PinnedWorkflow
from schemas.act import RunRequest
from schemas.reader import Authored


@dataclass(frozen=True, slots=True)
class Start:
    """What comes of an act, or of a schedule that is due at the very instant the plan begins.

    `verdict` says what the engine does: it starts a run of `job`, the run waits for a place in its concurrency group,
    it refuses with `reason` and `message`, or it does something else with a run that exists already (`acts`). What
    places there are is said as if nothing ran but what is started here.
    """

    cause: str
    """`RunRequest/x`, `Schedule/x` or `Trigger/x`."""
    verdict: Literal["starts", "waits", "refused", "acts"]
    job: str | None = None
    targets: tuple[str, ...] = ()
    starts_at: datetime | None = None
    reason: str | None = None
    message: str | None = None
    blocked: Blocked | None = None
    """The windows in which it would have started: they put it off, or refuse it."""


def starts(
    catalog: Catalog,
    before: Iterable[Authored],
    after: Iterable[Authored],
    schedules: Iterable[ScheduleChange],
    now: datetime,
    events: Iterable[Happened] = (),
) -> tuple[Start, ...]:
    """By cause. An act whose name the base has is consumed already; of two of one name the first counts.

    `events` are those of the commit itself: the triggers that it sets off.
    """
    known = {authored.identity for authored in before}
    fresh: dict[str, Authored] = {}
    for authored in after:
        if authored.identity not in known:
            fresh.setdefault(authored.identity, authored)
    windows = Windows(catalog)
    # In the order of the engine: triggers, acts as they stand in the tree, and then what is due.
    set_off = tuple(one for event in events for one in _set_off(event, catalog, now, windows))
    found = [
        *set_off,
        *(_judged(authored, catalog, now, windows) for authored in fresh.values()),
        *_due_at_once(schedules, catalog, now),
    ]
    placed = places(((start.cause, launch, start.starts_at or now) for start, launch in found if launch), now)
    ends = (len(set_off), len(set_off) + len(fresh))
    parts = found[: ends[0]], found[ends[0] : ends[1]], found[ends[1] :]
    ordered = [one for part in parts for one in sorted(part, key=lambda one: one[0].cause)]
    return tuple(_placed(start, placed.get(start.cause, Place())) for start, _ in ordered)


def _placed(start: Start, place: Place) -> Start:
    match place.verdict:
        case "waits":
            return replace(start, verdict="waits", message=place.message)
        case "refused" | "fails":
            return replace(start, verdict="refused", reason="overlap", message=place.message)
        case "starts" | "replaced":
            return start if place.message is None else replace(start, message=place.message)


def _judged(authored: Authored, catalog: Catalog, now: datetime, windows: Windows) -> tuple[Start, Launch | None]:
    request = authored.document
    if not isinstance(request, RunRequest):
        return Start(authored.identity, "acts"), None
    if request.spec.action in ("rerun", "resume"):  # what the run has done, only the engine knows
        return Start(authored.identity, "acts", message=f"{request.spec.action}s run {request.spec.run}"), None
    facts = ActFacts(committed_at=now, first_seen=now, requested_by="")
    judgement = checked(judge(request, facts, catalog, now), authored, catalog)
    match judgement:
        case Launch(planned=planned, dry_run=True):
            return Start(authored.identity, "acts", message=_rehearses(planned.spec)), None
        case Launch():
            return _launched(authored.identity, judgement, request, catalog, now, windows)
        case Refuse(reason=reason, message=message):
            return Start(authored.identity, "refused", reason=reason, message=message), None
        case Cancel(run=run):
            return Start(authored.identity, "acts", message=f"ends run {run}"), None
        case _:
            assert_never(judgement)


def _rehearses(spec: PinnedSpec | PinnedWorkflow) -> str:
    what = "workflow" if isinstance(spec, PinnedWorkflow) else "job"
    return f"rehearses {what} {spec.job}; nothing runs"


def _launched(
    cause: str, launch: Launch, request: RunRequest, catalog: Catalog, now: datetime, windows: Windows
) -> tuple[Start, Launch | None]:
    """A run that a person asks for, where windows let it start."""
    spec = launch.planned.spec
    begins = max(launch.starts_at or now, now)
    subjects = subjects_of(spec, catalog, requested=True, labels=request.metadata.labels)
    start = Start(cause, "starts", spec.job, _reached(spec), begins, blocked=windows.of_all(subjects).at(begins))
    match heeding(launch, request, windows, catalog, now):
        case Launch(starts_at=starts_at) as heeded:
            return replace(start, starts_at=starts_at or now), heeded
        case Refuse(reason=reason, message=message):
            return replace(start, verdict="refused", reason=reason, message=message), None
        case _:
            return start, launch


def _set_off(
    event: Happened, catalog: Catalog, now: datetime, windows: Windows
) -> Iterator[tuple[Start, Launch | None]]:
    """The run that a trigger starts because of the commit; nothing where its `if` says no."""
    cause = f"Trigger/{event.trigger}"
    match verdict(catalog, event):
        case Fire(launch=launch):
            spec = launch.planned.spec
            held = held_back(launch, windows, catalog, now)
            start = Start(cause, "starts", spec.job, _reached(spec), now)
            if isinstance(held, Refuse):
                yield replace(start, verdict="refused", reason=held.reason, message=held.message), None
            else:
                yield replace(start, starts_at=held.starts_at or now), held
        case Refuse(reason=reason, message=message):
            yield Start(cause, "refused", reason=reason, message=message), None
        case Ignore():
            return


def _reached(spec: PinnedSpec | PinnedWorkflow) -> tuple[str, ...]:
    return spec.reached if isinstance(spec, PinnedWorkflow) else tuple(target.name for target in spec.targets)


def _due_at_once(
    schedules: Iterable[ScheduleChange], catalog: Catalog, now: datetime
) -> Iterator[tuple[Start, Launch | None]]:
    order = {name: number for number, name in enumerate(catalog.schedules)}
    for change in sorted(schedules, key=lambda one: order.get(one.name, 0)):
        for planned in change.after.listed[:1]:
            if planned.fire.instant == now and planned.fire.decision == "run":
                started = catalog.schedules[change.name].spec
                cause, job = f"Schedule/{change.name}", started.job_ref or started.workflow_ref or started.discovery_ref
                launch = scheduled(catalog, change.name, now)
                if isinstance(launch, PlanRefused):
                    yield Start(cause, "refused", job, reason=launch.reason, message=launch.message), None
                    continue
                names = _reached(launch.planned.spec)
                yield Start(cause, "starts", job, names, planned.fire.starts_at, blocked=planned.blocked), launch
