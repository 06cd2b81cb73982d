"""The patterns in a commit's schemas, before any is compiled: together they may take a bounded time and memory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.checks.memory import remembered
from engine.checks.scope import Path
from engine.patterns import MAX_TOGETHER, compiling
from engine.userschema import SMALLER, TOO_LARGE, patterns_in
from engine.vendored import Library
from schemas.diagnostic import Diagnostic
from schemas.job import Job
from schemas.library import LibraryStep
from schemas.reader import Authored
from schemas.workflow import Workflow


def beyond(documents: Iterable[Authored], libraries: Mapping[str, Library]) -> Iterator[Diagnostic]:
    """The first pattern with which those of all documents are too large, each counted once; nothing where none is."""
    steps = (step for library in libraries.values() for step in (*library.steps.values(), *library.mended))
    known: set[str] = set()
    together = 0
    for authored in (*documents, *steps):
        for path, pattern in _patterns_of(authored):
            if pattern not in known:
                known.add(pattern)
                together += compiling(pattern)
            if together > MAX_TOGETHER:
                message = f"{TOO_LARGE}; nothing else is checked until then"
                yield Diagnostic(authored.span(*path), "OC212", message, SMALLER)
                return


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
