"""Secrets and whom we trust: host keys, and who may open what."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.catalog import DEFAULT_POOL, connection_of
from engine.checks.files import connections_of
from engine.checks.scope import Path, PlacedStep, Scope, steps_of, targets_of
from engine.checks.sshkeys import host_key_problem
from engine.expressions.expression import ExpressionError, has_expression
from engine.members import Targets
from engine.reach import (
    Refused,
    asks_targets,
    connections_named,
    jumps,
    of_connection,
    of_hop,
    refused,
)
from engine.runs.pinned import PlannedStep, Use, every
from engine.runs.refused import Refusal
from engine.vendored import use_of
from schemas.credential import FIELDS, Credential
from schemas.diagnostic import Diagnostic, Related
from schemas.discovery import Discovery, DiscoverySpec, HttpInventory, Inventory
from schemas.envelope import Document
from schemas.guesses import Guesses
from schemas.job import Job, JobSpec
from schemas.notification import NotificationChannel
from schemas.project import Project
from schemas.reader import Authored
from schemas.span import Span
from schemas.target import Become, Target
from schemas.trigger import Trigger

_URL = ("token", "generic")
_FITTING: Mapping[str, tuple[str, ...]] = {
    "ssh": ("ssh", "password"),
    "become": ("password",),
    "http": ("token", "password", "certificate", "generic"),
    "winrm by basic": ("password",),
    "winrm by ntlm": ("password",),
    "winrm by kerberos": ("password",),
    "winrm by certificate": ("certificate",),
    "a webhook": ("token", "generic"),
    "channel type email": ("password",),
    "channel type amqp": ("password",),
    "channel type slack": _URL,
    "channel type teams": _URL,
    "channel type apprise": _URL,
    "channel type webhook": _URL,
    "channel type plugin": tuple(FIELDS),
    "commitStatus": ("token",),
    "discovery": ("ssh", "password", "certificate"),
}
"""What takes which types of credentials."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Target):
        yield from _host_keys(authored, document, scope)
    elif isinstance(document, Credential):
        yield from _source(authored, document)
    yield from _fitting(authored, scope)
    yield from _delivering(authored, scope)
    yield from _proving(authored, scope)
    yield from _listing(authored, scope)
    yield from _of_steps(authored, scope)
    yield from _of_library_steps(authored, scope)
    yield from _channels(authored, scope)
    if targets_of(authored) is not None:
        yield from _allowed(authored, scope)


def _host_keys(authored: Authored, target: Target, scope: Scope) -> Iterator[Diagnostic]:
    ssh = target.spec.connections.ssh
    if ssh is None:
        return
    path: Path = ("spec", "connections", "ssh")
    if not ssh.host_keys and (scope.names_ssh or connection_of(target) == "ssh"):
        hint = "add hostKeys: ['ssh-ed25519 AAAA…'], as 'ssh-keyscan HOST' prints them, after comparing"
        message = "an ssh connection needs 'hostKeys': without them anybody could pose as the host"
        yield Diagnostic(authored.span(*path, key=True), "OC601", message, hint)
    for index, key in enumerate(ssh.host_keys):
        if (problem := host_key_problem(key)) is not None:
            hint = "write it as 'ssh-ed25519 AAAA…', or '@cert-authority ssh-ed25519 AAAA…'; without a host name"
            yield Diagnostic(authored.span(*path, "hostKeys", index), "OC602", problem, hint)


