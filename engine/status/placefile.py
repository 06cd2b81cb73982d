"""What a run did in one place, as its Run file says it: the target and its steps. Pure."""

from typing import Any

from engine.states import StepState
from engine.status.views import StepView, TargetView
from engine.status.yamltext import plain

MAX_TAIL = 2 * 1024
"""Bytes of the end of what a step printed."""

Document = dict[str, Any]


def place(view: TargetView) -> Document:
    """A target as `status.targets.<name>`; its state is known."""
    assert view.state is not None
    return {
        "state": str(view.state),
        **({"reason": plain(view.reason)} if view.reason else {}),
        **({"runner": view.runner} if view.runner else {}),
        "outputs": plain(view.outputs),
        "steps": [step(one) for one in view.steps],
    }


def step(view: StepView) -> Document:
    """A step as one of `steps`, in the order that people read it in."""
    good = view.state in (StepState.SUCCEEDED, StepState.SKIPPED)
    facts: Document = {
        "id": view.id,
        "name": view.name,
        "phase": None if view.phase == "steps" else view.phase,
        "state": str(view.state),
        "rescued": view.rescued or None,
        "continued": view.continued or None,
        "again": view.again or None,
        "inherited": view.inherited or None,
        "exitCode": view.exit_code,
        "duration": None if view.duration is None else round(view.duration, 3),
        "attempts": view.attempts if view.attempts > 1 else None,
        "outputs": dict(view.outputs) or None,
        "error": view.error,
        "stdoutTail": None if good else _tail(view.stdout_tail),
        "stderrTail": None if good else _tail(view.stderr_tail),
        "log": view.log,
        "would": dict(view.would) if view.would is not None else None,
    }
    return {key: plain(value) for key, value in facts.items() if value is not None}


def _tail(text: str | None) -> str | None:
    """At most the last 2 KiB, whole characters."""
    if not text:
        return None
    data = text.encode(errors="replace")
    return text if len(data) <= MAX_TAIL else data[-MAX_TAIL:].decode(errors="ignore")
