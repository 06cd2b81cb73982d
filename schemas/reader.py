"""From the bytes of a file to authored documents, or to findings with their places."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from schemas.bugs import bug
from schemas.diagnostic import Diagnostic, in_order
from schemas.envelope import API_VERSION, Document
from schemas.faults import Fault, described, located, name_like
from schemas.fields import Fields, nothings
from schemas.guard import BEGINNING, MAX_FINDINGS, NOTHING, Loaded, Mark, load
from schemas.guesses import Names
from schemas.kinds import ACTS, MODELS, STATUS_KINDS
from schemas.mending import Hole, mended
from schemas.places import Layout, Places
from schemas.span import Span, start_of
from schemas.steps import StepType
from schemas.steps.declared import NONE

ANY_KIND = "*"
_METADATA = ("metadata",)
_NAME_FIELD = re.compile(rb"\bname[\"']?\s*:\s*[\"']?([a-z0-9][a-z0-9.-]*)")
_KIND_LINE = re.compile(rb"^kind[ \t]*:[ \t]*[\"']?(\w*)", re.MULTILINE)
_BETWEEN = re.compile(rb"^---[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_SAYS_SOMETHING = re.compile(rb"^[ \t]*[^\s#]", re.MULTILINE)
_PLAIN_LINE = re.compile(rb"[ \t#]|[A-Za-z]\w*[ \t]*:|\s*$")


@dataclass(frozen=True, slots=True, eq=False)
class Authored:
    """A document as its author wrote it, and where. `index` counts the documents of the file's stream from 0.

    Where there are `holes` it is what could be made of one that is at fault.
    """

    document: Document
    file: str
    index: int
    places: Places = field(repr=False)
    holes: tuple[Hole, ...] = ()
    plugged: Mapping[str, StepType] = field(default_factory=lambda: NONE, repr=False)
    """The step types of plug-ins that it may use, by name."""
    answers: dict[str, tuple[tuple[object, ...], object]] = field(default_factory=dict, init=False, repr=False)
    """What has been asked about it (`engine.checks.memory`); lost with it."""

    def __reduce__(self) -> tuple[type["Authored"], tuple[object, ...]]:
        plugged = () if self.plugged is NONE else (dict(self.plugged),)
        return Authored, (self.document, self.file, self.index, self.places, self.holes, *plugged)

    @property
    def identity(self) -> str:
        return self.document.identity

    @property
    def is_act(self) -> bool:
        return self.document.kind in ACTS

    def is_at_fault(self, *path: str) -> bool:
        """Whether what stands at a path, within it, or around it could not be read."""
        return any(hole.path[: len(path)] == path[: len(hole.path)] for hole in self.holes)

    def span(self, *path: str | int, key: bool = False) -> Span:
        """The place of the value at a camelCase path, or of its key; the nearest ancestor that exists."""
        return self.places.span(self.file, path, key=key)

    def span_within(self, *path: str | int, offset: int, length: int) -> Span:
        """The place of a part of a text."""
        return self.places.span_within(self.file, path, offset, length)

    def within(self, file: str) -> "Authored":
        return replace(self, file=file)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a file holds. `about_acts` are those of its `findings` that concern acts and never reject a commit."""

    file: str
    documents: tuple[Authored, ...]
    findings: tuple[Diagnostic, ...]
    about_acts: frozenset[Diagnostic] = frozenset()
    count: int = 0
    """How many documents it holds, those with findings included."""
    broken: frozenset[str] = frozenset()
    """Names that documents may have of which nothing could be made: a reference to one of them is not wrong."""
    broken_kinds: frozenset[str] = frozenset()
    """Their kinds; `ANY_KIND` where one may be of any."""
    mended: tuple[Authored, ...] = ()
    """What could be made of documents that are at fault, or in a file that the guard refuses: never to be used."""
    invalid_acts: tuple[tuple[str, Diagnostic], ...] = ()
    """The acts that are at fault themselves, by the names they give, each with its first error."""
    refused: bytes = field(default=b"", repr=False, compare=False)
    """Its bytes, where it has findings."""

    @property
    def source(self) -> bytes:
        """Its bytes; none where it has neither findings nor documents."""
        return self.refused or next((one.places.layout.data for one in self.documents), b"")

    def within(self, file: str) -> "ParsedFile":
        """The same content in another file: parsed files are cached by content."""
        if file == self.file:
            return self
        return replace(
            self,
            file=file,
            documents=tuple(authored.within(file) for authored in self.documents),
            findings=tuple(finding.within(file) for finding in self.findings),
            about_acts=frozenset(finding.within(file) for finding in self.about_acts),
            mended=tuple(authored.within(file) for authored in self.mended),
            invalid_acts=tuple((name, error.within(file)) for name, error in self.invalid_acts),
        )


