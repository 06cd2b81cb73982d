"""From the bytes of a file to authored documents, or to findings with their places."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from schemas.diagnostic import Diagnostic, in_order
from schemas.envelope import API_VERSION, Document
from schemas.faults import faults
from schemas.guard import NOTHING, load
from schemas.kinds import ACTS, MODELS, STATUS_KINDS
from schemas.places import Layout, Places
from schemas.span import Span

_NAME_FIELD = re.compile(rb"\bname:[ \t]*[\"']?([a-z0-9][a-z0-9.-]*)")
_KIND_LINE = re.compile(rb"^kind:[ \t]*[\"']?(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Authored:
    """A document as its author wrote it, and where. `index` counts the documents of the file's stream from 0."""

    document: Document
    file: str
    index: int
    places: Places = field(repr=False)

    @property
    def identity(self) -> str:
        return self.document.identity

    @property
    def is_act(self) -> bool:
        return self.document.kind in ACTS

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
    """Names that documents with findings may have: a reference to one of them is not wrong for all we know."""

    def within(self, file: str) -> "ParsedFile":
        """The same content in another file: parsed files are cached by content."""
        if file == self.file:
            return self
        return ParsedFile(
            file,
            tuple(authored.within(file) for authored in self.documents),
            tuple(finding.within(file) for finding in self.findings),
            frozenset(finding.within(file) for finding in self.about_acts),
            self.count,
            self.broken,
        )


def read(data: bytes, file: str) -> ParsedFile:
    """All documents of a file that are well formed, and what is wrong with the others.

    A file that the guard refuses gives no documents at all.
    """
    loaded = load(data, file)
    if loaded.findings:
        about_acts = _if_acts_only(data, loaded.findings)
        return ParsedFile(file, (), in_order(loaded.findings), about_acts, 0, _names_in(data))
    layout = Layout(data)
    documents: list[Authored] = []
    findings: list[Diagnostic] = []
    of_acts: list[Diagnostic] = []
    broken: set[str] = set()
    values = [(index, value) for index, value in enumerate(loaded.documents) if value is not NOTHING]
    for index, value in values:
        places = Places(layout, index)
        read_document = _document(value, places, file)
        if isinstance(read_document, Document):
            documents.append(Authored(read_document, file, index, places))
            continue
        findings += read_document
        if isinstance(value, dict):
            metadata = value.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else None
            broken |= {name} if isinstance(name, str) else set()
            of_acts += read_document if _is_act(value) else ()
    return ParsedFile(file, tuple(documents), in_order(findings), frozenset(of_acts), len(values), frozenset(broken))


def _is_act(value: dict[str, Any]) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind in ACTS


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


def _if_acts_only(data: bytes, findings: Iterable[Diagnostic]) -> frozenset[Diagnostic]:
    """The findings of a file that cannot be parsed, where every `kind:` at a line's start names an act.

    An invalid act never rejects a commit, and an act that is not even YAML is invalid.
    """
    kinds = {kind.decode(errors="replace") for kind in _KIND_LINE.findall(data)}
    return frozenset(findings) if kinds and kinds <= ACTS else frozenset()


def _document(value: Any, places: Places, file: str) -> Document | tuple[Diagnostic, ...]:
    def at(*path: str, key: bool = False) -> Span:
        return places.span(file, path, key=key)

    if not isinstance(value, dict):
        return (Diagnostic(at(), "OC201", "a document is a mapping that begins with apiVersion and kind"),)
    kind = value.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:  # places are looked up for documents with findings only: it takes longer than reading them
        return (_kind_refused(kind, at("kind"), at("kind", key=True)),)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        return faults(error, value, model, places, file)


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
    near = get_close_matches(kind[:80].lower(), folded, n=1)
    hint = f"did you mean '{folded[near[0]]}'?" if near else f"the kinds are {', '.join(MODELS)}"
    return Diagnostic(at, "OC210", f"'{kind[:80]}' is not a kind", hint)