def _fitting(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Credentials of a type that the place where they are named cannot use."""
    for what, reference, path in _named(authored.document):
        credential = scope.catalog.credentials.get(reference or "")
        types = _FITTING[what]
        if credential is not None and credential.spec.type not in types:
            span = authored.span(*path)
            message = f"credential '{credential.name}' is of type {credential.spec.type}"
            yield Diagnostic(span, "OC609", message, f"{what} takes {' or '.join(types)}")


def _of_steps(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Credentials that steps name themselves: of a type that fits, and free for the job and its pool."""
    for placed in steps_of(authored):
        for field, named, what, types in _named_by(placed):
            credential = scope.catalog.credentials.get(named)
            if credential is None:
                continue
            span = authored.span(*placed.path, field, "credentialRef")
            if credential.spec.type not in types:
                message = f"credential '{credential.name}' is of type {credential.spec.type}"
                yield Diagnostic(span, "OC609", message, f"{what} takes {' or '.join(types)}")
            if credential.name in scope.restricted:
                yield from forbidden(authored, scope, credential, span)


def _of_library_steps(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """The same of what a library's step is given to hand on, or names itself."""
    guesses, said = Guesses(), set[tuple[Path, str]]()
    for placed, outer in _library_steps(authored, scope):
        given = placed.step.with_ or {}
        for name, what, types in (one for step in every((outer,)) for one in _logins(step)):
            if has_expression(name) or (placed.path, name) in said:
                continue
            said.add((placed.path, name))
            key = next((key for key, value in given.items() if value == name), None)
            span = authored.span(*placed.path, *(("uses",) if key is None else ("with", key)))
            credential = scope.catalog.credentials.get(name)
            if credential is None and not scope.may_hold("Credential", name):
                hint = guesses.hint(name, scope.names("Credential"), "define it: 'kind: Credential' with this name")
                message = f"there is no Credential '{name[:80]}', which this step logs in with"
                yield Diagnostic(span, "OC305", message, hint)
            elif credential is not None and types and credential.spec.type not in types:
                message = f"credential '{name}' is of type {credential.spec.type}"
                yield Diagnostic(span, "OC609", message, f"{what}, within this step, takes {' or '.join(types)}")
            if credential is not None and name in scope.restricted:
                yield from forbidden(authored, scope, credential, span, through=", within this step")


def _logins(step: PlannedStep) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The credential that a step names itself, what it is for, and the types that fit."""
    if step.become is not None and step.become.credential_ref is not None:
        yield step.become.credential_ref, "become", _FITTING["become"]
    if isinstance(step.action, Use) and isinstance(reference := step.action.inputs.get("credentialRef"), str):
        known = step.action.known
        yield reference, step.action.type, known.credentials if known is not None else ()


def _channels(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Channels that steps name: a message is delivered by the runner that runs the step."""
    for placed in steps_of(authored):
        named = (placed.step.with_ or {}).get("channel")
        if placed.type is None or placed.type.name != "notify" or not isinstance(named, str):
            continue
        span = authored.span(*placed.path, "with", "channel")
        if has_expression(named):
            hint = "what a message is sent by is part of the plan, with its credential"
            yield Diagnostic(span, "OC406", "'channel' must be written out: no expression may choose it", hint)
        elif (channel := scope.catalog.channels.get(named)) is not None:
            yield from _channel_of(authored, scope, channel, span)


def _channel_of(authored: Authored, scope: Scope, channel: NotificationChannel, span: Span) -> Iterator[Diagnostic]:
    origin, pool = scope.authored("NotificationChannel", channel.name), channel.spec.pool or scope.catalog.default_pool
    runs = _pool_of(authored.document, scope)
    if runs != pool and _are_known((pool, runs), scope):
        message = f"channel '{channel.name}' is delivered by pool '{pool}', and pool '{runs}' runs this"
        hint = f"write runsOn: {{pool: {pool}}} in the job, or name a channel of pool '{runs}'"
        yield Diagnostic(span, "OC603", message, hint, related=(Related(origin.span("spec"), "the channel"),))
    credential = scope.catalog.credentials.get(channel.spec.credential_ref or "")
    if credential is not None and credential.name in scope.restricted:
        place = Related(origin.span("spec", "credentialRef"), "named here")
        yield from forbidden(authored, scope, credential, span, (place,), f", by channel '{channel.name}'")


def _named_by(placed: PlacedStep) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """The field of a step, the credential it names, what it is for, and the types that fit."""
    step, kind = placed.step, placed.type
    given = step.with_.get("credentialRef") if step.with_ and kind is not None and kind.credentials else None
    if kind is not None and isinstance(given, str):
        yield "with", given, kind.name, kind.credentials_for(step.with_ or {})
    if isinstance(step.become, Become) and step.become.credential_ref is not None:
        yield "become", step.become.credential_ref, "become", _FITTING["become"]


def _delivering(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Credentials of channels and commit statuses, which runners of another pool than theirs could not open."""
    path: Path
    match authored.document:
        case NotificationChannel(spec=spec):
            reference, pool, path = spec.credential_ref, spec.pool, ("spec", "credentialRef")
        case Project() as project if project.spec.commit_status is not None:
            status = project.spec.commit_status
            reference, pool, path = status.credential_ref, status.pool, ("spec", "commitStatus", "credentialRef")
        case _:
            return
    credential, runs = scope.catalog.credentials.get(reference or ""), pool or scope.catalog.default_pool
    if credential is not None and credential.spec.pools and runs not in credential.spec.pools:
        if not _are_known((*credential.spec.pools, runs), scope):
            return
        message = f"credential '{credential.name}' may not be opened by pool '{runs}', which delivers"
        place = scope.authored("Credential", credential.name).span("spec", "pools")
        hint = "name the pool there, or deliver from one of them"
        yield Diagnostic(authored.span(*path), "OC603", message, hint, related=(Related(place, "its pools"),))


def _proving(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """The secret that proves webhooks: for the trigger, by its labels, and for the pool of what it starts."""
    trigger = authored.document
    if isinstance(trigger, Trigger) and trigger.spec.event.webhook is not None:
        place = authored.span("spec", "event", "webhook", "credentialRef")
        pool, named = scope.catalog.pool_of_trigger(trigger), trigger.spec.event.webhook.credential_ref
        yield from _opened_for(_Opening(authored, named, place, pool, "trigger", "which runs what this starts"), scope)


def _listing(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """What a Discovery asks for its inventory with: for its labels and the pool that it runs in."""
    match authored.document:
        case Discovery(spec=DiscoverySpec(from_=Inventory(http=HttpInventory(credential_ref=str(named))))) as found:
            place = authored.span("spec", "from", "http", "credentialRef")
            pool = found.spec.runs_on.pool or scope.catalog.default_pool
            yield from _opened_for(_Opening(authored, named, place, pool, "Discovery", "which reads it"), scope)


@dataclass(frozen=True, slots=True)
class _Opening:
    """A credential that is named at a place of a document which is no Job, and is opened by a pool."""

    authored: Authored
    named: str
    place: Span
    pool: str
    what: str
    which: str


def _opened_for(opening: _Opening, scope: Scope) -> Iterator[Diagnostic]:
    credential = scope.catalog.credentials.get(opening.named)
    if credential is None:
        return
    origin = scope.authored("Credential", credential.name)
    why = refused(credential.spec, opening.pool, opening.authored.document.metadata.labels)
    if why.by_pool and _are_known((*credential.spec.pools, opening.pool), scope):
        message = f"credential '{credential.name}' may not be opened by pool '{opening.pool}', {opening.which}"
        place = Related(origin.span("spec", "pools"), "its pools")
        yield Diagnostic(
            opening.place, "OC603", message, "name the pool there, or another credential", related=(place,)
        )
    if why.by_labels:
        message = f"credential '{credential.name}' is not allowed for this {opening.what}: its labels do not match"
        place = Related(origin.span("spec", "allowedFor"), "what it is for")
        hint = f"give the {opening.what} the labels, or widen allowedFor"
        yield Diagnostic(opening.place, "OC604", message, hint, related=(place,))


def _named(document: Document) -> Iterator[tuple[str, str | None, Path]]:
    """What names which credential, and where."""
    for connections, path in connections_of(document):
        if (ssh := connections.ssh) is not None:
            yield "ssh", ssh.credential_ref, (*path, "ssh", "credentialRef")
            if isinstance(ssh.become, Become):
                yield "become", ssh.become.credential_ref, (*path, "ssh", "become", "credentialRef")
        if (winrm := connections.winrm) is not None:
            yield f"winrm by {winrm.transport}", winrm.credential_ref, (*path, "winrm", "credentialRef")
        if (http := connections.http) is not None:
            yield "http", http.credential_ref, (*path, "http", "credentialRef")
    match document:
        case Trigger() if document.spec.event.webhook is not None:
            yield "a webhook", document.spec.event.webhook.credential_ref, ("spec", "event", "webhook", "credentialRef")
        case NotificationChannel():
            yield f"channel type {document.spec.type}", document.spec.credential_ref, ("spec", "credentialRef")
        case Project() if document.spec.commit_status is not None:
            reference = document.spec.commit_status.credential_ref
            yield "commitStatus", reference, ("spec", "commitStatus", "credentialRef")
        case Discovery():
            if document.spec.from_ is not None and (asked := document.spec.from_.http) is not None:
                yield "http", asked.credential_ref, ("spec", "from", "http", "credentialRef")
            for index, rule in enumerate(document.spec.classify):
                yield "discovery", rule.credential_ref, ("spec", "classify", index, "credentialRef")


def _source(authored: Authored, credential: Credential) -> Iterator[Diagnostic]:
    source = credential.spec.from_
    if source is None and credential.data is not None:
        return
    if source is None:
        hint = "add from: {file: …} or from: {env: OPSCONDUCTOR_SECRET_…}"
        message = f"credential '{credential.name}' does not say where its secret is: it has no 'from'"
        yield Diagnostic(authored.span("spec", key=True), "OC204", message, hint)
    elif source.file is not None:
        parts = source.file.split("/")
        if not source.file or source.file.startswith(("/", "~")) or ".." in parts or "\\" in source.file:
            hint = "write a path within the runner's secret folder, as in keys/web"
            span = authored.span("spec", "from", "file")
            yield Diagnostic(span, "OC608", f"'{source.file}' lies outside the secret folder", hint)


def _allowed(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Credentials that the connections of a job use, though its pool or the job itself may not have them."""
    restricted = scope.restricted
    if not restricted:
        return
    said: set[str] = set()
    for connection, targets, path in (*scope.uses(authored), *_beside(authored, scope)):
        for rule, of_rule in scope.restrictions.get(connection, ()):
            why = _refused(authored.document, rule, scope)
            if not targets & of_rule or not (why.by_pool or why.by_labels):
                continue  # one answer for all credentials with this rule, of which there may be thousands
            for name, users in scope.credential_users[connection].items():
                those = targets & users
                if not those or name in said or not _same_rule(restricted[name], rule):
                    continue
                said.add(name)
                related, how = _opened_by(scope, those.first, connection, name)
                through = f"target '{those.first}' " + (f"and {len(those) - 1} more use" if len(those) > 1 else "uses")
                yield from forbidden(
                    authored,
                    scope,
                    restricted[name],
                    authored.span(*path, key=True),
                    related,
                    through=f"; {through} it over {connection}{how}",
                )


def _same_rule(one: Credential, other: Credential) -> bool:
    return (one.spec.pools, one.spec.allowed_for) == (other.spec.pools, other.spec.allowed_for)


def _opened_by(scope: Scope, name: str, connection: str, credential: str) -> tuple[tuple[Related, ...], str]:
    """Where a target says that its connection opens the credential, and how that ends the sentence."""
    target = scope.catalog.targets[name]
    for way in of_connection(target, connection):
        if way.credential == credential:
            become = ".become." in way.path
            what = "becomes another user" if become else "logs in"
            place = scope.authored("Target", name).span(*way.path.split("."))
            return (Related(place, f"target '{name}' {what} with it"),), " to become another user" if become else ""
    for hop in jumps(target, scope.catalog.targets):
        for way in of_hop(hop):
            if way.credential == credential:
                place = scope.authored("Target", hop.name).span(*way.path.split("."))
                jump = scope.authored("Target", name).span("spec", "connections", "ssh", "jump")
                return (
                    Related(jump, f"target '{name}' is reached through another"),
                    Related(place, f"target '{hop.name}' logs in with it"),
                ), f", on the way through target '{hop.name}'"
    return (), ""


def _beside(authored: Authored, scope: Scope) -> Iterator[tuple[str, Targets, Path]]:
    """What is used beside the connections that steps run over: by what library steps consist of, and by requests."""
    reached = scope.reached(authored)
    for placed in steps_of(authored):
        if placed.type is not None and asks_targets(placed.type.name, placed.step.with_ or {}):
            yield "http", reached, (*placed.path, "with", "url")
    for placed, step in _library_steps(authored, scope):
        for connection in sorted(name for name in connections_named((step,)) if name is not None):
            yield connection, reached, (*placed.path, "uses")


def _library_steps(authored: Authored, scope: Scope) -> Iterator[tuple[PlacedStep, PlannedStep]]:
    """The steps that a library gives, with all that they consist of, as far as they can be planned."""
    used = [one for one in steps_of(authored) if one.type is None and one.step.uses and use_of(one.step.uses)]
    if not used:
        return
    from engine.runs.planned_steps import planned_steps  # it asks for checks that ask for this one

    for placed in used:
        alone = JobSpec.model_construct(steps=(placed.step.model_copy(update={"rescue": ()}),))
        try:
            for step in planned_steps(alone, [], {}, scope.catalog.library, plugged=authored.plugged, tolerant=True):
                yield placed, step
        except (Refusal, ExpressionError):
            continue  # it is told elsewhere that it cannot be planned


def forbidden(
    authored: Authored,
    scope: Scope,
    credential: Credential,
    span: Span,
    related: tuple[Related, ...] = (),
    through: str = "",
) -> Iterator[Diagnostic]:
    """Why a job may not use a credential. `through` ends the sentence where the job does not name it itself."""
    origin = scope.authored("Credential", credential.name)
    why = _refused(authored.document, credential, scope)
    pool = _pool_of(authored.document, scope)
    if why.by_pool and _are_known((*credential.spec.pools, pool), scope):
        message = f"credential '{credential.name}' may not be opened by pool '{pool}', which runs this{through}"
        place = Related(origin.span("spec", "pools"), "its pools")
        yield Diagnostic(span, "OC603", message, "name the pool there, or run the job on one of them",
                         related=(*related, place))  # fmt: skip
    if why.by_labels and _is_labelled(authored):
        message = f"credential '{credential.name}' is not allowed for this job: its labels do not match{through}"
        place = Related(origin.span("spec", "allowedFor"), "the jobs it is for")
        hint = "give the job the labels, or widen allowedFor"
        yield Diagnostic(span, "OC604", message, hint, related=(*related, place))


def _refused(document: Document, credential: Credential, scope: Scope) -> Refused:
    return refused(credential.spec, _pool_of(document, scope), document.metadata.labels)


def _is_labelled(authored: Authored) -> bool:
    """Whether its labels are those that its author gave it."""
    return not authored.holes or not authored.is_at_fault("metadata", "labels")


def _are_known(pools: Iterable[str], scope: Scope) -> bool:
    """Whether there are all these pools: of one that is misspelled nobody can say who is meant, and that is told."""
    return all(pool == DEFAULT_POOL or pool in scope.catalog.pools for pool in pools)


def _pool_of(document: Document, scope: Scope) -> str:
    return scope.catalog.pool_of(document) if isinstance(document, Job) else scope.catalog.default_pool