def nameless(kind: str) -> str:
    """What stands among the broken names for a document of the kind whose name nobody knows."""
    return f"{kind}/"


def read(data: bytes, file: str) -> ParsedFile:
    """All documents of a file that are well formed, and what is wrong with the others.

    A file that the guard refuses gives no documents at all, nor does one in which reading meets a bug of ours.
    """
    try:
        return _read(data, file)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- it is said, and the file is one that cannot be read
        found = bug("reading the file", start_of(file), error)
        kinds = _kinds_in(data)
        about_acts = frozenset({found} if kinds <= ACTS else ())
        return ParsedFile(file, (), (found,), about_acts, broken=_names_in(data), broken_kinds=kinds)


def _read(data: bytes, file: str) -> ParsedFile:
    loaded = load(data, file)
    said = frozenset(finding.span for finding in loaded.findings)
    reading = _Reading(file, Layout(loaded.instead or data), said, nothings=loaded.nothings)
    values = loaded.remains if loaded.findings else loaded.documents
    for index, value in enumerate(values):
        if value is not NOTHING and not (loaded.findings and reading.is_enough):
            reading.take(value, index, tuple(mark for mark in loaded.marks if mark.index == index))
    return reading.refused(loaded, data) if loaded.findings else reading.result()


class _Reading:
    """The documents of one file, one after another. `said` are places of which the guard has spoken.

    `nothings`: a null stands somewhere in the file.
    """

    def __init__(self, file: str, layout: Layout, said: frozenset[Span], *, nothings: bool) -> None:
        self._nothings = nothings
        self._file = file
        self._layout = layout
        self._said = frozenset((span.line, span.column) for span in said)
        self._count = 0
        self._documents: list[Authored] = []
        self._mended: list[Authored] = []
        self._findings: list[Diagnostic] = []
        self._of_acts: list[Diagnostic] = []
        self._invalid_acts: dict[str, Diagnostic] = {}
        self._marked_acts: dict[str, None] = {}
        self._broken: set[str] = set()
        self._broken_kinds: set[str] = set()

    @property
    def is_enough(self) -> bool:
        """Whether so much was found that nobody waits for more."""
        return len(self._findings) >= MAX_FINDINGS

    def take(self, value: Any, index: int, marks: tuple[Mark, ...]) -> None:
        """One document more, of which the guard has refused what is at `marks`."""
        self._count += 1
        places = Places(self._layout, index)
        model = _model_of(value)
        if marks and model is not None and value["kind"] in ACTS and (name := _name_of(value)) is not None:
            self._marked_acts[name] = None
        if model is None:
            self._unknown(value, places, marks)
            return
        if self._nothings:
            marks = (*marks, *self._without_value(value, model, places, marks))
        try:
            document = model.model_validate(value)
        except ValidationError as error:
            self._at_fault(value, model, places, marks, error)
            return
        if not marks:
            self._documents.append(Authored(document, self._file, index, places))
        else:
            self._mend(value, model, places, marks, None)

    def result(self) -> ParsedFile:
        return ParsedFile(
            self._file,
            tuple(self._documents),
            in_order(self._findings),
            frozenset(self._of_acts),
            self._count,
            frozenset(self._broken),
            frozenset(self._broken_kinds),
            tuple(self._mended),
            tuple(self._invalid_acts.items()),
            self._layout.data if self._findings else b"",
        )

    def refused(self, loaded: Loaded, data: bytes) -> ParsedFile:
        """The file with what the guard found: none of its documents is to be used."""
        seen = sorted((*self._documents, *self._mended), key=lambda authored: authored.index)
        about_acts = loaded.findings if _acts_only(data, seen) else ()
        # Where one begins within another a line between them is missing, and of all but the last nothing is known.
        joined = any(mark.sort == "twice" and mark.path in {(key,) for key in BEGINNING} for mark in loaded.marks)
        if loaded.stopped or joined or any(mark.sort == "twice" and mark.path == _METADATA for mark in loaded.marks):
            self._broken |= _names_in(data) - {authored.document.name for authored in seen}
        if loaded.stopped or joined:
            self._broken_kinds |= _kinds_in(data)
        for name in self._marked_acts:
            self._invalid_acts.setdefault(name, loaded.findings[0])
        return replace(
            self.result(),
            # Beside a definition that is refused an act may only look as if it were at fault.
            invalid_acts=tuple(self._invalid_acts.items()) if about_acts else (),
            documents=(),
            mended=tuple(seen),
            findings=in_order([*loaded.findings, *self._findings]),
            about_acts=frozenset([*about_acts, *self._of_acts]),
            refused=data,
        )

    def _unknown(self, value: Any, places: Places, marks: tuple[Mark, ...]) -> None:
        self._lose(value)
        if not any(mark.path in ((), ("kind",)) for mark in marks):
            self._say(value, (_without_model(value, places, self._file),))

    def _at_fault(
        self, value: Any, model: type[Document], places: Places, marks: tuple[Mark, ...], error: ValidationError
    ) -> None:
        self._say(value, described(located(error, value), value, model, places, self._file, marks))
        self._mend(value, model, places, marks, error)

    def _without_value(
        self, value: dict[str, Any], model: type[Document], places: Places, marks: tuple[Mark, ...]
    ) -> tuple[Mark, ...]:
        """Keys of ours that have no value. The model would take them as left out, which nobody who wrote them meant."""
        refused = {mark.path for mark in marks}
        empty = tuple(path for path in nothings(value, model) if path not in refused)[:MAX_FINDINGS]
        at_key = ((path, places.span(self._file, path, key=True)) for path in empty)
        hint = "give it a value, or remove the key"
        self._say(value, [Diagnostic(key, "OC205", f"'{path[-1]}' has no value", hint) for path, key in at_key])
        return tuple(Mark(places.index, path, "odd") for path in empty)

    def _mend(
        self, value: Any, model: type[Document], places: Places, marks: tuple[Mark, ...], error: ValidationError | None
    ) -> None:
        def say(found: tuple[Fault, ...]) -> None:
            self._say(value, described(found, value, model, places, self._file, marks))

        before = _name_of(value)
        found = mended(value, model, marks, error, say)
        if found is None or found.document.name != before:
            self._lose({**value, "metadata": {"name": before}})
        if found is not None:
            self._mended.append(Authored(found.document, self._file, places.index, places, found.holes))

    def _say(self, value: Any, findings: Iterable[Diagnostic]) -> None:
        new = [found for found in findings if (found.span.line, found.span.column) not in self._said]
        self._findings += new
        if isinstance(value, dict) and isinstance(kind := value.get("kind"), str) and kind in ACTS:
            self._of_acts += new
            error = next((found for found in new if found.severity == "error"), None)
            if error is not None and (name := _name_of(value)) is not None:
                self._invalid_acts.setdefault(name, error)

    def _lose(self, value: Any) -> None:
        """Nothing could be made of it, or not enough to know its name."""
        if not isinstance(value, dict):
            return
        kinds, name = _kinds_meant(value), _name_of(value)
        self._broken_kinds |= kinds
        self._broken |= {name, name_like(name)} if name is not None else set(map(nameless, kinds))


