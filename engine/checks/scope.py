"""What a check may look at, with the answers that several checks ask for computed once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.builtin import BUILT_IN
from engine.catalog import Catalog, connection_of
from engine.checks.memory import remembered
from engine.members import Members, Targets
from engine.reach import of_connection, of_hop, reached_through
from engine.vendored import NO_LIBRARIES, Vendored
from schemas.act import RunRequest
from schemas.calendar import Window
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document
from schemas.guard import MAX_FINDINGS
from schemas.guesses import Names
from schemas.job import Job, Step
from schemas.library import LibraryStep
from schemas.reader import ANY_KIND, Authored, nameless
from schemas.schedule import Schedule
from schemas.selector import Selection
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import NONE
from schemas.workflow import Workflow

if TYPE_CHECKING:
    from engine.checks.windows import Readable

Path = tuple[str | int, ...]
OBJECT_KINDS = ("Job", "Workflow", "Schedule", "Target", "Credential", "Discovery")
"""Kinds of objects whose events a NotificationRule may tell."""


def bounded(findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The findings until there are many errors: who has more in one document has other worries.

    Warnings do not count, so that no error can hide behind them.
    """
    errors = 0
    for finding in findings:
        yield finding
        errors += finding.severity == "error"
        if errors == MAX_FINDINGS:
            return


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """A step and the path it stands at. `phase` is steps, finally or rescue; `position` counts from 1 in its list."""

    step: Step
    path: Path
    phase: str
    position: int
    type: StepType | None = None
    """Its step type; None for a script, and for a type that does not exist."""
    loops: frozenset[str] = frozenset()
    """What the items of the loops around it are called, its own apart."""

    @property
    def id(self) -> str:
        """Its own id, or the one by position."""
        return self.step.id or f"{'step' if self.phase == 'steps' else self.phase}_{self.position}"

    @property
    def is_script(self) -> bool:
        """Whether it runs a script, as its own or by a step type."""
        return self.step.run is not None or (self.type is not None and self.type.is_script)

    @property
    def on_runner(self) -> bool:
        """Whether it needs no target."""
        return self.type is not None and self.type.runner_side

    @property
    def connection(self) -> str | None:
        """The connection it names, or that its type always uses."""
        return self.step.connection or (self.type.over if self.type is not None else None)


def steps_of(authored: Authored) -> tuple[PlacedStep, ...]:
    """All steps of a job, inline job or library step, those within `rescue` included, in the order of the text."""
    return remembered(authored, "steps", (), lambda: tuple(steps_in(authored.document, authored.plugged)))


def steps_in(document: Document, plugged: Mapping[str, StepType] = NONE) -> Iterator[PlacedStep]:
    """The same of a document that nobody needs the places of."""
    if isinstance(document, Job):
        for phase, steps in (
            ("steps", document.spec.steps), ("rescue", document.spec.rescue), ("finally", document.spec.finally_),
        ):  # fmt: skip
            yield from _placed(steps, ("spec", phase), phase, plugged)
    elif isinstance(document, RunRequest) and document.spec.job is not None:
        yield from _placed(document.spec.job.steps, ("spec", "job", "steps"), "steps", plugged)
    elif isinstance(document, LibraryStep) and document.spec.steps is not None:
        yield from _placed(document.spec.steps, ("spec", "steps"), "steps", plugged)


def _placed(
    steps: Iterable[Step],
    path: Path,
    phase: str,
    plugged: Mapping[str, StepType],
    loops: frozenset[str] = frozenset(),
) -> Iterator[PlacedStep]:
    for index, step in enumerate(steps):
        uses = step.uses or ""
        yield PlacedStep(step, (*path, index), phase, index + 1, STEP_TYPES.get(uses) or plugged.get(uses), loops)
        if step.rescue:
            around = loops | {step.for_each.as_} if step.for_each is not None else loops
            yield from _placed(step.rescue, (*path, index, "rescue"), "rescue", plugged, around)


