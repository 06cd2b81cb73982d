"""Step types: what a step does, once everything in it is known.

Built-in types and plug-ins come through one door: a plug-in names its type in the entry point group
`opsconductor.steps`, and the object there follows `StepType`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Protocol

from engine.contexts import RunFacts
from engine.outcome import Outcome
from engine.pinned import PinnedTarget, PlannedStep
from runners.bootstrap import Command
from runners.connections import Session
from runners.secrets import Opened

GROUP = "opsconductor.steps"


@dataclass(frozen=True, slots=True)
class Around:
    """What a step that itself talks to servers knows of its run.

    `networks` are those of the pool, `opened` opens a credential that the plan has. It raises Sealed.
    """

    run: RunFacts
    target: PinnedTarget | None
    networks: tuple[str, ...]
    opened: Callable[[str], Opened] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """A step with every expression evaluated: what is left is to do it. Nothing of it may be logged: it has secrets."""

    planned: PlannedStep
    command: Command | None = field(default=None, repr=False)
    """The script to run, for steps that are one."""
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`with`, for all others."""
    restricted: bool = False
    """Whether this runner does nothing to its own host."""
    around: Around | None = field(default=None, repr=False)


class StepType(Protocol):
    """Does one kind of step.

    One instance serves many steps of many runs at once, so it keeps nothing of them. `run` is called once per attempt,
    after the attempt's start was recorded; it is never called again for the same attempt. Time limit, masking and
    recording are around it: it returns what happened, and raises nothing but CancelledError (anything else is a bug,
    and the step is recorded as unknown). When `session.stop` is given it ends its work and says what is proven:
    TimedOut and Cancelled mean that nothing of it runs any more, Unknown that this is not known. Output goes to
    `session.capture`.
    """

    async def run(self, step: ReadyStep, session: Session) -> Outcome: ...


@lru_cache(maxsize=1)
def step_types() -> Mapping[str, StepType]:
    """Every step type by name; plug-ins cannot replace built-in ones."""
    from runners.steps.assertion import Assert
    from runners.steps.dummy import Dummy
    from runners.steps.httprequest import HttpRequest, WebhookCall
    from runners.steps.script import Script
    from runners.steps.waiting import WaitUntil

    found: dict[str, StepType] = {entry.name: entry.load() for entry in entry_points(group=GROUP)}
    built_in: dict[str, StepType] = {
        "script": Script(),
        "assert": Assert(),
        "dummy": Dummy(),
        "http.request": HttpRequest(),
        "webhook.call": WebhookCall(),
        "wait.until": WaitUntil(),
    }
    return {**found, **built_in}