def _model_of(value: Any) -> type[Document] | None:
    kind = value.get("kind") if isinstance(value, dict) else None
    return MODELS.get(kind) if isinstance(kind, str) else None


def _kinds_meant(value: dict[str, Any]) -> frozenset[str]:
    """The kinds that a document may be of once it is mended: its own; of one that is none those that are like it, and
    those that have a field which it has. `ANY_KIND` where nothing tells."""
    said, spec = value.get("kind"), value.get("spec")
    if isinstance(said, str) and said in MODELS:
        return frozenset({said})
    folded = {kind.lower(): kind for kind in MODELS}
    like = get_close_matches(said[:80].lower(), folded, len(folded)) if isinstance(said, str) else []
    fields = spec.keys() if isinstance(spec, dict) else frozenset()
    alike = {kind for kind, model in MODELS.items() if not fields.isdisjoint(Fields(model, value).of(("spec",)))}
    return frozenset(alike.union(folded[one] for one in like)) or frozenset({ANY_KIND})


def _name_of(value: dict[str, Any]) -> str | None:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def _names_in(data: bytes) -> frozenset[str]:
    return frozenset(name.decode() for name in _NAME_FIELD.findall(data))


def plain(text: str) -> Any:
    """The value of one YAML document, as plain data; None for an empty text.

    Raises ValueError, with what is wrong and where, for all that the guard refuses, and for several documents.
    """
    loaded = load(text.encode("utf-8", "surrogatepass"), "")
    if loaded.findings:
        first = loaded.findings[0]
        raise ValueError(f"line {first.span.line}, column {first.span.column}: {first.message}")
    values = [value for value in loaded.documents if value is not NOTHING]
    if len(values) > 1:
        raise ValueError(f"{len(values)} documents where one is expected")
    return values[0] if values else None