def selections_of(authored: Authored) -> Iterator[tuple[Selection, Path]]:
    """Where a document chooses targets, `exclude` apart."""
    document = authored.document
    if isinstance(document, Job) and document.spec.targets is not None:
        yield document.spec.targets, ("spec", "targets")
    if isinstance(document, Schedule | RunRequest) and document.spec.limit is not None:
        yield document.spec.limit, ("spec", "limit")
    if isinstance(document, RunRequest) and document.spec.job is not None and document.spec.job.targets is not None:
        yield document.spec.job.targets, ("spec", "job", "targets")
    if isinstance(document, Window) and document.spec.targets is not None:
        yield document.spec.targets, ("spec", "targets")
    if isinstance(document, Workflow):
        for name, node in document.spec.jobs.items():
            if node.limit is not None:
                yield node.limit, ("spec", "jobs", name, "limit")


def targets_of(authored: Authored) -> tuple[Selection, Path] | None:
    """Where a job or an inline job says where it runs."""
    if not isinstance(authored.document, Job | RunRequest):
        return None
    return next(((chosen, path) for chosen, path in selections_of(authored) if path[-1] == "targets"), None)


@dataclass(frozen=True)
class Scope:
    """A commit's documents. `broken` are names of documents that could not be read.

    `lost_kinds` are the kinds of those of which nothing could be made.
    """

    catalog: Catalog
    definitions: Sequence[Authored]
    acts: Sequence[Authored] = ()
    broken: frozenset[str] = field(default_factory=frozenset)
    lost_kinds: frozenset[str] = field(default_factory=frozenset)
    vendored: Vendored = NO_LIBRARIES
    files_at_fault: frozenset[str] = frozenset()
    """The files with a document that could not be read as it is."""
    aside: Sequence[Authored] = ()
    """What could be made of definitions at fault, on which nobody may rely."""
    unsettled: frozenset[str] = frozenset()
    """Codes of findings that a Project decides which could not be read."""
    present: frozenset[str] | None = None
    """Of the files that documents name, those that are there; None where nobody has looked."""
    templates: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What the templates hold that steps render, by their paths, as far as they were read."""
    calendar_files: Mapping[str, bytes] | None = field(default=None, repr=False)
    """What the iCalendar files hold that calendars name, by their paths, without those that are too large; None where
    nobody has read them."""
    _names: dict[tuple[str, ...], Names] = field(default_factory=dict, repr=False, compare=False)
    _labelled: dict[str, Members] = field(default_factory=dict, repr=False, compare=False)
    _renamed: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)

    def may_hold(self, kind: str, name: str) -> bool:
        """Whether a document with this name may be among those that could not be read."""
        return name in self.broken or not self.broken.isdisjoint((nameless(kind), nameless(ANY_KIND)))

    def lacks(self, *kinds: str) -> bool:
        """Whether a document of one of these kinds may be among those that could not be read."""
        return bool(self.lost_kinds & {ANY_KIND, *kinds}) or any(map(self._aside.__contains__, kinds))

    def lacks_labels(self, *kinds: str) -> bool:
        """Whether the labels of a document of one of these kinds are not known."""
        return bool(self.unlabelled & {ANY_KIND, *kinds})

    @cached_property
    def lacks_teams(self) -> bool:
        """Whether the teams of somebody are not known."""
        aside = self._aside.get("User", ())
        return bool(self.lost_kinds & {ANY_KIND, "User"}) or any(one.is_at_fault("spec", "teams") for one in aside)

    @cached_property
    def unlabelled(self) -> frozenset[str]:
        """The kinds of which some document's labels are not known."""
        mended = (one for one in (*self.definitions, *self.aside) if one.holes)
        return self.lost_kinds | {one.document.kind for one in mended if one.is_at_fault("metadata", "labels")}

    @cached_property
    def _aside(self) -> Mapping[str, Sequence[Authored]]:
        found: dict[str, list[Authored]] = {}
        for authored in self.aside:
            found.setdefault(authored.document.kind, []).append(authored)
        return found

    def _readable(self, kind: str) -> dict[str, Any]:
        """The documents of a kind by name, those at fault among them; of several of one name the others by a key."""
        found: dict[str, Any] = dict(self.catalog.by_kind[kind])
        sound = (authored for authored in self.definitions if authored.document.kind == kind)
        for number, authored in enumerate((*sound, *self._aside.get(kind, ()))):
            document, name = authored.document, authored.document.name
            if found.setdefault(name, document) is not document:
                found[f"{name}\n{number}"] = document  # no name has a line break
        return found

    @cached_property
    def members(self) -> Members:
        return Members(self.catalog.targets, self.catalog.groups)

    @cached_property
    def proposing(self) -> Mapping[str, str]:
        """The first Discovery by the branch that it proposes on."""
        return {one.spec.propose.branch: name for name, one in sorted(self.catalog.discoveries.items(), reverse=True)}

    @cached_property
    def files(self) -> frozenset[str]:
        """The files that hold definitions, or may hold them."""
        return self.files_at_fault.union(authored.file for authored in self.definitions)

    @cached_property
    def files_in_order(self) -> tuple[str, ...]:
        """The same, sorted."""
        return tuple(sorted(self.files))

    @cached_property
    def globs(self) -> int:
        """How many globs the documents have, those apart which are there unless somebody writes others."""
        rules = (rule for policy in self.catalog.policies.values() for rule in policy.spec.rules)
        events = (one.spec.event.definitions for one in self.catalog.triggers.values())
        project = self.catalog.project.spec
        include = len(project.include) if "include" in project.model_fields_set else 0
        return (
            include
            + sum(len(rule.objects.paths) for rule in rules)
            + sum(len(event.paths) for event in events if event)
        )

    @cached_property
    def rules(self) -> int:
        """How many schedules go by a recurrence rule; at least one."""
        return max(1, sum(one.spec.rrule is not None for one in self.catalog.schedules.values()))

    @cached_property
    def readable(self) -> "Readable":
        """The windows, those apart whose times cannot be read."""
        from engine.checks.windows import Readable  # it asks for this scope

        return Readable.of(self.catalog)

    @cached_property
    def teams(self) -> Mapping[str, frozenset[str]]:
        """The teams that Users say they belong to, with their members. Users at fault say so too."""
        found: dict[str, set[str]] = {}
        for user in self._readable("User").values():
            for team in user.spec.teams:
                found.setdefault(team, set()).add(user.name)
        return {team: frozenset(members) for team, members in found.items()}

    @cached_property
    def by_default_connection(self) -> Mapping[str | None, Targets]:
        """The targets by the connection that a step uses which names none; None where there is no such connection."""
        found: dict[str | None, set[str]] = {}
        for name, target in self.catalog.targets.items():
            found.setdefault(connection_of(target), set()).add(name)
        return {connection: self.members.of(names) for connection, names in found.items()}

    @cached_property
    def by_connection(self) -> Mapping[str, Targets]:
        """The targets that declare a connection."""
        found: dict[str, set[str]] = {}
        for name, target in self.catalog.targets.items():
            for connection in target.spec.connections.declared:
                found.setdefault(connection, set()).add(name)
        return {connection: self.members.of(names) for connection, names in found.items()}

    @cached_property
    def by_system(self) -> Mapping[str, Targets]:
        """The targets by their operating system."""
        found: dict[str, list[str]] = {}
        for name, target in self.catalog.targets.items():
            found.setdefault(target.spec.os, []).append(name)
        return {system: self.members.of(names) for system, names in found.items()}

    @cached_property
    def windows(self) -> Targets:
        return self.members.of(name for name, target in self.catalog.targets.items() if target.spec.os == "windows")

    @cached_property
    def names_ssh(self) -> bool:
        """Whether a step somewhere names the connection ssh, so that it is not only used where it is the default."""
        everybody = (*self.definitions, *self.acts)
        return any(placed.connection == "ssh" for authored in everybody for placed in steps_of(authored))

    @cached_property
    def restricted(self) -> Mapping[str, Credential]:
        """The credentials that not every job may use."""
        return {
            name: credential
            for name, credential in self.catalog.credentials.items()
            if credential.spec.pools or credential.spec.allowed_for is not None
        }

    @cached_property
    def credential_users(self) -> Mapping[str, Mapping[str, Targets]]:
        """By connection and credential that not every job may use: the targets whose use over the connection opens it.

        Those that log in or become another user with it, and those that are reached through one that logs in with it.
        """
        own: dict[str, dict[str, set[str]]] = {}
        for name, target in self.catalog.targets.items():
            for connection in target.spec.connections.declared:
                for way in of_connection(target, connection):
                    if way.credential in self.restricted:
                        own.setdefault(connection, {}).setdefault(way.credential, set()).add(name)
        found = {
            connection: {credential: self.members.of(names) for credential, names in users.items()}
            for connection, users in own.items()
        }
        through = reached_through(self.catalog.targets, self.members) if self.restricted else {}
        for hop, behind in through.items():
            for way in of_hop(self.catalog.targets[hop]):
                if way.credential in self.restricted:
                    users = found.setdefault("ssh", {})
                    users[way.credential] = users.get(way.credential, self.members.of(())).joined(behind)
        return found

    @cached_property
    def restrictions(self) -> Mapping[str, Sequence[tuple[Credential, Targets]]]:
        """By connection: each rule on who may use a credential, as one of those that have it, and where they are used.

        Rules are few where credentials are many.
        """
        found: dict[str, dict[str, tuple[Credential, Targets]]] = {}
        for connection, users in self.credential_users.items():
            rules = found.setdefault(connection, {})
            for name, targets in users.items():
                credential = self.restricted[name]
                rule = repr((credential.spec.pools, credential.spec.allowed_for))
                first, together = rules.get(rule, (credential, targets))
                rules[rule] = first, together.joined(targets)
        return {connection: tuple(rules.values()) for connection, rules in found.items()}

    def names(self, *kinds: str) -> Names:
        """The names of all documents of these kinds, to guess among."""
        if kinds not in self._names:
            self._names[kinds] = Names(name for kind in kinds for name in self.catalog.by_kind[kind])
        return self._names[kinds]

    def labelled(self, kind: str) -> Members:
        """The documents of a kind by their labels. Those at fault have theirs too."""
        if kind not in self._labelled:
            self._labelled[kind] = Members(self._readable(kind), {})
        return self._labelled[kind]

    @cached_property
    def everybody(self) -> Members:
        """As `members`, with the targets that are at fault among them, and those that have the name of another."""
        if "Target" not in self._aside and not self._has_namesakes("Target"):
            return self.members
        return Members(self._readable("Target"), self.catalog.groups)

    def _has_namesakes(self, kind: str) -> bool:
        """Whether several documents of a kind have one name, which is a finding of its own."""
        return sum(one.document.kind == kind for one in self.definitions) > len(self.catalog.by_kind[kind])

    @cached_property
    def groups_at_fault(self) -> frozenset[str]:
        """The groups that name a target or a group which is not there, or have a group that does."""
        groups, targets = self.catalog.groups, self.catalog.targets
        within: dict[str, list[str]] = {}
        waiting = []
        for name, group in groups.items():
            for below in group.spec.groups:
                within.setdefault(below, []).append(name)
            if not all(one in targets for one in group.spec.names) or not all(
                one in groups for one in group.spec.groups
            ):
                waiting.append(name)
        found = set(waiting)
        while waiting:
            above = [name for name in within.get(waiting.pop(), ()) if name not in found]
            found.update(above)
            waiting += above
        return frozenset(found)

    @cached_property
    def people(self) -> Names:
        """Users and teams, to guess among."""
        return Names((*self.catalog.users, *self.teams))

    @cached_property
    def libraries(self) -> Names:
        """The libraries, those of the product included, to guess among."""
        return Names((*self.catalog.libraries, *BUILT_IN))

    def renamed(self, kind: str) -> Mapping[str, str]:
        """By a name that a document of this kind had before, the one it has now."""
        if kind not in self._renamed:
            found: dict[str, str] = {}
            for name, document in self.catalog.by_kind[kind].items():
                for former in document.metadata.previous_names:
                    found.setdefault(former, name)
            self._renamed[kind] = found
        return self._renamed[kind]

    def authored(self, kind: str, name: str) -> Authored:
        return self.catalog.origin[f"{kind}/{name}"]

    def reached(self, authored: Authored) -> Targets:
        """The targets a job runs on."""
        found = targets_of(authored)
        return self.members.chosen(found[0]) if found is not None else self.members.of(())

    def uses(self, authored: Authored) -> Iterator[tuple[str, Targets, Path]]:
        """The connections that a job's steps use, with the targets they use them on and where that is said."""
        place = targets_of(authored)
        if place is None:
            return
        reached = self.members.chosen(place[0])
        unnamed = False
        for placed in steps_of(authored):
            if placed.connection is not None:
                field = "uses" if placed.step.connection is None else "connection"
                yield placed.connection, reached, (*placed.path, field)
            elif not placed.on_runner:
                unnamed = True
        if unnamed:
            for connection, names in self.by_default_connection.items():
                if connection is not None and (here := reached & names):
                    yield connection, here, place[1]
