"""Who leans on a document: what would notice if it changed, broke or went, and by which way. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from engine.catalog import Catalog
from engine.checks.references import references_of
from engine.checks.scope import OBJECT_KINDS, Path, selections_of, steps_of
from engine.compile import Compiled
from engine.members import Members, Targets
from engine.reach import Way, given_by, jumps
from engine.runs.planning import ways
from schemas.diagnostic import Diagnostic
from schemas.job import Job
from schemas.notification import NotificationRule
from schemas.reader import ANY_KIND, Authored
from schemas.schedule import Schedule
from schemas.selector import Selection
from schemas.span import Span

Relation = Literal["uses", "names"]
"""`uses`: it acts on or through the document. `names`: it only mentions it, to leave it out, narrow to it or permit
it; it would be refused without the document."""
_MENTIONS = frozenset({"exclude", "limit"})
_MENTIONED_BY = frozenset({("Project", "RunnerPool"), ("Project", "Credential"), ("Credential", "RunnerPool")})


@dataclass(frozen=True, slots=True)
class Link:
    """One document names another at a path, such as `spec.connections.ssh.credentialRef`. Both are identities."""

    holder: str
    field: str
    held: str


@dataclass(frozen=True, slots=True)
class Impact:
    """A document that leans on the one asked about; `way` leads from the first to the second, never empty."""

    identity: str
    relation: Relation
    way: tuple[Link, ...]


def impact(catalog: Catalog, kind: str, name: str, acts: Iterable[Authored] = ()) -> tuple[Impact, ...] | None:
    """Everything that leans on a document, by identity; None where there is no such document and nobody names it.

    References of every kind are followed by `references_of`, so that a new kind is covered with its references. Where
    they say too much, what the engine does decides: a job reaches the targets that its selection gives, and the
    credentials that its runs would be given. A library and the pool `default` need no document.
    """
    return Impacts(catalog, acts).of(kind, name)


class Impacts:
    """The same for many documents of one commit, whose references are gathered once."""

    def __init__(self, catalog: Catalog, acts: Iterable[Authored] = ()) -> None:
        self._graph = _Graph(catalog, tuple(acts))

    def of(self, kind: str, name: str) -> tuple[Impact, ...] | None:
        """As `impact` says."""
        start = f"{kind}/{name}"
        found = self._graph.leaning_on(start)
        if start not in self._graph.documents and not found:
            return None
        users = {holder: Impact(holder, "uses", way) for holder, way in found.items()}
        mentions = {link.holder: Impact(link.holder, "names", (link,)) for link in self._graph.mentions_of(start)}
        return tuple(one for _, one in sorted({**mentions, **users}.items()))


def unread(compiled: Compiled, kind: str | None = None) -> tuple[Diagnostic, ...]:
    """The errors that keep a file or a document from being read: what they hide is in no answer.

    With `kind` only those that may hide a document of it.
    """
    hiding = {file for file, kinds in compiled.at_fault.items() if kinds & {kind, ANY_KIND}}
    read: dict[str, list[Span]] = {}
    for authored in (*compiled.definitions, *compiled.acts):
        read.setdefault(authored.file, []).append(authored.span())
    return tuple(
        found
        for found in compiled.findings
        if found.severity == "error"
        and (kind is None or found.span.file in hiding)
        and not any(_within(found.span, one) for one in read.get(found.span.file, ()))
    )


def _within(span: Span, other: Span) -> bool:
    begin, end = (other.line, other.column), (other.end_line, other.end_column)
    return begin <= (span.line, span.column) <= end


class _Graph:
    """The documents and who names whom. Backward only: from what is named to who names it."""

    def __init__(self, catalog: Catalog, acts: tuple[Authored, ...]) -> None:
        self.documents: Mapping[str, Authored] = {**{act.identity: act for act in acts}, **catalog.origin}
        self._catalog = catalog
        self._members = Members(catalog.targets, catalog.groups)
        self._links: dict[str, list[Link]] = {}
        self._mentions: dict[str, list[Link]] = {}
        for identity, authored in sorted(self.documents.items()):
            for reference in references_of(authored):
                link = Link(identity, _dotted(reference.path), f"{reference.kind}/{reference.name}")
                mentions = _is_mention(authored.document.kind, reference.kind, reference.path)
                (self._mentions if mentions else self._links).setdefault(link.held, []).append(link)
            for given in given_by(authored.document):
                link = Link(identity, _dotted(given.path), f"Credential/{given.credential}")
                self._links.setdefault(link.held, []).append(link)
            for link in _told_of(identity, authored, catalog):
                self._mentions.setdefault(link.held, []).append(link)
            for placed in steps_of(authored):
                library, slash, _ = (placed.step.uses or "").partition("/")
                if slash:
                    link = Link(identity, _dotted((*placed.path, "uses")), f"StepLibrary/{library}")
                    self._links.setdefault(link.held, []).append(link)

    def mentions_of(self, identity: str) -> list[Link]:
        return self._mentions.get(identity, [])

    def leaning_on(self, start: str) -> dict[str, tuple[Link, ...]]:
        """Each document that uses it, with a shortest way."""
        found: dict[str, tuple[Link, ...]] = {start: ()}
        waiting, reached = [start], self._targets_in([start])
        for held in waiting:
            for way in self._ways_to(held, start, reached):
                holder = way[0].holder
                if holder not in found:
                    found[holder] = (*way, *found[held])
                    waiting.append(holder)
                    reached = reached.joined(self._targets_in([holder]))
        del found[start]
        return found

    def _targets_in(self, identities: Iterable[str]) -> Targets:
        parts = (identity.partition("/") for identity in identities)
        return self._members.of(name for kind, _, name in parts if kind == "Target")

    def _ways_to(self, held: str, start: str, found: Targets) -> Iterator[tuple[Link, ...]]:
        kind, _, name = held.partition("/")
        asked = start.partition("/")[0]
        for link in self._links.get(held, []):
            if not self._is_precise(link, kind, asked) and self._limit_allows(link.holder, found):
                yield (link,)
        match kind:
            case "Target":
                yield from self._selecting(name, jobs=asked != "Credential")
            case "Credential":
                yield from self._opening(name)
            case "RunnerPool":
                yield from self._running_in(name)
            case "Project":
                yield from self._by_default(held)

    def _is_precise(self, link: Link, kind: str, asked: str) -> bool:
        """Whether a reference is left to those who ask what a job really reaches."""
        chooses = any(True for _ in selections_of(self.documents[link.holder]))
        if kind == "Target":
            return chooses
        # That a group holds the target does not say that a job of the group reaches it: `exclude` may take it out.
        return kind == "TargetGroup" and asked != "TargetGroup" and chooses

    def _limit_allows(self, holder: str, targets: Targets) -> bool:
        """Whether a limit leaves anything of the targets by which we came here."""
        # A document with one limit for all it starts. A workflow has one for each node: any of them may reach.
        limits = [chosen for chosen, path in selections_of(self.documents[holder]) if path == ("spec", "limit")]
        return not targets or all(targets & self._members.chosen(limit) for limit in limits)

    def _selecting(self, target: str, *, jobs: bool) -> Iterator[tuple[Link, ...]]:
        """Whose selection gives the target, and which groups hold it by a selector."""
        held = f"Target/{target}"
        for name, selected in self._by_selector:
            if target in selected:
                yield (Link(f"TargetGroup/{name}", "spec.selector", held),)
        for identity, chosen, path, targets in self._choosing if jobs else ():
            if target in targets:
                yield (Link(identity, self._how(chosen, path, target), held),)

    @cached_property
    def _by_selector(self) -> list[tuple[str, Targets]]:
        groups = ((name, group.spec.selector) for name, group in self._catalog.groups.items())
        return [(name, self._members.selected(selector)) for name, selector in groups if selector is not None]

    @cached_property
    def _choosing(self) -> list[tuple[str, Selection, Path, Targets]]:
        return [
            (identity, chosen, path, self._members.chosen(chosen))
            for identity, authored in self.documents.items()
            for chosen, path in selections_of(authored)
            if path[-1] != "limit"
        ]

    def _how(self, chosen: Selection, path: Path, target: str) -> str:
        where = _dotted(path)
        if target in chosen.names:
            return f"{where}.names[{chosen.names.index(target)}]"
        if chosen.selector is not None and target in self._members.selected(chosen.selector):
            return f"{where}.selector"
        group = next((one for one in chosen.groups if target in self._members.group(one)), None)
        return f"{where}.groups[{chosen.groups.index(group)}] ({group})" if group is not None else where

    def _opening(self, credential: str) -> Iterator[tuple[Link, ...]]:
        for name, job in self._catalog.jobs.items():
            chosen = self._members.chosen(job.spec.targets) if job.spec.targets is not None else frozenset()
            found = ways(self._catalog, job, frozenset(chosen))
            way = next((way for way in found if way.credential == credential), None)
            if way is not None:
                yield self._links_of(name, job, way, chosen)

    def _links_of(self, name: str, job: Job, way: Way, chosen: Iterable[str]) -> tuple[Link, ...]:
        if way.target is None or job.spec.targets is None:
            return (Link(f"Job/{name}", way.path, f"Credential/{way.credential}"),)
        stations = self._stations(way.target, frozenset(chosen))
        how = self._how(job.spec.targets, ("spec", "targets"), stations[0])
        jumped = (
            Link(f"Target/{one}", "spec.connections.ssh.jump", f"Target/{other}") for one, other in pairwise(stations)
        )
        to = f"Target/{stations[-1]}"
        return (
            Link(f"Job/{name}", how, f"Target/{stations[0]}"),
            *jumped,
            Link(to, way.path, f"Credential/{way.credential}"),
        )

    def _stations(self, target: str, chosen: frozenset[str]) -> list[str]:
        """From a chosen target, jump by jump, to this one."""
        if target in chosen:
            return [target]
        for name in sorted(chosen):
            hops = [hop.name for hop in jumps(self._catalog.targets[name], self._catalog.targets)]
            if target in hops:
                return [name, *hops[: hops.index(target) + 1]]
        return [target]

    def _running_in(self, pool: str) -> Iterator[tuple[Link, ...]]:
        for name, job in self._catalog.jobs.items():
            if job.spec.runs_on.pool is None and self._catalog.default_pool == pool:
                yield (Link(f"Job/{name}", "spec.runsOn.pool by default", f"RunnerPool/{pool}"),)

    def _by_default(self, project: str) -> Iterator[tuple[Link, ...]]:
        """Who leaves to the Project what it has a default for."""
        settings = self._catalog.project.spec
        for identity, authored in self.documents.items():
            field = None
            match authored.document:
                case Job(spec=spec):
                    left = (("pool", spec.runs_on.pool), ("timeout", spec.timeout))
                    field = next((name for name, own in left if own is None and getattr(settings.defaults, name)), None)
                case Schedule(spec=spec) if spec.time_zone is None and settings.defaults.time_zone is not None:
                    field = "timeZone"
            if field is not None:
                yield (Link(identity, f"left to spec.defaults.{field}", project),)
            elif settings.suspend and authored.document.kind in ("Schedule", "Trigger"):
                yield (Link(identity, "suspended by spec.suspend", project),)


def _is_mention(holder: str, held: str, path: Path) -> bool:
    return (holder, held) in _MENTIONED_BY or not _MENTIONS.isdisjoint(path)


def _told_of(identity: str, authored: Authored, catalog: Catalog) -> Iterator[Link]:
    """The objects that a rule of notifications names: without them it would be refused."""
    if not isinstance(authored.document, NotificationRule):
        return
    select, by_kind = authored.document.spec.select, catalog.by_kind
    for index, name in enumerate(select.names):
        held = (kind for kind in select.kinds or OBJECT_KINDS if name in by_kind.get(kind, ()))
        yield from (Link(identity, _dotted(("spec", "select", "names", index)), f"{kind}/{name}") for kind in held)


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
