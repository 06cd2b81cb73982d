"""By which way a run comes to a credential: through the connections that its steps use on its targets. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.catalog import connection_of
from engine.members import Members, Targets
from engine.runs.pinned import PlannedStep, Script, Use, every
from engine.selection import matches
from schemas.act import RunRequest
from schemas.credential import CredentialSpec
from schemas.envelope import Document
from schemas.notification import NotificationChannel
from schemas.schedule import Schedule
from schemas.target import Become, Target
from schemas.trigger import Trigger
from schemas.workflow import Workflow

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How a job comes to a credential: `path` stands in the document of `target`, else in the job's own."""

    credential: str
    path: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A credential that a document hands to a job, by a secret param; `path` stands in that document."""

    job: str
    credential: str
    path: Path


@dataclass(frozen=True, slots=True)
class Refused:
    """Which rules of a credential keep a job from it."""

    by_pool: bool
    by_labels: bool


def refused(spec: CredentialSpec, pool: str, labels: Mapping[str, str]) -> Refused:
    """Whether runs in this pool, of a job with these labels, may have a credential by whatever way they come to it."""
    return Refused(
        by_pool=bool(spec.pools) and pool not in spec.pools,
        by_labels=spec.allowed_for is not None and not matches(spec.allowed_for, labels),
    )


def given_by(document: Document) -> Iterator[Given]:
    """What a document hands to the jobs that it starts."""
    match document:
        case Workflow():
            for name, node in document.spec.jobs.items():
                if node.job_ref is not None:
                    yield from _secrets_in(node.job_ref, node.params, ("spec", "jobs", name, "params"))
        case Schedule() | Trigger() | RunRequest() if document.spec.job_ref is not None:
            yield from _secrets_in(document.spec.job_ref, document.spec.params, ("spec", "params"))


def _secrets_in(job: str, params: Mapping[str, Any], path: Path) -> Iterator[Given]:
    for name, value in params.items():
        if isinstance(value, dict) and value.keys() == {"credentialRef", "field"}:
            yield Given(job, str(value["credentialRef"]), (*path, name, "credentialRef"))


def jumps(target: Target, known: Mapping[str, Target]) -> Iterator[Target]:
    """The targets that this one is reached through over ssh, the nearest to it first. A circle ends where it closes."""
    seen = {target.name}
    ssh = target.spec.connections.ssh
    while ssh is not None and ssh.jump is not None and ssh.jump in known and ssh.jump not in seen:
        seen.add(ssh.jump)
        through = known[ssh.jump]
        yield through
        ssh = through.spec.connections.ssh


def reached_through(known: Mapping[str, Target], members: Members) -> dict[str, Targets]:
    """By target, those that it is among the `jumps` of. In a circle of jumps, which is an error, nobody is counted.

    For all of them at once: to ask each target of a long chain takes as long as the square of the chain.
    """
    jump = {name: ssh.jump for name, one in known.items() if (ssh := one.spec.connections.ssh) and ssh.jump in known}
    waits = Counter(jump.values())
    ready = [name for name in jump if not waits[name]]
    found: dict[str, Targets] = {}
    while ready:
        name = ready.pop()
        hop = jump.get(name)
        if hop is None:
            continue
        here = members.of((name,)).joined(found[name]) if name in found else members.of((name,))
        found[hop] = found[hop].joined(here) if hop in found else here
        waits[hop] -= 1
        if not waits[hop]:
            ready.append(hop)
    return found


def of_connections(
    targets: Iterable[Target], steps: Iterable[PlannedStep], known: Mapping[str, Target]
) -> Iterator[Way]:
    """What the steps log in with, target by target, and hop by hop."""
    named = connections_named(steps)
    for target in targets:
        for connection in sorted({connection for name in named if (connection := connection_of(target, name))}):
            yield from of_connection(target, connection)
            if connection == "ssh":
                for hop in jumps(target, known):
                    yield from of_hop(hop)


def connections_named(steps: Iterable[PlannedStep]) -> frozenset[str | None]:
    """The connections that steps use; None stands for the one of each target that is used where none is named."""
    return frozenset(step.connection for step in every(steps) if _goes_there(step) or step.connection)


def _goes_there(step: PlannedStep) -> bool:
    """Whether it does something where it runs, so that it takes the target's connection where it names none."""
    if not isinstance(step.action, Use):
        return isinstance(step.action, Script)
    known = step.action.known
    return known is not None and known.needs != "nothing"


def of_steps(steps: Iterable[PlannedStep]) -> Iterator[Way]:
    """What the steps become another user with."""
    for step in every(steps):
        if step.become is not None and step.become.credential_ref is not None:
            yield Way(step.become.credential_ref, f"step {step.id}: become.credentialRef")


def of_inputs(targets: Iterable[Target], steps: Iterable[PlannedStep]) -> Iterator[Way]:
    """What the steps name in `credentialRef`, and what a path below a target's baseUrl is asked for with."""
    to_targets = False
    for step in every(steps):
        if not isinstance(step.action, Use):
            continue
        reference = step.action.inputs.get("credentialRef")
        if isinstance(reference, str):
            yield Way(reference, f"step {step.id}: credentialRef")
        elif asks_targets(step.action.type, step.action.inputs):
            to_targets = True
    for target in targets if to_targets else ():
        yield from of_connection(target, "http")


def asks_targets(used: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a step of this type asks the targets, below their baseUrl, with what their http connection names."""
    url = inputs.get("url")
    named = isinstance(inputs.get("credentialRef"), str)
    return used == "http.request" and not named and isinstance(url, str) and url.startswith(("/", "${{"))


def channels_of(steps: Iterable[PlannedStep]) -> frozenset[str]:
    """The NotificationChannels that the steps send messages by."""
    used = (step.action for step in every(steps))
    given = (action.inputs.get("channel") for action in used if isinstance(action, Use) and action.type == "notify")
    return frozenset(name for name in given if isinstance(name, str))


def of_channels(known: Mapping[str, NotificationChannel], steps: Iterable[PlannedStep]) -> Iterator[Way]:
    """What the channels that the steps name log in or sign with."""
    for name in sorted(channels_of(steps)):
        if name in known and (reference := known[name].spec.credential_ref) is not None:
            yield Way(reference, f"channel {name}: spec.credentialRef")


def of_hop(target: Target) -> Iterator[Way]:
    """What is logged in with at a target on the way to another."""
    ssh = target.spec.connections.ssh
    if ssh is not None and ssh.credential_ref is not None:
        yield Way(ssh.credential_ref, "spec.connections.ssh.credentialRef", target.name)


def of_connection(target: Target, name: str) -> Iterator[Way]:
    """What a connection of a target logs in and becomes another user with."""
    if name in target.spec.connections.plugins:
        if (reference := target.spec.connections.login_by_plugin(name)) is not None:
            yield Way(reference, f"spec.connections.plugins.{name}.credentialRef", target.name)
        return
    connection = getattr(target.spec.connections, name, None)
    reference = getattr(connection, "credential_ref", None)
    if reference is not None:
        yield Way(reference, f"spec.connections.{name}.credentialRef", target.name)
    become = getattr(connection, "become", None)
    if isinstance(become, Become) and become.credential_ref is not None:
        yield Way(become.credential_ref, f"spec.connections.{name}.become.credentialRef", target.name)
