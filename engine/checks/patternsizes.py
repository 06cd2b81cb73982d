"""The patterns in a commit's schemas, before any is compiled: together they may take a bounded time and memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.checks.memory import remembered
from engine.checks.scope import Path
from engine.patterns import MAX_TOGETHER, compiling
from engine.userschema import SMALLER, TOO_LARGE, patterns_in
from engine.vendored import Library
from schemas.bugs import bug
from schemas.diagnostic import Diagnostic
from schemas.job import Job
from schemas.library import LibraryStep
from schemas.reader import Authored
from schemas.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Measured:
    """`beyond` is the first pattern with which those of all documents are too large; None where none is.

    `bugs` are said of documents in which measuring met one of ours. What else they hold is checked all the same: no
    pattern is compiled whose own size is not known.
    """

    beyond: Diagnostic | None
    bugs: tuple[Diagnostic, ...]


def measured(documents: Iterable[Authored], libraries: Mapping[str, Library]) -> Measured:
    """The patterns of all documents, each counted once."""
    steps = (step for library in libraries.values() for step in (*library.steps.values(), *library.mended))
    known: dict[str, int] = {}
    bugs: list[Diagnostic] = []
    together = 0
    for authored in (*documents, *steps):
        # As `schemas.bugs.answered` does it, which costs too much for each document.
        try:
            sizes = _sizes_of(authored, known)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is said, and the commit refused
            bugs.append(bug("the check 'patterns'", authored.span("metadata", "name"), error))
            continue
        for path, size in sizes:
            together += size
            if together > MAX_TOGETHER:
                message = f"{TOO_LARGE}; nothing else is checked until then"
                return Measured(Diagnostic(authored.span(*path), "OC212", message, SMALLER), tuple(bugs))
    return Measured(None, tuple(bugs))


_Sizes = Sequence[tuple[Path, int]]


def _sizes_of(authored: Authored, known: dict[str, int]) -> _Sizes:
    """Of the patterns that are not known yet."""
    found: list[tuple[Path, int]] = []
    for path, pattern in _patterns_of(authored):
        if pattern not in known:
            known[pattern] = compiling(pattern)
            found.append((path, known[pattern]))
    return found


def _patterns_of(authored: Authored) -> tuple[tuple[Path, str], ...]:
    if not isinstance(authored.document, Job | Workflow | LibraryStep):
        return ()
    return remembered(authored, "patterns", (), lambda: tuple(_in(authored.document)))


def _in(document: object) -> Iterator[tuple[Path, str]]:
    match document:
        case Job() | Workflow():
            schemas: tuple[tuple[Path, Mapping[str, Mapping[str, Any]]], ...] = (
                (("spec", "params"), document.spec.params),
            )
        case LibraryStep():
            schemas = (("spec", "inputs"), document.spec.inputs), (("spec", "outputs"), document.spec.results)
        case _:
            return
    for path, named in schemas:
        for name, schema in named.items():
            yield from (((*path, name, *below), pattern) for below, pattern in patterns_in(schema))
