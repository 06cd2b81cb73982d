"""What a template of a message reads, beside what an event gives: the names are compared, nothing is rendered. Pure.

Compiling a template would evaluate its constants (DESIGN 5), so the sample is a shape, and reading it is walking it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.notifications.noticecontext import SAMPLE
from engine.templates import below, parsed

if TYPE_CHECKING:
    from jinja2 import nodes

_CAUSE = {"cause": {"kind": "", "name": ""}}
_ENDED = {"state": "", "reason": "", "seconds": 0.0, **_CAUSE}
_FAILED = {**_ENDED, "failures": 1}
_SKIPPED = {"reason": "", "from": "", "to": "", "count": 1}
DATA: Mapping[str, Mapping[str, Any]] = {
    "run.started": _CAUSE,
    "run.succeeded": {**_ENDED, "failuresBefore": 1},
    "run.failed": _FAILED,
    "run.recovered": {**_ENDED, "failuresBefore": 1},
    "run.late": {"due": "", **_CAUSE},
    "run.missed": _SKIPPED,
    "run.unknown": _FAILED,
    "run.cancelled": _ENDED,
    "run.timedOut": _FAILED,
    "run.noTargets": _SKIPPED,
    "run.waitingApproval": {"gate": "", "node": "", "until": ""},
    "target.unreachable": {"failures": 1},
    "target.recovered": {"failuresBefore": 1},
    "sync.failed": {"reason": "", "message": "", "findings": [], "observed": "", "applied": ""},
    "sync.recovered": {"applied": ""},
    "credential.expiring": {"what": "", "at": "", "days": 1},
    "discovery.changed": {"new": 1, "changed": 1, "gone": 1, "branch": "", "commit": ""},
    "runner.lost": {"runner": ""},
    "notification.dead": {
        "message": "",
        "rule": "",
        "subject": "",
        "tells": [],
        "run": "",
        "error": "",
        "attempts": 1,
    },
}
"""What `event.data` may hold of each event."""
ITEM = "[]"
WITHOUT_RUN = frozenset(
    {
        "run.missed", "run.noTargets", "sync.failed", "sync.recovered", "credential.expiring", "runner.lost",
        "notification.dead",
    }
)  # fmt: skip
WITHOUT_JOB = WITHOUT_RUN - {"run.missed", "run.noTargets"} | {
    "target.unreachable", "target.recovered", "discovery.changed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """`run.state` as it stands in a template. `line` counts from 1; `tested`: its first name is asked about before."""

    path: tuple[str, ...]
    line: int
    tested: bool
    """An item of a list, `targets[0]` or one of a loop over them, is `[]` in the path."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What no event gives, or (`events`) these events do not."""

    read: Read
    known: tuple[str, ...] = ()
    """What there is instead."""
    events: tuple[str, ...] = ()


def lacks_of(text: str, events: tuple[str, ...]) -> tuple[Lack, ...]:
    """What a template reads that is not there with (some of) the events. Nothing of a text that is no template."""
    found = {read.path: lack for read in reads_of(text) if (lack := _lack(read, events)) is not None}
    return tuple(found.values())


def _lack(read: Read, events: tuple[str, ...]) -> Lack | None:
    root = read.path[0]
    if root == "event" and len(read.path) > 2 and read.path[1] == "data":
        known = {key for event in events for key in DATA.get(event, {})}
        return None if read.path[2] in known else Lack(read, tuple(sorted(known)))
    if (known_there := _missing(SAMPLE.get(root), read.path[1:])) is not None:
        return Lack(read, known_there)
    absent = {"run": WITHOUT_RUN, "job": WITHOUT_JOB}.get(root, frozenset())
    bare = tuple(event for event in events if event in absent)
    return Lack(read, events=bare) if bare and len(read.path) > 1 and not read.tested else None


def _missing(shape: Any, rest: tuple[str, ...]) -> tuple[str, ...] | None:
    """What there is where the path ends too early; None where it leads somewhere. An empty shape is free."""
    for name in rest:
        if shape is None or shape in ({}, []):
            return None
        match shape:
            case [item, *_] if name == ITEM:
                shape = item
            case Mapping():
                if name not in shape:
                    return tuple(sorted(shape))
                shape = shape[name]
            case _ if name == ITEM or hasattr(shape, name):  # what a text or a list can do
                return None
            case _:
                return ()
    return None


def reads_of(text: str) -> tuple[Read, ...]:
    """Every chain of names that begins with one that messages know. Names that the template sets are its own."""
    from jinja2 import TemplateSyntaxError, nodes

    try:
        every = below(parsed(text))
    except (TemplateSyntaxError, RecursionError, ValueError):
        return ()
    own = Counter(node.name for node in every if isinstance(node, nodes.Name) and node.ctx != "load")
    items = {name: path for name, path in _items(every) if own[name] == 1}
    tested = set(_tested(every))
    found = []
    for written, line in _chains(every):
        path = (*items[written[0]], *written[1:]) if written[0] in items else written
        if path[0] in SAMPLE and path[0] not in own:
            found.append(Read(path, line, path[0] in tested))
    return tuple(found)


def _items(every: "list[nodes.Node]") -> "Iterator[tuple[str, tuple[str, ...]]]":
    """The names of loops over what messages hold, with the path of what they go through."""
    from jinja2 import nodes

    for node in every:
        match node:
            case nodes.For(target=nodes.Name(name=name), iter=nodes.Name(name=over)):
                yield name, (over, ITEM)
            case nodes.For(target=nodes.Name(name=name), iter=nodes.Getattr() as over_what):
                for path, _ in _chains([over_what]):
                    yield name, (*path, ITEM)


def _tested(every: "list[nodes.Node]") -> Iterator[str]:
    """Names that an `if` asks about, or that have a default."""
    from jinja2 import nodes

    for node in every:
        match node:
            case nodes.If(test=test) | nodes.CondExpr(test=test):
                yield from _names(test)
            case nodes.Filter(name="default" | "d", node=nodes.Node() as test):
                yield from _names(test)


def _names(node: "nodes.Node") -> Iterator[str]:
    from jinja2 import nodes

    yield from (found.name for found in below(node) if isinstance(found, nodes.Name))


def _chains(every: "list[nodes.Node]") -> Iterator[tuple[tuple[str, ...], int]]:
    """The longest of each: of `run.cause.name` not `run.cause`, too."""
    from jinja2 import nodes

    inner: set[int] = set()
    for node in every:  # an outer one comes before what is in it
        if not isinstance(node, nodes.Getattr | nodes.Getitem) or id(node) in inner:
            continue
        names: list[str] = []
        under: nodes.Node = node
        while isinstance(under, nodes.Getattr | nodes.Getitem):
            inner.add(id(under))
            if isinstance(under, nodes.Getattr):
                names.append(under.attr)
            elif isinstance(under.arg, nodes.Const) and isinstance(under.arg.value, str):
                names.append(under.arg.value)
            elif isinstance(under.arg, nodes.Const) and isinstance(under.arg.value, int):
                names.append(ITEM)
            else:
                names.clear()  # what an index gives is not known by name; what stands before it is
            under = under.node
        if isinstance(under, nodes.Name) and names:
            yield (under.name, *reversed(names)), node.lineno