def _acts_only(data: bytes, read: Iterable[Authored]) -> bool:
    """Whether a file that the guard refuses is about acts: every `kind:` at a line's start, and all that could be read.

    An invalid act never rejects a commit, and an act that is not even YAML is invalid.
    """
    return _kinds_in(data) <= ACTS and all(authored.is_act for authored in read)


def _kinds_in(data: bytes) -> frozenset[str]:
    """The kinds of documents in a text that may be no YAML; `ANY_KIND` among them where it does not say all of them."""
    parts = [part for part in _BETWEEN.split(data) if _SAYS_SOMETHING.search(part)]
    return frozenset().union(*map(_kinds_shown, parts)) if parts else frozenset({ANY_KIND})


def _kinds_shown(part: bytes) -> frozenset[str]:
    """The kinds that one document, that may be no YAML, says by its look that it is of.

    Only keys that stand plainly at the beginning of a line are looked at. Whatever else stands there, a quote or a
    brace, might be a document of any kind, which must not vanish without a word.
    """
    plain = all(_PLAIN_LINE.match(line) for line in part.splitlines())
    kinds = frozenset(kind.decode(errors="replace") for kind in _KIND_LINE.findall(part))
    return kinds if plain and kinds and kinds <= MODELS.keys() else frozenset({ANY_KIND})


def _without_model(value: Any, places: Places, file: str) -> Diagnostic:
    """Why a value is no document of a kind."""
    if not isinstance(value, dict):
        message = "a document is a mapping that begins with apiVersion and kind"
        return Diagnostic(places.span(file, ()), "OC201", message)
    return _kind_refused(value.get("kind"), places.span(file, ("kind",)), places.span(file, ("kind",), key=True))


def _kind_refused(kind: Any, at: Span, key: Span) -> Diagnostic:
    if kind is None:
        hint = f"begin it with 'apiVersion: {API_VERSION}' and 'kind:' one of {', '.join(MODELS)}"
        return Diagnostic(key, "OC210", "the document has no 'kind'", hint)
    if not isinstance(kind, str):
        return Diagnostic(at, "OC210", "'kind' must be the name of a kind", f"one of {', '.join(MODELS)}")
    if kind in STATUS_KINDS:
        hint = "it belongs on the status branch; remove it here"
        return Diagnostic(at, "OC211", f"documents of kind {kind} are written only by the engine", hint)
    folded = {name.lower(): name for name in MODELS}
    near = Names(folded).near(kind[:80].lower())
    hint = f"did you mean '{folded[near]}'?" if near else f"the kinds are {', '.join(MODELS)}"
    return Diagnostic(at, "OC210", f"'{kind[:80]}' is not a kind", hint)
