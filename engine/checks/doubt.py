"""Which findings in a mended document are true of what its author wrote.

A finding is kept only where it would still be there after any reasonable mending of what is at fault in the shape. So
nothing is said of the holes themselves, and nothing that what belongs into a hole may decide. Better silent than wrong:
whoever mends the shape sees the rest.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from engine.checks.scope import Path
from schemas.diagnostic import STEPS, Diagnostic, Rest
from schemas.faults import name_like
from schemas.fields import near
from schemas.mending import Hole
from schemas.reader import Authored, nameless
from schemas.span import Span

_RESULTS = frozenset(
    {"params", "inputs", "steps", "rescue", "finally", "id", "uses", "outputs", "forEach", "as", "needs", "jobs", "env"}
    | {"jobRef", "workflowRef", "job"}
)
"""What gives the names and types that expressions have."""
_STARTED = frozenset({"params", "jobRef", "workflowRef", "discoveryRef", "job"})
_CHOICE = frozenset({"targets", "limit", "groups", "names", "selector", "exclude"})
_STEPS = frozenset({"steps", "rescue", "finally"})
_CLOCK = frozenset({"cron", "rrule", "every", "at", "startAt", "endAt", "calendars", "only", "except", "duration"})

DECIDED_BY: Mapping[str, frozenset[str]] = {
    "OC118": frozenset(),
    "OC204": frozenset({"from", "data", "sops"}),
    "OC206": frozenset(),
    "OC207": frozenset(),
    "OC209": frozenset({"scheme", "transport", "winrm"}),
    "OC212": frozenset({"params", "inputs", "outputs"}),
    "OC213": frozenset({"params", "inputs", "outputs"}),
    "OC301": frozenset({"name"}),
    "OC302": frozenset({"name", "previousNames"}),
    "OC303": frozenset(),
    "OC304": frozenset(),
    "OC305": frozenset({"requires", "library"}),
    "OC306": frozenset(),
    "OC307": _CHOICE
    | {"kinds", "select", "matchLabels", "matchExpressions", "jobRef", "allowedFor", "labels", "networks"},
    "OC308": frozenset(),
    "OC309": _STARTED,
    "OC310": frozenset(),
    "OC311": _CHOICE | _STEPS | {"uses", "run", "connection", "connections", "defaultConnection"},
    "OC312": frozenset({"branch", "propose", "status", "requests", "ref"}),
    "OC313": frozenset({"jobs"}),
    "OC314": frozenset(),
    "OC315": frozenset({"event", "run", "jobs", "states", "if", "jobRef", "workflowRef"}),
    "OC316": frozenset({"approval", "teams", "users", "count"}),
    "OC317": frozenset(),
    "OC318": frozenset(),
    "OC319": frozenset(),
    "OC320": _CHOICE | {"uses", "if"},
    "OC321": frozenset(),
    "OC322": frozenset({"jump", "=ssh", "=connections"}),
    "OC323": frozenset(),
    "OC324": frozenset({"jobRef", "concurrency", "group", "onConflict"}),
    "OC325": frozenset(),
    "OC326": frozenset({"plugins", "plugin", "name", "with"}),
    "OC327": frozenset(),
    "OC328": frozenset({"events", "select", "kinds", "when", "longerThan", "channels", "users"}),
    "OC329": frozenset({"networks", "runsOn", "pool"}),
    "OC340": frozenset(),
    "OC341": frozenset(),
    "OC401": frozenset(),
    "OC402": _RESULTS | {"=targets"},
    "OC403": _RESULTS,
    "OC404": frozenset({"shell", "run", "uses"}),
    "OC405": _RESULTS,
    "OC406": _RESULTS | {"run", "with", "targets", "examples"},
    "OC407": frozenset(),
    "OC408": _RESULTS | {"=targets", "with"},
    "OC409": frozenset(),
    "OC410": frozenset(),
    "OC411": frozenset(),
    "OC412": frozenset(),
    "OC501": frozenset(),
    "OC502": frozenset({"timeZone"}),
    "OC503": frozenset(),
    "OC504": _CLOCK,
    "OC505": frozenset(),
    "OC506": _CLOCK,
    "OC507": _CLOCK,
    "OC508": frozenset({"country", "holidays"}),
    "OC509": frozenset(),
    "OC510": frozenset(),
    "OC601": frozenset({"hostKeys"}),
    "OC602": frozenset(),
    "OC603": _CHOICE | _STEPS | {"runsOn", "pool", "pools", "commitStatus", "uses", "connection", "defaults"},
    "OC604": _CHOICE | _STEPS | {"labels", "uses", "connection"},
    "OC605": _STARTED,
    "OC606": _RESULTS | {"secret"},
    "OC607": _STARTED | {"type", "field"},
    "OC608": frozenset(),
    "OC609": frozenset({"type", "transport"}),
    "OC610": frozenset({"sops", "data"}),
    "OC611": frozenset({"sops", "age", "pools", "data"}),
    "OC612": frozenset({"=http", "=connections", "=commitStatus"}),
    "OC613": frozenset(),
    "OC801": frozenset(),
    "OC901": frozenset({"action", "mode", "targets", "connection"}),
    "OC902": frozenset(),
}
"""By code, the fields of the same document that decide, beside what a finding points at, whether it is true.

