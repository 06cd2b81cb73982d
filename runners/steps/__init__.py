"""Step types: what a step does, once everything in it is known.

Built-in types and those of plug-ins come through one door: the entry point group `opsconductor.steps` names factories
that take nothing and give a `StepType`. What a type's inputs and outputs are, and what it needs of the place where it
runs, is data: `schemas.steps`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from engine.expressions.contexts import RunFacts
from engine.runs.outcome import Outcome
from engine.runs.pinned import PinnedTarget, PlannedStep
from runners.bootstrap import Command
from runners.connections import Session
from runners.doors import Door
from runners.repository import RunFiles
from runners.secrets import Opened


@dataclass(frozen=True, slots=True)
class Around:
    """What a step that itself talks to servers knows of its run.

    `networks` are those of the pool, `opened` opens a credential that the plan has. It raises Sealed.
    """

    run: RunFacts
    target: PinnedTarget | None
    networks: tuple[str, ...]
    opened: Callable[[str], Opened] = field(repr=False)
    files: RunFiles
    seen: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the step's expressions see, as plain data."""
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`spec` of the NotificationChannels that the plan has, by name."""


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """A step with every expression evaluated: what is left is to do it. Nothing of it may be logged: it has secrets."""

    planned: PlannedStep
    command: Command | None = field(default=None, repr=False)
    """The script to run, for steps that are one."""
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`with`, for all others."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the program that they start, for those that start one."""
    restricted: bool = False
    """Whether this runner does nothing to its own host."""
    around: Around | None = field(default=None, repr=False)
    before: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The outputs of the attempt that this one repeats, by consent of `retry`; empty in any other."""


class StepType(Protocol):
    """Does one kind of step.

    One instance serves many steps of many runs at once, so it keeps nothing of them. `run` is called once per attempt,
    after the attempt's start was recorded; it is never called again for the same attempt. Time limit, masking and
    recording are around it: it returns what happened, and raises nothing but CancelledError (anything else is a bug,
    and the step is recorded as unknown). When `session.stop` is given it ends its work and says what is proven:
    TimedOut and Cancelled mean that nothing of it runs any more, Unknown that this is not known. Unreachable means that
    nothing at all was sent, so that it may begin anew, whatever it does: once a command was executed, a file changed or
    a request sent in this attempt, what cannot be sent after it is Failed (or what the order to end says), and never
    Unreachable. Output goes to `session.capture`. The session of a type that needs files is a
    runners.connections.files.FileSession, that of one that needs programs a
    runners.connections.program.ProgramSession; that of one that needs nothing refuses every command.
    """

    async def run(self, step: ReadyStep, session: Session) -> Outcome: ...


DOOR: Door[StepType] = Door(
    "opsconductor.steps",
    "step type",
    {
        "sftp.download": "runners.steps.download:Download",
        "sftp.sync": "runners.steps.sync:Sync",
        "sftp.upload": "runners.steps.upload:Upload",
        "template": "runners.steps.template:Template",
        "assert": "runners.steps.assertion:Assert",
        "dummy": "runners.steps.dummy:Dummy",
        "discovery.read": "runners.steps.inventory:DiscoveryRead",
        "discovery.scan": "runners.steps.discovery:DiscoveryScan",
        "http.request": "runners.steps.httprequest:HttpRequest",
        "mcp.call": "runners.steps.mcpcall:McpCall",
        "nmap.scan": "runners.steps.nmapscan:NmapScan",
        "notify": "runners.steps.notify:Notify",
        "script": "runners.steps.script:Script",
        "wait.until": "runners.steps.waiting:WaitUntil",
        "webhook.call": "runners.steps.httprequest:WebhookCall",
        "winrm.copy": "runners.steps.windowsfiles:Copy",
        "winrm.fetch": "runners.steps.windowsfiles:Fetch",
    },
)


@cache
def step_type(name: str) -> StepType:
    """The one instance of a step type. Raises runners.doors.NoPart."""
    return DOOR.factory(name)()
