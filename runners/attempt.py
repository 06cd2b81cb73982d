"""One attempt of one step: the session that its connection opens, and its step type run to an outcome in any case."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from engine.outcome import Failed, Outcome, Unknown
from engine.pinned import RUNNER, PinnedTarget, PlannedStep, Script, Use
from runners.connections import PROOF, Finish, Refused, Session, Stop
from runners.connections.become import Becoming
from runners.connections.here import Here, here
from runners.connections.local import RESTRICTED, LocalHost, LocalSession
from runners.connections.login import SshPlace
from runners.connections.ssh import SshSession
from runners.keyring import Keyring
from runners.limits import Capture
from runners.secrets import Sealed
from runners.sessions import SshConnections
from runners.steps import ReadyStep, StepType, step_types
from runners.steps.script import outcome_of as meaning
from schemas.target import Become, SshConnection

_HOPELESS = PROOF + 10.0
"""Seconds after the order to end a step when we stop waiting for its step type."""

_TALKING = frozenset({"http.request", "webhook.call", "wait.until"})
"""Step types in which the runner itself talks to a server: the target's own connection is not opened for them."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The ways from this runner to where a step runs, for one run.

    `identity` tells the run from every other, also of another engine on the same hosts, and outlives its runner.
    """

    local: LocalHost
    ssh: SshConnections
    keys: Keyring
    identity: str
    jumps: Mapping[str, PinnedTarget] = field(default_factory=dict)
    """The targets that others are reached through, by name."""

    def session(self, step: PlannedStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Session:
        """The session that the step's connection opens. One that cannot be opened refuses every command."""
        if isinstance(step.action, Use) and step.action.type in _TALKING:
            return _NoSession(f"'{step.action.type}' runs no commands", capture, stop)
        connection = step.connection or (target.default_connection if target else "local")
        if connection == "local" and step.become is None:
            return LocalSession(self.local, capture, stop)
        if connection == "local":
            return self._as_another(step, target, capture, stop)
        ssh = target.connections.ssh if target is not None else None
        if connection != "ssh" or ssh is None or target is None:
            return _NoSession(f"there is no connection '{connection}' that this version can use", capture, stop)
        try:
            place, become = self._ssh_place(target, ssh), self._becoming(step.become or ssh.become)
            mark = _mark(self.identity, target.name, step)
            return SshSession(place, self.ssh, capture, stop, mark=mark, become=become)
        except Sealed as error:
            return _NoSession(str(error), capture, stop)

    def _as_another(self, step: PlannedStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Session:
        """A local step that runs as another user of this host."""
        if self.local.settings.restricted:
            return _NoSession(RESTRICTED, capture, stop)
        try:
            become = self._becoming(step.become)
        except Sealed as error:
            return _NoSession(str(error), capture, stop)
        name = target.name if target else RUNNER
        mark = _mark(self.identity, name, step)
        return SshSession(here(name), Here(self.local.settings), capture, stop, mark=mark, become=become)

    def _becoming(self, become: str | Become | None) -> Becoming | None:
        match become:
            case None:
                return None
            case str() as user:
                return Becoming(user)
            case Become(user=user, credential_ref=None):
                return Becoming(user)
            case Become(user=user, credential_ref=str() as name):
                return Becoming(user, self.keys.get(name).get("password"))
            case _:
                raise AssertionError(become)

    def _ssh_place(self, target: PinnedTarget, ssh: SshConnection) -> SshPlace:
        if ssh.credential_ref is None:
            raise Sealed(f"Target {target.name} has no spec.connections.ssh.credentialRef to log in with")
        credential = self.keys.get(ssh.credential_ref)
        user = ssh.user or credential.username
        if user is None:
            raise Sealed(f"neither Target {target.name} nor credential '{credential.name}' names a user")
        return SshPlace(
            target=target.name,
            host=target.host or "",
            port=ssh.port,
            user=user,
            host_keys=ssh.host_keys,
            private_key=credential.fields.get("privateKey"),
            password=credential.fields.get("password"),
            passphrase=credential.fields.get("passphrase"),
            certificate=credential.fields.get("certificate"),
            via=self._via(target, ssh),
        )

    def _via(self, target: PinnedTarget, ssh: SshConnection) -> SshPlace | None:
        if ssh.jump is None:
            return None
        through = self.jumps.get(ssh.jump)
        if through is None or through.connections.ssh is None:
            raise Sealed(f"Target {target.name} is reached through '{ssh.jump}', of which the plan knows no ssh")
        return self._ssh_place(through, through.connections.ssh)


def _mark(run: str, target: str, step: PlannedStep) -> str:
    return hashlib.sha256("\0".join((run, target, step.phase, step.id)).encode()).hexdigest()[:32]


async def taken_over(session: Session) -> Outcome | None:
    """Before a step is repeated: None when nothing of its earlier attempt runs any more, else what became of it."""
    finish = await session.take_over()
    return None if finish is None else meaning(finish, session.capture.output(), session.stop)


async def outcome_of(ready: ReadyStep, session: Session, log: structlog.stdlib.BoundLogger) -> Outcome:
    """Run the step type; whatever it does, there is an outcome."""
    action = ready.planned.action
    name = "script" if isinstance(action, Script) else action.type
    kind = step_types().get(name)
    if kind is None:
        return Failed(f"this runner has no step type '{name}'")
    stop = session.stop
    work = asyncio.ensure_future(_guarded(kind, ready, session, log))
    try:
        if not await stop.first(asyncio.shield(work)):
            await asyncio.wait({work}, timeout=_HOPELESS)
        if work.done():
            return work.result()
        return Unknown(f"{stop.message}; it did not heed the order to end", session.capture.output())
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=1)


async def _guarded(kind: StepType, ready: ReadyStep, session: Session, log: structlog.stdlib.BoundLogger) -> Outcome:
    try:
        return await kind.run(ready, session)
    except Exception as error:
        log.exception("step type failed", step=ready.planned.id)
        return Unknown(f"an error in the step type: {type(error).__name__}", session.capture.output())


class _NoSession:
    """Stands for a place that cannot be reached for a reason of its own."""

    def __init__(self, error: str, capture: Capture, stop: Stop) -> None:
        self.capture = capture
        self.stop = stop
        self._error = error

    async def take_over(self) -> None:
        """Nothing can have run."""

    async def execute(self, command: object) -> Finish:
        return Refused(self._error)
