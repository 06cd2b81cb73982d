"""Doing a run again: all of it or what failed, from its beginning, from a step, or where it stopped. Pure.

A repetition is a run of its own. What it does not do again it takes over from the run it repeats: the results of the
steps before its first one, so that expressions read what they read then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from engine.runs.concurrency import Membership
from engine.runs.pinned import RUNNER, PinnedSpec, PlannedStep
from engine.runs.progress import StepRecord, counts_as_success
from engine.selection import matches
from engine.states import RUN_TRANSITIONS, StepState
from engine.status.views import RunView
from schemas.act import RunRequestSpec
from schemas.selector import Selection

Records = Mapping[str, tuple[StepRecord, ...]]
"""By target; `engine.runs.pinned.RUNNER` where the job has none."""

_FAILED = frozenset({StepState.FAILED, StepState.TIMED_OUT, StepState.UNREACHABLE})
_NO_TEXT = frozenset({StepState.SKIPPED, StepState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Original:
    """The run to repeat, as the journal has it: its plan, and what it did. `spec` is None where that is not kept."""

    view: RunView
    spec: PinnedSpec | None
    records: Records
    pool: str
    """Whose runners took it."""
    membership: Membership | None = None
    """Its concurrency group; None of an inline job."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """What is to be done again by this plan, and the results that are taken over."""

    spec: PinnedSpec
    carried: Records


@dataclass(frozen=True, slots=True)
class NotRepeatable:
    """Why not. `reason` is one word for programs, `message` a sentence for people."""

    reason: str
    message: str


class _Refusal(Exception):  # noqa: N818 -- becomes a NotRepeatable in this module
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.refused = NotRepeatable(reason, message)


def nothing_to_go_on_from(asked: RunRequestSpec, view: RunView) -> NotRepeatable | None:
    """The refusal of a part of a dry run, which has done nothing; None where it was none, or all of it is wanted."""
    if view.rehearsal is None or not (asked.action == "resume" or asked.failed_only or asked.from_step is not None):
        return None
    return NotRepeatable("dryRun", f"run {view.id} was a dry run and did nothing to go on from; rerun all of it")


def repeated(asked: RunRequestSpec, original: Original, spec: PinnedSpec) -> Repetition | NotRepeatable:
    """The part of a run that is done again, by `spec`: its own plan, or the one of today's definitions."""
    try:
        if RUN_TRANSITIONS[original.view.state]:
            raise _Refusal("stillOpen", f"run {original.view.id} has not ended; wait for it, or cancel it first")
        if (nothing := nothing_to_go_on_from(asked, original.view)) is not None:
            raise _Refusal(nothing.reason, nothing.message)
        places = tuple(_places(asked, original, spec))
        if not places:
            raise _Refusal("noTargets", _why_nothing(asked, original))
        carried = {place: records for place in places if (records := _carried(asked, original, spec, place))}
        _refuse_lost_text(spec, carried)
    except _Refusal as refusal:
        return refusal.refused
    chosen = frozenset(places)
    targets = tuple(target for target in spec.targets if target.name in chosen)
    return Repetition(replace(spec, targets=targets), carried)


# --- where -----------------------------------------------------------------------------------------------------------


def _places(asked: RunRequestSpec, original: Original, spec: PinnedSpec) -> Iterator[str]:
    if not spec.on_targets and asked.limit is not None:
        raise _Refusal("noTargets", f"'{spec.job}' has no targets that a limit could narrow")
    states = {result.name: result.state for result in original.view.results}
    names = [target.name for target in spec.targets] if spec.on_targets else [RUNNER]
    limited = _limited(asked.limit, spec)
    for name in names:
        state = states.get(name)
        wanted = state in _FAILED if asked.failed_only else True
        if asked.action == "resume":
            wanted = state is not StepState.SUCCEEDED
        if wanted and name in limited:
            yield name


def _why_nothing(asked: RunRequestSpec, original: Original) -> str:
    lost = [result.name for result in original.view.results if result.state is StepState.UNKNOWN]
    if asked.failed_only and lost:
        where = "" if lost[0] == RUNNER else f" on {lost[0]}"
        return f"nothing of it failed; nobody knows how it ended{where}: look there, then resume it by fromStep"
    return "nothing of it is left to do again"


def _limited(limit: Selection | None, spec: PinnedSpec) -> frozenset[str]:
    if not spec.on_targets:
        return frozenset({RUNNER})
    everything = {target.name: target for target in spec.targets}
    if limit is None:
        return frozenset(everything)
    if limit.groups or limit.exclude is not None:
        raise _Refusal("badLimit", "a repetition is limited by names and labels, not by groups or 'exclude'")
    if unknown := next((name for name in limit.names if name not in everything), None):
        raise _Refusal("unknownTarget", f"the run has no target '{unknown}'; nothing was started")
    by_label = {
        name for name, one in everything.items() if limit.selector is not None and matches(limit.selector, one.labels)
    }
    return frozenset(limit.names) | by_label


# --- from which step -------------------------------------------------------------------------------------------------


def _carried(asked: RunRequestSpec, original: Original, spec: PinnedSpec, place: str) -> tuple[StepRecord, ...]:
    steps = [step for step in spec.steps if step.phase == "steps"]
    known = {record.id: record for record in original.records.get(place, ()) if record.phase == "steps"}
    if asked.from_step is not None:
        first = _named(asked.from_step, steps)
    elif asked.action == "resume":
        first = _first_open(steps, known, place)
    else:
        first = 0
    return tuple(_taken_over(step, known.get(step.id)) for step in steps[:first])


def _named(name: str, steps: Sequence[PlannedStep]) -> int:
    ids = [step.id for step in steps]
    if name in ids:
        return ids.index(name)
    near = get_close_matches(name, ids, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(ids)}"
    raise _Refusal("unknownStep", f"there is no step '{name}' to begin with; {hint}")


def _first_open(steps: Sequence[PlannedStep], known: Mapping[str, StepRecord], place: str) -> int:
    """The first step that is not done. One that nobody can vouch for is begun again only by consent."""
    for number, step in enumerate(steps):
        record = known.get(step.id)
        if record is not None and counts_as_success(record):
            continue
        if record is not None and record.state is StepState.UNKNOWN and not step.idempotent:
            where = "" if place == RUNNER else f" on {place}"
            message = f"nobody knows how step '{step.id}'{where} ended"
            raise _Refusal("unproven", f"{message}; look there, then name by fromStep the step to begin with")
        return number
    return len(steps)


def _taken_over(step: PlannedStep, record: StepRecord | None) -> StepRecord:
    """The result of a step that is not done again; one that was not done counts as left out on purpose."""
    if record is not None and counts_as_success(record):
        return replace(record, again=False)
    return StepRecord(step.phase, step.id, StepState.SKIPPED, error="left out: the run was repeated from a later step")


def _refuse_lost_text(spec: PinnedSpec, carried: Records) -> None:
    kept = {step.id for step in spec.steps if step.keeps_output}
    for record in (record for records in carried.values() for record in records):
        if record.id in kept and record.stdout is None and record.state not in _NO_TEXT:
            raise _Refusal(
                "textLost",
                f"what is left to do reads what step '{record.id}' printed, which is not kept any more; "
                "repeat the run from that step, or from its beginning",
            )
