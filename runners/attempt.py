"""One attempt of one step: the session that its connection opens, and its step type run to an outcome in any case."""

import asyncio
import hashlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from engine.runs.outcome import Failed, Outcome, Unknown, Unreachable
from engine.runs.pinned import RUNNER, PinnedTarget, PlannedStep, Use
from runners.connections import PROOF, Finish, Refused, Session, Site, Stop, Unusable
from runners.connections.files import FileSession
from runners.connections.noting import Note, noted
from runners.connections.ways import Ways
from runners.doors import NoPart
from runners.keyring import Keyring
from runners.limits import Capture
from runners.secrets import Opened, Sealed
from runners.steps import ReadyStep, StepType, step_type
from runners.steps.script import ended_by
from runners.steps.script import outcome_of as meaning
from schemas.steps import Needs

_HOPELESS = PROOF + 10.0
"""Seconds after the order to end a step when we stop waiting for its step type."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How the steps of one run reach where they run.

    `identity` tells the run from every other, also of another engine on the same hosts, and outlives its runner.
    """

    ways: Ways
    keys: Keyring
    identity: str
    jumps: Mapping[str, PinnedTarget] = field(default_factory=dict)
    """The targets that others are reached through, by name."""

    def session(self, step: PlannedStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Session:
        """The session that the step's connection opens. One that cannot be opened refuses every command."""
        needs = _needs(step)
        if needs == "nothing":
            return _NoSession(f"'{_type(step)}' runs no commands", capture, stop)
        if needs == "programs":
            return self._programs(step, target, capture, stop)
        name = step.connection or (target.default_connection if target else "local")
        if name is None:
            return _NoSession("the target has no connection that steps could use", capture, stop)
        site = Site(target, self._opener(target), step.become, self.jumps)
        try:
            session = self.ways.get(name).open(site, capture, stop, mark=_mark(self.identity, site.name, step))
        except (NoPart, Sealed, Unusable) as error:
            return _NoSession(str(error), capture, stop, here_only=True)
        if needs == "files" and not isinstance(session, FileSession):
            return _NoSession(f"'{_type(step)}' needs files, and connection '{name}' reaches none", capture, stop)
        return session

    def is_own_host(self, step: PlannedStep, target: PinnedTarget | None) -> bool:
        """Whether the step runs on the runner's own host, where no other runner can look for what is left of it."""
        name = step.connection or (target.default_connection if target else "local")
        return name == "local" or _needs(step) in ("nothing", "programs")

    def _opener(self, target: PinnedTarget | None) -> Callable[[str], Opened]:
        return self.keys.opener(target.name if target is not None else RUNNER)

    def _programs(self, step: PlannedStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Session:
        """The runner's own host, whatever the target is."""
        try:
            site = Site(target, self._opener(target))
            return self.ways.get("local").open(site, capture, stop, mark=_mark(self.identity, site.name, step))
        except (NoPart, Sealed, Unusable) as error:
            return _NoSession(str(error), capture, stop, here_only=True)


def _type(step: PlannedStep) -> str:
    return step.action.type if isinstance(step.action, Use) else "script"


def _needs(step: PlannedStep) -> Needs:
    known = step.action.known if isinstance(step.action, Use) else None
    return known.needs if known is not None else "commands"


def _mark(run: str, target: str, step: PlannedStep) -> str:
    return hashlib.sha256("\0".join((run, target, step.phase, step.id)).encode()).hexdigest()[:32]


async def taken_over(session: Session, log: structlog.stdlib.BoundLogger, step: PlannedStep) -> Outcome | None:
    """Before a step is repeated: None when nothing of its earlier attempt runs any more, else what became of it.

    A bug of the connection says nothing of that attempt, and costs this step alone.
    """
    try:
        finish = await session.take_over()
    except Exception as error:  # noqa: BLE001 - a plug-in's may raise anything
        return _bug("connection", error, session, log, step)
    return None if finish is None else meaning(finish, session.capture.output(), session.stop)


async def outcome_of(ready: ReadyStep, session: Session, log: structlog.stdlib.BoundLogger) -> Outcome:
    """Run the step type; whatever it does, there is an outcome."""
    try:
        kind = step_type(_type(ready.planned))
    except NoPart as error:
        return Failed(str(error), ran=False)
    stop, note = session.stop, Note()
    work = asyncio.ensure_future(_guarded(kind, ready, noted(session, note), log))
    try:
        if not await stop.first(asyncio.shield(work)):
            await asyncio.wait({work}, timeout=_HOPELESS)
        if work.done():
            return _proven(work.result(), note, session)
        return Unknown(f"{stop.message}; it did not heed the order to end", session.capture.output())
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=1)


def _proven(outcome: Outcome, note: Note, session: Session) -> Outcome:
    """Unreachable says that nothing was sent, and lets the step be repeated whatever it does. A step type that sends
    several things says it of the last, of which it may be true."""
    if not isinstance(outcome, Unreachable) or not note.sent:
        return outcome
    output = session.capture.output()
    if note.open:
        return Unknown(f"{outcome.error}; what of it was sent before may have been done", output)
    if session.stop.why is not None:
        return ended_by(session.stop, output)
    return Failed(f"{outcome.error}; what came before it was done", output)


async def _guarded(kind: StepType, ready: ReadyStep, session: Session, log: structlog.stdlib.BoundLogger) -> Outcome:
    try:
        return await kind.run(ready, session)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        return _bug("step type", error, session, log, ready.planned)


def _bug(
    what: str, error: Exception, session: Session, log: structlog.stdlib.BoundLogger, step: PlannedStep
) -> Unknown:
    # as text, since what is told of an exception may quote a secret
    log.error("step failed by a bug", of=what, step=step.id, exception=session.capture.masked(traceback.format_exc()))
    return Unknown(f"an error in the {what}: {type(error).__name__}", session.capture.output())


class _NoSession:
    """Stands for a place that cannot be reached for a reason of its own.

    `here_only`: another runner may have reached it, such as one that can open the credential.
    """

    def __init__(self, error: str, capture: Capture, stop: Stop, *, here_only: bool = False) -> None:
        self.capture = capture
        self.stop = stop
        self._error = error
        self._here_only = here_only

    async def take_over(self) -> Finish | None:
        """Nothing can have run, unless another runner began it."""
        return Refused(self._error) if self._here_only else None

    async def execute(self, command: object) -> Finish:
        return Refused(self._error)
