"""Workflows: nodes that exist, no circles, gates that somebody can open, and the names in their expressions."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from engine.checks.reading import Fault, Read, judged, named, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import Items, Typing, choices_of, mismatches, of_loop
from engine.checks.typed import given as unfitting
from engine.checks.typed import params as typed_params
from engine.expressions.expression import Reference, has_expression
from engine.expressions.inference import BOOL, INT, LIST, NULL, TEXT, Types
from engine.graph import bottom_up, circles, reached, shown
from engine.runs.concurrency import group_of, group_of_job
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS
from schemas.guesses import Guesses
from schemas.reader import Authored
from schemas.span import Span
from schemas.workflow import Gate, Node, Workflow

RUN_FIELDS = frozenset({"id", "job", "commit", "instant", "attempt", "cause"})
_MAP = frozenset({"map"})
_OF_NODE = frozenset({"state", "outputs"})
_ELSEWHERE = {
    "steps": "a workflow sees its jobs: jobs.<id>.state, jobs.<id>.outputs",
    "target": "a workflow has no targets; its jobs have",
    "vars": "a workflow has no targets; its jobs have",
    "env": "a workflow has no environment; its jobs have",
    "event": "only triggers have events; give it as a param",
    "job": "a workflow sees its jobs: jobs.<id>.state, jobs.<id>.outputs",
    "secrets": "a secret is given to a job as a secret param, or named in the job",
}


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if not isinstance(authored.document, Workflow):
        return
    graph = _Graph(authored, authored.document, scope)
    yield from graph.needs()
    yield from graph.groups()
    for name, node in authored.document.spec.jobs.items():
        if node.approval is not None:
            yield from _gate(authored, node.approval, ("spec", "jobs", name, "approval"), scope, graph.guesses)
    yield from graph.expressions()


def _gate(authored: Authored, gate: Gate, path: Path, scope: Scope, guesses: Guesses) -> Iterator[Diagnostic]:
    """Users are looked up with the other references."""
    for index, team in enumerate(gate.teams):
        if team not in scope.teams and not scope.lacks_teams:
            hint = guesses.hint(team, scope.teams, "a team is what Users name under spec.teams")
            span = authored.span(*path, "teams", index)
            yield Diagnostic(span, "OC305", f"there is no team '{team[:80]}'", hint)
            return
    known = _deciders(gate, scope)
    if (gate.teams or gate.users) and len(known) < gate.count and not scope.lacks_teams:
        few = f"only {len(known)} {'person' if len(known) == 1 else 'people'} may decide"
        message = f"the gate cannot open: it wants {gate.count} approvals, and {few}"
        hint = "lower 'count', or let more people decide"
        yield Diagnostic(authored.span(*path, "count", key=True), "OC316", message, hint)
    elif gate.not_requester and len(known) == 1 and not scope.lacks_teams:
        message = f"only '{min(known)}' may decide, and not where they asked for the run"
        hint = "let another person decide as well"
        yield Diagnostic(authored.span(*path, "notRequester", key=True), "OC316", message, hint, "warning")


def _deciders(gate: Gate, scope: Scope) -> Set[str]:
    """Who may decide; no more of them than matter here, since many gates may name one large team."""
    enough = max(gate.count, 2)
    known = set(islice(gate.users, enough))
    for team in gate.teams:
        for name in scope.teams.get(team, ()):
            if len(known) >= enough:
                return known
            known.add(name)
    return known


@dataclass(frozen=True)
class _Graph:
    authored: Authored
    document: Workflow
    scope: Scope

    @property
    def nodes(self) -> Mapping[str, Node]:
        return self.document.spec.jobs

    @cached_property
    def guesses(self) -> Guesses:
        return Guesses()

    @cached_property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        return {name: node.needs for name, node in self.nodes.items()}

    @cached_property
    def circles(self) -> tuple[tuple[str, ...], ...]:
        return tuple(islice(circles(self.edges), MAX_FINDINGS))

    @cached_property
    def ended_before(self) -> Mapping[str, int]:
        """By node, what must have ended before it starts, as bits by `place`; everything where there is a circle."""
        if self.circles:
            return dict.fromkeys(self.nodes, -1)
        return reached(self.edges)

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(bottom_up(self.edges))}

    def needs(self) -> Iterator[Diagnostic]:
        for name, node in self.nodes.items():
            for index, needed in enumerate(node.needs):
                if needed not in self.nodes:
                    hint = self.guesses.hint(needed, self.nodes)
                    span = self.authored.span("spec", "jobs", name, "needs", index)
                    yield Diagnostic(span, "OC313", f"there is no node '{needed}' in this workflow", hint)
        for circle in self.circles:
            last, first = circle[-1], circle[0]
            span = self.authored.span("spec", "jobs", last, "needs", self.edges[last].index(first))
            message = (
                f"node '{last}' needs itself" if len(circle) == 1 else f"a circle: {shown([*circle, first], 'needs')}"
            )
            related = tuple(Related(self._key(name), f"node {name}") for name in circle[:-1][:10])
            yield Diagnostic(span, "OC314", message, "remove one of these needs; no node of it could start",
                             related=related)  # fmt: skip

    def groups(self) -> Iterator[Diagnostic]:
        """Jobs that would wait for the very run that waits for them: one finding a job, at its first node."""
        group = group_of(self.document.name, self.document.spec)
        first: dict[str, str] = {}
        for name, node in self.nodes.items():
            first.setdefault(node.job_ref or "", name)
        for ref, name in first.items():
            job = self.scope.catalog.jobs.get(ref)
            if job is None or group_of_job(job) != group or has_expression(group):
                continue
            message = f"job '{job.name}' would wait for this workflow: both are of concurrency group '{group}'"
            hint = "give the workflow, or the job, a group of its own"
            origin = self.scope.authored("Job", job.name)
            related = (
                Related(self.authored.span("spec", "concurrency", "group"), "the workflow's group"),
                Related(origin.span("spec", "concurrency", "group"), "the job's group"),
            )
            span = self.authored.span("spec", "jobs", name, "jobRef")
            yield Diagnostic(span, "OC324", message, hint, related=related)

    def expressions(self) -> Iterator[Diagnostic]:
        for name, node in self.nodes.items():
            path: Path = ("spec", "jobs", name)
            item = self._item(node)
            yield from self._read(node.if_, (*path, "if"), name, wanted=BOOL)
            yield from self._read(node.params, (*path, "params"), name, item=item)
            if node.limit is not None:
                yield from self._read(node.limit.to_json(), (*path, "limit"), name, item=item)
            if node.for_each is not None:
                items = node.for_each.items
                wanted = LIST if isinstance(items, str) else None  # what stands in a list may be anything
                yield from self._read(items, (*path, "forEach", "items"), name, wanted=wanted)
            yield from self._given(name, node)
        yield from self._read(self.document.spec.outputs, ("spec", "outputs"), None)

    def _read(
        self, value: Any, path: Path, own: str | None, *, item: Items | None = None, wanted: Types = None
    ) -> Iterator[Diagnostic]:
        def judge(reference: Reference, _: bool) -> Fault | None:
            return self._fault(reference, own, item.name if item is not None else None)

        typing = self._typing(item)
        for one in (
            read(self.authored, value, path, condition=wanted == BOOL) if not isinstance(value, bool | None) else ()
        ):
            if not isinstance(one, Read):
                yield one
                continue
            wrong = tuple(judged(self.authored, one, judge))
            yield from wrong or mismatches(self.authored, one, typing, wanted)

    def _typing(self, item: Items | None) -> Typing:
        if item is None:
            return self.typing
        return Typing(
            lambda path: item.looked_up(path, self._types),
            lambda path: frozenset() if path[0] == item.name else self._choices(path),
        )

    @staticmethod
    def _item(node: Node) -> Items | None:
        return of_loop(node.for_each.as_, node.for_each.items) if node.for_each is not None else None

    @cached_property
    def typing(self) -> Typing:
        return Typing(self._types, self._choices)

    def _choices(self, path: tuple[str, ...]) -> frozenset[str]:
        return choices_of(self.document.spec.params, path)

    def _types(self, path: tuple[str, ...]) -> Types:
        match path:
            case ("params", *_):
                return typed_params(self.document.spec.params, path)
            case ("jobs", name, "outputs", output):
                return self._types_of_output(name, output)
            case ("jobs", _, "outputs") | ("jobs",):
                return _MAP
            case ("jobs", _, "state") | ("run", "id" | "job" | "commit" | "instant"):
                return TEXT
            case ("run", "attempt"):
                return INT
        return None

    def _types_of_output(self, name: str, output: str) -> Types:
        """By target, where the job has targets; of a loop, a list with one value an item."""
        node = self.nodes.get(name)
        job = self.scope.catalog.jobs.get(node.job_ref or "") if node is not None else None
        if node is None or job is None or output not in job.spec.outputs:
            return None
        if node.for_each is not None:
            return LIST | NULL
        return _MAP | NULL if job.spec.targets is not None else None

    def _given(self, name: str, node: Node) -> Iterator[Diagnostic]:
        """Params whose expressions cannot give what the job asks for."""
        job = self.scope.catalog.jobs.get(node.job_ref or "")
        item = self._item(node)
        for param, value in node.params.items() if job is not None else ():
            schema = job.spec.params.get(param) if job is not None else None
            if schema is not None and schema.get("secret") is not True:
                path: Path = ("spec", "jobs", name, "params", param)
                yield from unfitting(self.authored, value, path, schema, self._typing(item))

    def _fault(self, reference: Reference, own: str | None, item: str | None) -> Fault | None:
        root, *rest = reference.path
        if root == item:
            return None
        match root:
            case "params":
                return self._param(rest)
            case "jobs":
                return self._node(rest, own)
            case "run":
                return named("field", "run", rest, RUN_FIELDS, self.guesses)
        if root == "secrets":
            return Fault("OC606", "a secret may not stand here", _ELSEWHERE[root])
        if root in self.nodes:
            return Fault("OC402", f"'{root}' is a node", f"write jobs.{root}")
        if root in self.document.spec.params:
            return Fault("OC402", f"'{root}' is a param", f"write params.{root}")
        known = ["jobs", "params", "run", *([item] if item else [])]
        return Fault("OC402", f"there is no '{root}' here", _ELSEWHERE.get(root) or self.guesses.hint(root, known))

    def _param(self, rest: list[str]) -> Fault | None:
        params = self.document.spec.params
        if rest and params.get(rest[0], {}).get("secret") is True:
            return Fault("OC606", f"'{rest[0]}' is a secret param, and may not stand here", _ELSEWHERE["secrets"])
        return named("param", "params", rest[:1], params, self.guesses, "declare it under spec.params")

    def _node(self, rest: list[str], own: str | None) -> Fault | None:
        if not rest:
            return None
        name = rest[0]
        if name not in self.nodes:
            return Fault("OC402", f"there is no node '{name}'", self.guesses.hint(name, self.nodes))
        if name == own:
            return Fault("OC403", f"node '{name}' refers to itself", "a node does not know its own result")
        if own is not None and not self.ended_before[own] >> self.place[name] & 1:
            message = f"node '{own}' does not wait for node '{name}'"
            return Fault("OC403", message, f"add '{name}' to its 'needs'", (Related(self._key(name), "the node"),))
        if fault := named("field", f"jobs.{name}", rest[1:2], _OF_NODE, self.guesses):
            return fault
        return self._output(name, rest[2]) if len(rest) > 2 and rest[1] == "outputs" else None

    def _output(self, name: str, output: str) -> Fault | None:
        node = self.nodes[name]
        job = self.scope.catalog.jobs.get(node.job_ref or "")
        if node.job_ref is not None and (job is None or node.for_each is not None or output in job.spec.outputs):
            return None
        where = Related(self._key(name), "the node")
        if job is None:
            return Fault("OC405", f"node '{name}' is no job and has no outputs", "it has jobs.<id>.state", (where,))
        origin = self.scope.authored("Job", job.name)
        hint = self.guesses.hint(output, job.spec.outputs, "declare it under the job's spec.outputs")
        related = Related(origin.span("spec", "outputs", key=True), "the job")
        return Fault("OC405", f"job '{job.name}' declares no output '{output}'", hint, (related,))

    def _key(self, name: str) -> Span:
        return self.authored.span("spec", "jobs", name, key=True)
