"""The guard: YAML read from parse events, so that no document can exhaust the process, and nothing is ambiguous.

libyaml's composer recurses and kills the process at depth 30,000; events do not, and reading stops at the first limit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from yaml import MarkedYAMLError, YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from schemas.characters import INSTEAD, lines_of, look
from schemas.diagnostic import Diagnostic, Related
from schemas.scalars import Refused, Scalar, resolve
from schemas.span import Span, start_of
from schemas.yamlerrors import refusal

MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_DOCUMENTS = 256
MAX_SCALAR = 256 * 1024
MAX_FINDINGS = 100
"""Findings a file; who has more has other worries."""

Value = dict[str, Any] | list[Any] | Scalar


class _Nothing:
    """Stands for an empty document between `---`, which is nothing; an explicit null is not."""


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of a document where something is refused, and what that does to its value.

    `gone`: an alias, which has none. `open`: a mapping that may hold more fields than those that could be read.
    `odd`: once it is mended the value may be another. `twice`: it is the last of several.
    """

    index: int
    """Which document of the stream."""
    path: tuple[str | int, ...]
    sort: Literal["gone", "open", "odd", "twice"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The values of a file's documents in order (NOTHING for an empty one); none where there are findings.

    Where there are, `remains` are those before the place at which reading had to stop, with what is refused at `marks`
    in them. They are good for finding more, and never to be used.
    """

    documents: tuple[Value | _Nothing, ...]
    findings: tuple[Diagnostic, ...]
    remains: tuple[Value | _Nothing, ...] = ()
    marks: tuple[Mark, ...] = ()
    stopped: bool = False
    """Whether there may be more documents than could be read."""
    nothings: bool = False
    """Whether a null stands somewhere."""
    instead: bytes | None = None
    """What was read in place of bytes that are refused; places are those in it."""


def guard(data: bytes, file: str) -> tuple[Diagnostic, ...]:
    """Everything DEFINITIONS 1 refuses in the bytes of a file, in order of place."""
    return load(data, file).findings


def load(data: bytes, file: str) -> Loaded:
    """The documents of a file as plain data, and what is wrong with its bytes; time and memory linear in its size."""
    refused = look(data, file)
    if refused is not None and refused.rest is None:
        return Loaded((), (refused.finding,), stopped=True)
    rest = data if refused is None or refused.rest is None else refused.rest
    reading = _Reading(file) if refused is None else _OfTheRest(file)
    parser = CParser(rest)
    try:
        reading.take(parser)
    except MarkedYAMLError as error:
        lines = lines_of(rest.decode())
        finding = refusal(error, lines, file)
        if refused is not None and INSTEAD in "".join(lines[finding.span.line - 1 : finding.span.line]):
            refused = replace(refused, finding=_the_last(refused.finding))  # which is why
            reading.stopped = True
        else:
            reading.end_with(finding)
    except YAMLError as error:
        reading.end_with(Diagnostic(start_of(file), "OC104", f"not YAML: {error}"))
    finally:
        parser.dispose()
    findings = tuple(reading.findings) if refused is None else (refused.finding, *reading.findings)
    if not findings:
        return Loaded(tuple(reading.documents), (), nothings=reading.nothings)
    remains = reading.documents[: reading.ended] if reading.stopped else reading.documents
    marks = (mark for mark in reading.marks if mark.index < len(remains))
    looked_at = rest if refused is not None else None
    return Loaded((), findings, tuple(remains), tuple(marks), reading.stopped, reading.nothings, looked_at)


@dataclass(slots=True)
class _Mapping:
    value: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, ScalarEvent] = field(default_factory=dict)
    key: str | None = None
    expects_key: bool = True


class _Reading:
    """What is built while events go by. A frame for each open collection; no recursion.

    A large repository has a million events: what every event costs is kept small, and is not divided further.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[Value | _Nothing] = []
        self.findings: list[Diagnostic] = []
        self.marks: list[Mark] = []
        self.stopped = False
        self.nothings = False
        self.ended = 0
        """Documents after which another began: what stands before a mistake in the syntax may be half a document."""
        self._frames: list[_Mapping | list[Any]] = []
        self._nodes = 0
        self._held = 0
        """Documents that are not empty."""
        self._began: DocumentStartEvent | None = None

    def take(self, parser: CParser) -> None:
        """All events until the end, or until nothing more is worth saying."""
        by_type: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._open,
            SequenceStartEvent: self._open,
            MappingEndEvent: self._close,
            SequenceEndEvent: self._close,
            AliasEvent: self._alias,
            DocumentStartEvent: self._start,
        }
        next_event = parser.get_event
        while not self.stopped and (event := next_event()) is not None:
            if (taker := by_type.get(event.__class__)) is not None:
                taker(event)

    def end_with(self, finding: Diagnostic) -> None:
        """Nothing more can be read."""
        self.findings.append(_the_last(finding))
        self.stopped = True

    def _start(self, event: DocumentStartEvent) -> None:
        self._began = event
        self.ended = len(self.documents)
        message, hint = "a '%' directive is not allowed", "remove the line; files are read as YAML 1.2"
        if event.tags:  # every node may bring its prefix anew, however long that is
            self._stop(event, "OC107", message, hint)
        elif event.version not in (None, (1, 2)):
            self._refuse(event, "OC107", message, hint)

    def _hold(self) -> None:
        """One more document; an empty one between `---` is none."""
        self._held += 1
        if self._held > MAX_DOCUMENTS:
            message = f"more than {MAX_DOCUMENTS} documents in a file"
            self._stop(self._began, "OC114", message, "divide it into several files")

    def _too_many(self, event: AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        hint = "divide it into several files"
        self._stop(event, "OC113", f"more than {MAX_NODES:,} keys and values in a file", hint)

    def _decorated(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "OC105", f"'&{event.anchor}' is an anchor", "write the value out where it is used")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = 'remove it; quote a value that is meant as text, as in "12"'
            self._refuse(event, "OC107", f"'{tag}' is an explicit tag", hint)
            self._mark("odd")

    def _alias(self, event: AliasEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        self._refuse(event, "OC105", f"'*{event.anchor}' is an alias", "write the value out")
        self._mark("gone")
        self._put(None)

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        frame: _Mapping | list[Any] = _Mapping() if event.__class__ is MappingStartEvent else []
        if not self._frames:
            self._hold()
        self._frames.append(frame)
        if len(self._frames) > MAX_DEPTH:
            self._stop(event, "OC112", f"nested more than {MAX_DEPTH} deep", "flatten it")
        if len(self._frames) > 1 and isinstance(above := self._frames[-2], _Mapping) and above.expects_key:
            what = "a mapping" if isinstance(frame, _Mapping) else "a list"
            hint = 'keys are text; an expression is written in quotes, as in "${{ … }}"'
            self._refuse(event, "OC109", f"{what} as a key", hint)
            self._mark("open")

    def _close(self, event: CollectionEndEvent) -> None:
        frame = self._frames.pop()
        self._put(frame.value if isinstance(frame, _Mapping) else frame)

    def _scalar(self, event: ScalarEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        text: str = event.value
        if len(text) * 4 > MAX_SCALAR and len(text.encode()) > MAX_SCALAR:
            self._stop(event, "OC115", f"a text of more than {MAX_SCALAR // 1024} KiB", "put it into a file of its own")
        if event.style == '"' and "\0" in text:
            self._refuse(event, "OC103", "a zero byte in a text", "remove the escape; no program takes it")
        value: Scalar = text
        if event.implicit[0]:
            resolved = resolve(text)
            if isinstance(resolved, Refused):
                self._refuse(event, resolved.code, resolved.message, resolved.hint)
                self._mark("odd")
            else:
                value = resolved
                if resolved is None:
                    self.nothings = True
        if not self._frames:
            if text == "" and event.implicit[0]:
                self.documents.append(NOTHING)
            else:
                self._hold()
                self.documents.append(value)
            return
        frame = self._frames[-1]
        if isinstance(frame, _Mapping) and frame.expects_key:
            frame.key = self._key(frame, value, event)
            frame.expects_key = False
        else:
            self._put(value)

    def _put(self, value: Value) -> None:
        """The value into the collection that is open, as a key that is none where a key is expected."""
        if not self._frames:
            self.documents.append(value)
            return
        frame = self._frames[-1]
        if isinstance(frame, list):
            frame.append(value)
        elif not frame.expects_key:
            if frame.key is not None:
                frame.value[frame.key] = value
            frame.expects_key = True
        else:
            frame.key = None
            frame.expects_key = False

    def _key(self, frame: _Mapping, value: Scalar, event: ScalarEvent) -> str | None:
        if not isinstance(value, str):
            shown = event.value or "an empty key"
            what = {bool: "a truth value", type(None): "nothing"}.get(type(value), "a number")
            hint = f'keys are text; write "{event.value}"' if event.value else "keys are text"
            self._refuse(event, "OC109", f"{shown} as a key is {what}", hint)
            self._mark("open")
            return None
        if value == "<<" and event.implicit[0]:
            self._refuse(event, "OC106", "'<<' is a merge key", "write the fields out")
            self._mark("open")
            return None
        first = frame.keys.setdefault(value, event)
        if first is not event:
            there = self._span(first)
            message = f"'{_short(value)}' is given twice; the first is at line {there.line}, column {there.column}"
            related = (Related(there, "the first one"),)
            begins = len(self._frames) == 1 and value in BEGINNING
            hint = _NO_LINE_BETWEEN if begins else "remove one of them"
            self._add(Diagnostic(self._span(event), "OC108", message, hint, related=related))
            self.marks.append(Mark(len(self.documents), (*self._here()[0], value), "twice"))
        return value

    def _mark(self, sort: Literal["gone", "open", "odd"]) -> None:
        path, has_key = self._here()
        self.marks.append(Mark(len(self.documents), path, sort if has_key else "open"))

    def _here(self) -> tuple[tuple[str | int, ...], bool]:
        """The path of what is read now; (of its mapping, False) where that is a key, or stands under none."""
        path: list[str | int] = []
        for frame in self._frames:
            if isinstance(frame, list):
                path.append(len(frame))
            elif frame.expects_key or frame.key is None:
                return tuple(path), False
            else:
                path.append(frame.key)
        return tuple(path), True

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        if start.index == end.index:  # where a value is missing, and where a collection begins without a bracket
            return Span(self.file, start.line + 1, start.column + 1, start.line + 1, start.column + 2)
        return Span(self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _refuse(self, event: Any, code: str, message: str, hint: str) -> None:
        self._add(Diagnostic(self._span(event), code, message, hint))

    def _stop(self, event: Any, code: str, message: str, hint: str) -> None:
        if not self.stopped:
            self._add(_the_last(Diagnostic(self._span(event), code, message, hint)))
            self.stopped = True

    def _add(self, finding: Diagnostic) -> None:
        if not self.stopped:
            self.stopped = len(self.findings) + 1 >= MAX_FINDINGS
            self.findings.append(_the_last(finding) if self.stopped else finding)


class _OfTheRest(_Reading):
    """What is read of a file some of whose bytes are refused: where one of them stood, nobody knows what was meant."""

    def _scalar(self, event: ScalarEvent) -> None:
        if INSTEAD in event.value:
            self._mark("odd")
        super()._scalar(event)

    def _key(self, frame: _Mapping, value: Scalar, event: ScalarEvent) -> str | None:
        return super()._key(frame, value, event) if INSTEAD not in event.value else None


def _the_last(finding: Diagnostic) -> Diagnostic:
    hint = f"{finding.hint}; the rest of the file was not read" if finding.hint else "the rest of the file was not read"
    return replace(finding, hint=finding.hint if _NOT_READ in finding.hint else hint)


_NOT_READ = "was not read"
BEGINNING = frozenset({"apiVersion", "kind"})
"""The keys with which a document begins."""
_NO_LINE_BETWEEN = "write a line '---' between two documents; within one, remove one of them"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
