"""The checker itself: a history that can be true has no violation, and each lie is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.history import (
    ActRow,
    Branch,
    Clock,
    DecisionRow,
    Effect,
    History,
    Journal,
    Plan,
    RunFile,
    RunRow,
    StepRow,
    Timetable,
    violations,
)

T0 = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
RUN = "quick-20261121T120001Z-0123456789"
ASKED = "quick-20261121T120002Z-9876543210"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def effect(seconds: float, what: str, run: str = RUN, *, attempt: int = 1, code: int | None = None) -> Effect:
    return Effect(at(seconds), what, run, "here", "once", attempt, code)


def run_row(name: str, cause: str, ended: float) -> RunRow:
    step = StepRow("here", "once", 1, 1, "succeeded", 0)
    return RunRow(name, cause, "quick", "succeeded", None, at(ended), 1, (step,), {"here": "succeeded"})


def run_file() -> RunFile:
    return RunFile("succeeded", None, 1, {"here": "succeeded"}, {("here", "once"): ("succeeded", 0)})


SCHEDULED = run_row(RUN, "schedule/every/20261121T120001Z", 1.3)
REQUESTED = run_row(ASKED, "request/ask", 2.8)
DECIDED = DecisionRow("every", at(1), at(1), 1, "run", None, RUN)
SKIPPED = DecisionRow("every", at(2), at(3), 2, "skipped", "overlap")
ACT = ActRow("done", None, ASKED)
EFFECTS = (
    effect(1.1, "begin"),
    effect(1.2, "end", code=0),
    effect(2.6, "begin", ASKED),
    effect(2.7, "end", ASKED, code=0),
)
JOURNAL = Journal(
    runs=(SCHEDULED, REQUESTED),
    decisions=(DECIDED, SKIPPED),
    clocks={"every": Clock(at(0.5), at(3.2))},
    acts={"ask": ACT},
)
BRANCH = Branch(runs={RUN: run_file(), ASKED: run_file()}, past={}, acts={"ask": ACT}, skips=frozenset({SKIPPED}))
TRUE = History(
    plans={"quick": Plan("quick", ("here",), ("once",))},
    timetables=(Timetable("every", every=timedelta(seconds=1)),),
    effects=EFFECTS,
    journal=JOURNAL,
    until=at(3.1),
    branch=BRANCH,
    earlier=(JOURNAL,),
    asked=frozenset({"ask"}),
)


def journal(**changes: Any) -> History:
    """The true history with another journal, and nothing to compare it with."""
    return replace(TRUE, journal=replace(JOURNAL, **changes), branch=None, earlier=())


def test_a_true_history_has_no_violation() -> None:
    assert violations(TRUE) == []


UNKNOWN = replace(
    SCHEDULED, state="unknown", rows=(StepRow("here", "once", 1, 1, "unknown", None),), targets={"here": "unknown"}
)
LATE = (StepRow("here", "once", 1, 2, "succeeded", 0), StepRow("here", "twice", 1, 1, "succeeded", 0))
LIES = {
    "lost: every": journal(decisions=(DECIDED,)),
    "lost: every at 2026-11-21 12:00:04": replace(TRUE, until=at(4.5)),
    "is not there": journal(runs=(SCHEDULED,)),
    "both run and skipped": journal(decisions=(DECIDED, replace(SKIPPED, first=at(1), count=3))),
    "doubled: schedule/every": journal(runs=(SCHEDULED, SCHEDULED, REQUESTED)),
    "was removed": journal(pruned={SCHEDULED.cause: RUN}),
    "counts 5, not 2": journal(decisions=(DECIDED, replace(SKIPPED, count=5))),
    "was decided and was not due": journal(decisions=(DECIDED, SKIPPED, replace(DECIDED, first=at(2.5)))),
    "was decided to run and has no run": journal(runs=(REQUESTED,)),
    "was never answered": journal(acts={}),
    "was refused as tooOld": journal(acts={"ask": ActRow("refused", "tooOld")}),
    "both run and refused": journal(acts={"ask": ActRow("refused", "overlap")}),
    "is still accepted": journal(acts={"ask": replace(ACT, state="accepted")}),
    "nobody asked for": replace(TRUE, asked=frozenset()),
    "there is no such run": replace(TRUE, effects=(*EFFECTS, effect(0.1, "begin", "quick-2-3"))),
    "effect without a durable start": replace(TRUE, effects=(effect(1.0, "begin", attempt=2), *EFFECTS)),
    "one start, 2 effects": replace(TRUE, effects=(effect(1.0, "begin"), *EFFECTS)),
    "may not be repeated had 2 effects": replace(TRUE, effects=(effect(1.0, "begin", attempt=2), *EFFECTS)),
    "began after the run's end": replace(TRUE, effects=(*EFFECTS, effect(9.0, "begin"))),
    "a runner that had lost the run wrote": journal(runs=(replace(SCHEDULED, rows=LATE), REQUESTED)),
    "succeeded without effect": replace(TRUE, effects=EFFECTS[:2]),
    "failed cannot be proven": journal(
        runs=(replace(SCHEDULED, rows=(StepRow("here", "once", 1, 1, "failed", 3),)), REQUESTED)
    ),
    "skipped although it had an effect": journal(
        runs=(replace(SCHEDULED, rows=(StepRow("here", "once", 1, 1, "skipped", None),)), REQUESTED)
    ),
    "running in a run that is": journal(
        runs=(replace(SCHEDULED, rows=(StepRow("here", "once", 1, 1, "running", None),)), REQUESTED)
    ),
    "part of it is unknown": journal(runs=(replace(UNKNOWN, state="failed"), REQUESTED)),
    "nothing of it is": journal(runs=(replace(SCHEDULED, state="unknown"), REQUESTED)),
    "once on here is not there": journal(runs=(replace(SCHEDULED, rows=()), REQUESTED)),
    "none of its steps did": journal(runs=(replace(SCHEDULED, state="failed"), REQUESTED)),
    "two holders of the slot": replace(TRUE, effects=(*EFFECTS, effect(2.65, "end", code=0))),
    "settled result changed in the journal": replace(TRUE, earlier=(replace(JOURNAL, runs=(UNKNOWN, REQUESTED)),)),
    "steps of": replace(TRUE, earlier=(replace(JOURNAL, runs=(replace(SCHEDULED, rows=(*LATE,)), REQUESTED)),)),
    "was in the journal and is not": replace(TRUE, earlier=(replace(JOURNAL, runs=(replace(SCHEDULED, run="x"),)),)),
    "act ask was refused and is done": replace(TRUE, earlier=(replace(JOURNAL, acts={"ask": ActRow("refused")}),)),
    "was changed": replace(TRUE, earlier=(replace(JOURNAL, decisions=(replace(DECIDED, verdict="skipped"),)),)),
    "settled result changed in the branch": replace(
        TRUE, branch=replace(BRANCH, past={RUN: (replace(run_file(), state="unknown"), run_file())})
    ),
    "differs: the journal has": replace(
        TRUE, branch=replace(BRANCH, runs={**BRANCH.runs, RUN: replace(run_file(), attempt=2)})
    ),
    "not on the branch": replace(TRUE, branch=replace(BRANCH, runs={RUN: run_file()})),
    "on the branch alone": replace(TRUE, branch=replace(BRANCH, runs={**BRANCH.runs, "other-1-2": run_file()})),
    "act ask differs": replace(TRUE, branch=replace(BRANCH, acts={})),
    "a skip is only in the journal": replace(TRUE, branch=replace(BRANCH, skips=frozenset())),
    "secret canary found": replace(TRUE, leaks=("state/logs/1 (hex)",)),
}


@pytest.mark.parametrize("said", LIES)
def test_a_lie_is_found(said: str) -> None:
    found = violations(LIES[said])
    assert any(said in one for one in found), found


def test_a_step_that_may_be_repeated_may_have_two_effects() -> None:
    """One for each durable start, by its author's consent."""
    plans = {"quick": Plan("quick", ("here",), ("once",), idempotent=frozenset({"once"}))}
    rows = (StepRow("here", "once", 1, 1, "running", None), StepRow("here", "once", 2, 2, "succeeded", 0))
    again = replace(SCHEDULED, rows=rows, attempt=2)
    effects = (effect(1.0, "begin"), effect(1.1, "begin", attempt=2), effect(1.2, "end", attempt=2, code=0))
    told = replace(journal(runs=(again, REQUESTED)), plans=plans, effects=(*effects, *EFFECTS[2:]))
    assert violations(told) == []


def test_what_was_not_published_before_the_store_was_lost_may_be_missing() -> None:
    """Its effects are older than the loss; nothing else is forgiven."""
    stray = effect(0.1, "begin", "quick-20261121T120000Z-5555555555")
    told = replace(TRUE, effects=(stray, *EFFECTS), earlier=(), lost_at=at(0.2))
    assert violations(told) == []
    assert violations(replace(told, lost_at=at(0.05))) != []


def test_a_schedule_that_was_accepted_without_its_clock_is_found() -> None:
    """What fell due before the next start would never be missed otherwise."""
    came = Timetable("pair-every", every=timedelta(seconds=2), commit="c2")
    died = History(plans={}, timetables=(came,), effects=(), journal=Journal(applied="c2"), until=T0)
    assert "lost: schedule pair-every came with the commit in force and has no clock" in violations(died)
