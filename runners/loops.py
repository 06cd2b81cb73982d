"""Loops: the items that a step is repeated for, and what all of them together make of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.expressions.expression import ExpressionError, compile_text, condition, render
from engine.itemcounts import counted
from engine.runs.pinned import LibraryCall, Loop, PlannedStep
from engine.runs.progress import FORGIVABLE, StepRecord, counts_as_success
from engine.states import StepState, worst
from journal.steps import StepEnd
from runners.prepare import Place

MAX_ITEMS = 1_000
"""As many as a collection may have that an expression walks."""


@dataclass(frozen=True, slots=True)
class Items:
    """What a loop walks, in order."""

    loop: Loop
    values: tuple[Any, ...]


def items_of(step: PlannedStep, place: Place, *, begun: bool) -> Items | None:
    """The items of a step's loop; None where its condition, which does not ask for an item, does not hold.

    `begun`: the condition was asked before, and is not asked again. Raises ExpressionError.
    """
    assert step.loop is not None
    context = place.context({})
    if (
        not begun
        and not _asks_for_item(step, step.loop)
        and not condition(step.condition, context, status=place.status)
    ):
        return None
    try:
        found = render(step.loop.items, context, status=place.status)
    except ExpressionError as error:
        raise ExpressionError(f"forEach.items: {error.message}", error.offset, error.length) from error
    if not isinstance(found, list):
        raise ExpressionError(f"forEach.items: a list is needed, and this is {_kind(found)}", 0, 0)
    if len(found) > MAX_ITEMS:
        raise ExpressionError(f"forEach.items: {len(found)} items; at most {MAX_ITEMS} are possible", 0, 0)
    return Items(step.loop, tuple(found))


def _asks_for_item(step: PlannedStep, loop: Loop) -> bool:
    if not isinstance(step.condition, str):
        return False
    return any(path[0] == loop.as_ for path in compile_text(step.condition).references)


def _kind(value: Any) -> str:
    names = {bool: "true or false", str: "a text", dict: "a map", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def judged(step: PlannedStep, items: Sequence[StepRecord | None], ends: Sequence[StepState | None]) -> StepEnd:
    """What the ends of its items make of a step: the worst of them, and a list of each of its outputs.

    `items` has the record of each item, None for one that did not begin: after another one had failed, or because the
    run was ended. `ends` is how the walks of the items ended.
    """
    bad = [one for one in items if one is not None and not counts_as_success(one)]
    states = [
        one.state if one is not None and one.state is StepState.SKIPPED else end
        for one, end in zip(items, ends, strict=True)
        if end is not None
    ]
    state = StepState.SKIPPED if states and set(states) == {StepState.SKIPPED} else worst(states)
    return StepEnd(
        state,
        outputs={name: [None if one is None else one.outputs.get(name) for one in items] for name in _outputs_of(step)},
        error=_error(items, bad, state),
        continued=step.continue_on_error and state in FORGIVABLE,
    )


def _outputs_of(step: PlannedStep) -> tuple[str, ...]:
    gives = step.action.gives if isinstance(step.action, LibraryCall) else {}
    return tuple(dict.fromkeys((*gives, *step.outputs)))


def _error(items: Sequence[StepRecord | None], bad: Sequence[StepRecord], state: StepState) -> str | None:
    """How many items ended in which way, where they did not all go well; and of the first that did not, why."""
    if not bad and state in (StepState.SUCCEEDED, StepState.SKIPPED):
        return None
    said = counted(("rescued" if one.rescued else one.state.value for one in items if one is not None), len(items))
    return said if not bad else f"{said}; {bad[0].id}: {bad[0].error or bad[0].state.value}"
