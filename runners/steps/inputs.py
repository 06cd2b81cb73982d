"""What a step was given: its inputs as they stand when it starts, and as they were written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.runs.pinned import Use
from engine.userschema import faults_of
from runners.steps import Around, ReadyStep


class Unfit(Exception):  # noqa: N818 - named after the inputs
    """The step cannot be done as it is written; nothing was done, and the message says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """Inputs that fit their schema, null taken for left out; `written` still has the expressions."""

    inputs: Mapping[str, Any]
    written: Mapping[str, Any]
    around: Around


def given(step: ReadyStep) -> Given:
    """The inputs of a step of a type that knows of its run. Raises Unfit."""
    action = step.planned.action
    if step.around is None or not isinstance(action, Use):
        raise Unfit("it was planned for something else than a step type")
    found = action.known
    if found is None:
        raise Unfit(f"there is no step type '{action.type}'")
    inputs = {name: value for name, value in step.inputs.items() if value is not None or name == "json"}
    for name in sorted(found.required - inputs.keys()):
        raise Unfit(f"'{name}' is null; it is required")
    for name, value in inputs.items():
        for path, message in faults_of(found.inputs[name], value):
            raise Unfit(f"'{name}'{''.join(f'[{part!r}]' for part in path)}: {message}")
    return Given(inputs, action.inputs, step.around)
