"""Which steps print text that a later expression reads, and the expressions of planned steps themselves."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.expressions.expression import ExpressionError, Hole, compile_text, condition_text, split, texts_of
from engine.runs.pinned import LibraryCall, PlannedStep, Script, Use, every
from engine.runs.refused import Refusal


@dataclass(frozen=True, slots=True)
class Read:
    """Steps whose stdout, stderr or json a later expression reads."""

    steps: frozenset[str]
    everything: bool

    def __contains__(self, step: str) -> bool:
        return step in self.steps


_TEXTS = frozenset({"stdout", "stderr", "json"})


def outputs_read(outputs: Mapping[str, Any], steps: Iterable[PlannedStep]) -> Read:
    """What the expressions of these steps, and of a job's outputs, read of the text that steps print."""
    read: set[str] = set()
    everything = False
    for cel in (*cels_of_steps(steps), *cels_of(outputs)):
        for path in references(cel):
            if path[0] != "steps":
                continue
            if len(path) == 1:
                everything = True
            elif len(path) == 2 or path[2] in _TEXTS:
                read.add(path[1])
    return Read(frozenset(read), everything)


def cels_of_steps(steps: Iterable[PlannedStep]) -> Iterator[str]:
    """Every expression of the steps, those of their rescues and of what library steps consist of too."""
    for step in every(steps):
        if isinstance(step.condition, str):
            yield step.condition
        if isinstance(step.ok_exit_codes, str):
            yield condition_text(step.ok_exit_codes)
        if step.retry is not None and isinstance(step.retry.if_, str):
            yield condition_text(step.retry.if_)
        if step.loop is not None:
            yield from cels_of(step.loop.items)
        yield from cels_of([step.env, step.working_dir, step.stdin, step.outputs])
        match step.action:
            case Script(holes=holes, file=file):
                yield from holes
                yield from cels_of(file)
            case Use(inputs=inputs):
                yield from cels_of(inputs)
            case LibraryCall(inputs=inputs, outputs=outputs):
                yield from cels_of([inputs, outputs])


def cels_of(value: Any) -> Iterator[str]:
    """The expressions in the texts of a value. Raises ExpressionError."""
    for text in texts_of(value):
        yield from (part.cel for part in split(text) if isinstance(part, Hole))


def cels_as_far_as_readable(value: Any) -> Iterator[str]:
    """The same, without those that are no expressions."""
    for text in texts_of(value):
        try:
            found = [part.cel for part in split(text) if isinstance(part, Hole)]
            yield from (cel for cel in found if compile_text(cel))
        except ExpressionError:
            continue  # a finding of its own


def references(cel: str) -> tuple[tuple[str, ...], ...]:
    """The paths that an expression reads. Raises Refusal (`badSteps`) for what is none."""
    try:
        return compile_text(cel).references
    except ExpressionError as problem:
        raise Refusal("badSteps", f"the expression '{cel}': {problem}") from problem