A hole may be in them; or, with `=`, they must be the hole themselves. Findings that say themselves what they rest on
are not asked for their code.
"""

DECIDED_BY_PROJECT = frozenset({"OC502", "OC603", "OC611"})
"""Codes of findings that the defaults of the Project decide."""

_UNSEEN = frozenset({"annotations", "description", "owner", "labels", "previousNames"})
"""What of its metadata no other document's check rests on. Who asks for labels asks first whether they are known
(`Scope.lacks_labels`), apart from those of a Target, which make it a member; a former name is no name to refer by.
"""
_UNSEEN_OF_JOB = frozenset({"timeout", "queueTimeout", "priority", "strategy", "env"})
_ONLY_NAMED = frozenset(
    {"Schedule", "Window", "Policy", "Discovery", "NotificationChannel", "NotificationRule", "RunRequest", "Approval"}
)
"""Kinds of which other documents' checks see the metadata alone."""


_IN_THE_TEXT = frozenset({"OC605"})
"""Where they rest on nothing else: what stands there has been read by others, whatever shape it is given next."""


def credible(authored: Authored, findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Those of the findings in a document that no mending of its shape would take away."""
    if not authored.holes:
        yield from findings
        return
    deciding = frozenset(name for hole in authored.holes for name in _deciding(hole))
    anything = any(map(_is_wide, authored.holes))
    doubt = _Doubt(authored.holes)
    blank = [span for hole in authored.holes if not hole.kept for span in _spans(authored, hole)]
    for finding in findings:
        if finding.bug or (finding.code in _IN_THE_TEXT and finding.rests == ()):
            yield finding
            continue
        if finding.rests is not None:
            if any(map(doubt.about, finding.rests)):
                continue
        else:
            decided_by = DECIDED_BY.get(finding.code, deciding)
            if decided_by & deciding or (anything and decided_by):
                continue
        places = (finding.span, *(related.span for related in finding.related))
        if not any(_within(place, span) for place in places for span in blank):
            yield finding


def stands(authored: Authored) -> bool:
    """Whether other documents' checks may rely on a mended one: its holes are where none of them looks."""
    return all(_is_unseen(authored.document.kind, hole.path) for hole in authored.holes)


def names_of(authored: Authored) -> Iterator[str]:
    """The names by which others may refer to a mended document."""
    yield authored.document.name
    for hole in authored.holes:
        if hole.path == _NAME and hole.was:
            yield name_like(hole.was)
        elif hole.path == _NAME[: len(hole.path)] and not (hole.kept and hole.path == _METADATA):
            yield nameless(authored.document.kind)


_METADATA = ("metadata",)
"""Where it stands twice, the names that the file holds beside the last are known: its reader looks for them."""
_NAME = ("metadata", "name")


def is_named(authored: Authored) -> bool:
    """Whether a mended document has the names that its author gave it."""
    return not any(
        hole.path in ((), ("metadata",), ("kind",)) or hole.path[:2] in (("metadata", "name"), _PREVIOUS)
        for hole in authored.holes
    )


_PREVIOUS = ("metadata", "previousNames")


def _is_unseen(kind: str, path: Path) -> bool:
    match path[:2]:
        case ("metadata", str(field)):
            return field in _UNSEEN and (kind, field) != ("Target", "labels")
        case ("spec", *below):
            return kind in _ONLY_NAMED or (kind == "Job" and bool(below) and below[0] in _UNSEEN_OF_JOB)
    return path == ("apiVersion",)


def _is_wide(hole: Hole) -> bool:
    """Whether there is no saying what belongs into it."""
    return len(hole.path) < 2 and hole.path != ("apiVersion",)


class _Doubt:
    """The holes of a document, to be asked whether what belongs into one may be what a finding rests on.

    Paths are looked up and not compared one by one: a document may have as many holes as it has findings.
    """

    def __init__(self, holes: Iterable[Hole], *, keys: bool = True) -> None:
        self._holes = tuple(holes)
        self._around: set[Path] = set()
        self._was: dict[Path, list[str]] = {}
        self._keys: dict[Path, list[str]] = {}
        self._through: dict[int, _Doubt] = {}
        for hole in self._holes:
            self._was.setdefault(hole.path, []).append(hole.was)
            self._around |= {hole.path[:end] for end in range(len(hole.path))}
            if keys and hole.path and not hole.kept and isinstance(hole.path[-1], str):
                self._keys.setdefault(hole.path[:-1], []).append(hole.path[-1])

    def about(self, rest: Rest) -> bool:
        path = rest.path
        if STEPS in path:
            begin = path.index(STEPS)
            return self._less_steps(begin).about(Rest(path[:begin] + path[begin + 1 :], rest.name))
        if path in self._around or any(path[:end] in self._was for end in range(len(path))):
            return True
        if (was := self._was.get(path)) is not None:
            return not rest.name or not all(was) or _one_is_like(was, rest.name)
        # a key that is none of those that are known may be meant for one of them
        return _one_is_like(self._keys.get(path[:-1], ()), str(path[-1]))

    def _less_steps(self, begin: int) -> "_Doubt":
        if begin not in self._through:
            less = (replace(hole, path=_less_steps(hole.path, begin)) for hole in self._holes)
            self._through[begin] = _Doubt(less, keys=False)
        return self._through[begin]


def _less_steps(path: Path, begin: int) -> Path:
    """The path without the steps that it leads through from there on."""
    end = begin
    while path[end : end + 1] and path[end] in _STEPS:
        end += 2
    return path[:begin] + path[end:]


def _one_is_like(written: Collection[str], name: str) -> bool:
    """Whether somebody who mends one of the names may come to this one; of many, one always is."""
    return len(written) > _MANY or any(_alike(one, name) for one in written)


def _alike(one: str, other: str) -> bool:
    first, second = _FOLDED.sub("", one.lower()), _FOLDED.sub("", other.lower())
    return not first or not second or first in second or second in first or bool(near(first, [second]))


_MANY = 10
_FOLDED = re.compile(r"[\W_]+")


def _deciding(hole: Hole) -> Iterator[str]:
    """The names on its path, those around its step or node left out: a step is more than what stands beside it."""
    begin = 0
    for at in range(1, len(hole.path) - 1):
        if (hole.path[at - 1] in _STEPS and isinstance(hole.path[at], int)) or hole.path[:at] == ("spec", "jobs"):
            begin = at + 1
    yield from (name for name in hole.path[begin:] if isinstance(name, str))
    yield f"={hole.path[-1]}" if hole.path else "="


def _spans(authored: Authored, hole: Hole) -> Iterator[Span]:
    yield authored.span(*hole.path)
    yield authored.span(*hole.path, key=True)


def _within(place: Span, span: Span) -> bool:
    return (
        place.file == span.file
        and (span.line, span.column) <= (place.line, place.column)
        and (place.end_line, place.end_column) <= (span.end_line, span.end_column)
    )
