"""Triggers: the names in their expressions, and runs that set each other off without end."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice

from engine.checks.parameters import taker_of
from engine.checks.reading import Fault, Read, faults, judged, read
from engine.checks.scope import Scope
from engine.checks.typed import Typing, given, mismatches, texts_within, within
from engine.eventshapes import Shape, shape_of, unknown_field
from engine.expressions.expression import Reference
from engine.expressions.inference import BOOL, Types
from engine.graph import bottom_up, circles, shown
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS
from schemas.guesses import Names
from schemas.reader import Authored
from schemas.span import Span
from schemas.trigger import Trigger

MAX_CHAIN = 8
"""Causes one after another; a longer chain is refused when it happens."""
_ANY = "any"
_ELSEWHERE = {
    "params": "a trigger has none of its own; what it starts takes them",
    "secrets": "a secret param takes {credentialRef: …, field: …}",
    "run": "the run that ended is in 'event'",
    "jobs": "only workflows have jobs",
    "steps": "only jobs have steps",
}


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """The expressions of one trigger."""
    if not isinstance(authored.document, Trigger):
        return
    spec = authored.document.spec
    shape = shape_of(spec.event)
    typing = Typing(lambda path: _types(shape, path), lambda path: _choices(shape, path))
    judge = partial(_judge, shape)
    if isinstance(spec.if_, str):
        for one in read(authored, spec.if_, ("spec", "if"), condition=True):
            wrong = tuple(judged(authored, one, judge)) if isinstance(one, Read) else (one,)
            yield from wrong or (mismatches(authored, one, typing, BOOL) if isinstance(one, Read) else ())
    yield from faults(authored, spec.params, ("spec", "params"), judge)
    taker = taker_of(scope, spec.job_ref, spec.workflow_ref)
    for name, value in spec.params.items():
        schema = taker.params.get(name) if taker is not None else None
        if schema is not None and schema.get("secret") is not True:
            yield from given(authored, value, ("spec", "params", name), schema, typing)
    if spec.dedupe is not None:
        yield from faults(authored, spec.dedupe.key, ("spec", "dedupe", "key"), judge)
        if "${{" not in spec.dedupe.key:
            hint = "write an expression over 'event', as in ${{ event.head_commit.id }}"
            message = "the key is the same for all events: one run a window"
            yield Diagnostic(authored.span("spec", "dedupe", "key"), "OC407", message, hint, "warning")


def _types(shape: Shape, path: tuple[str, ...]) -> Types:
    return within(shape, path[1:]) if path[0] == "event" and shape else None


def _choices(shape: Shape, path: tuple[str, ...]) -> frozenset[str]:
    return texts_within(shape, path[1:]) if path[0] == "event" and shape else frozenset()


def _judge(shape: Shape, reference: Reference, _: bool) -> Fault | None:
    root = reference.path[0]
    if root == "event":
        unknown = unknown_field(shape, reference.path[1:])
        if unknown is None:
            return None
        name, known = unknown
        near = Names(known).near(name)
        hint = f"did you mean '{near}'?" if near else f"there are {', '.join(known)}"
        return Fault("OC402", f"an event of this kind has no '{name[:80]}'", hint)
    code = "OC606" if root == "secrets" else "OC402"
    return Fault(code, f"there is no '{root}' here", _ELSEWHERE.get(root) or "there is event")


def check(scope: Scope) -> Iterator[Diagnostic]:
    """Triggers on runs that start runs which set them off again, or a longer chain than may be."""
    watching = {name: one for name, one in scope.catalog.triggers.items() if one.spec.event.run is not None}
    graph = _graph(watching, scope)
    found = tuple(islice(circles(graph), MAX_FINDINGS))
    for circle in found:
        way = [name.partition("/")[2] for name in circle if name.startswith("Trigger/")]
        yield _circle(way, watching, scope)
    if not found:
        yield from _long_chain(graph, watching, scope)


def _graph(watching: Mapping[str, Trigger], scope: Scope) -> Mapping[str, tuple[str, ...]]:
    """From a trigger to the jobs whose runs it starts, and from a job to the triggers that watch it."""
    graph: dict[str, list[str]] = {_ANY: []}
    for name, trigger in watching.items():
        event = trigger.spec.event.run
        for watched in _watched(trigger):
            graph.setdefault(watched, []).append(f"Trigger/{name}")
        if event is not None and not _watched(trigger):
            graph[_ANY].append(f"Trigger/{name}")
    started = {f"Trigger/{name}": [*_started(trigger, scope), _ANY] for name, trigger in watching.items()}
    return {name: tuple(below) for name, below in {**graph, **started}.items()}


def _started(trigger: Trigger, scope: Scope) -> Iterator[str]:
    if trigger.spec.job_ref is not None:
        yield f"Job/{trigger.spec.job_ref}"
    workflow = scope.catalog.workflows.get(trigger.spec.workflow_ref or "")
    if workflow is not None:
        yield workflow.identity
    for node in workflow.spec.jobs.values() if workflow is not None else ():
        if node.job_ref is not None:
            yield f"Job/{node.job_ref}"


def _circle(way: list[str], watching: Mapping[str, Trigger], scope: Scope) -> Diagnostic:
    authored = scope.authored("Trigger", way[0])
    # A condition may break the circle, and who watches all jobs may not have meant this one.
    certain = all(watching[name].spec.if_ is None and _watched(watching[name]) for name in way)
    message = (
        f"trigger '{way[0]}' sets itself off: what it starts is among what it watches"
        if len(way) == 1
        else f"a circle of triggers: {shown([*way, way[0]], 'sets off')}"
    )
    related = tuple(
        Related(scope.authored("Trigger", name).span("metadata", "name"), f"trigger {name}") for name in way[1:10]
    )
    hint = "name other jobs under event.run; a run that would close the circle is refused"
    return Diagnostic(_place(authored, watching[way[0]]), "OC315", message, hint,
                      "error" if certain else "warning", related)  # fmt: skip


def _watched(trigger: Trigger) -> tuple[str, ...]:
    """What it watches by name; nothing where it watches everything."""
    run = trigger.spec.event.run
    if run is None:
        return ()
    return (*(f"Job/{name}" for name in run.jobs), *(f"Workflow/{name}" for name in run.workflows))


def _place(authored: Authored, trigger: Trigger) -> Span:
    run = trigger.spec.event.run
    named = () if run is None else ("jobs",) if run.jobs else ("workflows",) if run.workflows else ()
    return authored.span("spec", "event", "run", *named, key=True)


def _long_chain(
    graph: Mapping[str, tuple[str, ...]], watching: Mapping[str, Trigger], scope: Scope
) -> Iterator[Diagnostic]:
    """The longest way from each, by its number of triggers, from the end of the graph on."""
    length: dict[str, int] = {}
    after: dict[str, str] = {}
    for name in bottom_up(graph):
        best = max((below for below in graph[name] if below in length), key=lambda below: length[below], default=None)
        length[name] = (length[best] if best is not None else 0) + name.startswith("Trigger/")
        if best is not None:
            after[name] = best
    longest = max((name for name in length if name.startswith("Trigger/")), key=lambda one: length[one], default=None)
    if longest is None or length[longest] <= MAX_CHAIN:
        return
    way, name = [], longest
    while True:
        if name.startswith("Trigger/"):
            way.append(name.partition("/")[2])
        if name not in after:
            break
        name = after[name]
    ninth = way[MAX_CHAIN]
    certain = all(watching[one].spec.if_ is None and _watched(watching[one]) for one in way)
    message = f"a chain of {len(way)} triggers: {shown(way, 'sets off')}"
    hint = f"a run with more than {MAX_CHAIN} causes one after another is refused; use a Workflow"
    span = _place(scope.authored("Trigger", ninth), watching[ninth])
    yield Diagnostic(span, "OC315", message, hint, "error" if certain else "warning")
