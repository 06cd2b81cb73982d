"""A guard against removing too much at once: a bad merge or a wrong `include` must not empty a fleet."""

import math
from collections.abc import Iterator, Mapping

from engine.catalog import Catalog
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document
from schemas.span import start_of

ALWAYS_ALLOWED = 5
"""So many documents of a kind may go in any commit, whatever the share."""


def removed_too_much(before: Catalog, after: Catalog) -> tuple[Diagnostic, ...]:
    """Findings for each kind of which a commit removes more than max(5, maxDeletes), and for protected documents.

    Judged by the settings of the commit in force, so that a commit cannot lift the guard for itself.
    """
    prune = before.project.spec.prune
    return (*_protected(before, after), *_shares(before, after, prune.max_deletes))


def _gone(before: Mapping[str, Document], after: Mapping[str, Document]) -> frozenset[str]:
    renamed = {previous for document in after.values() for previous in document.metadata.previous_names}
    return frozenset(before) - frozenset(after) - renamed


def _shares(before: Catalog, after: Catalog, share: int | str) -> Iterator[Diagnostic]:
    remaining = after.by_kind
    for kind, documents in before.by_kind.items():
        gone = _gone(documents, remaining[kind])
        allowed = max(ALWAYS_ALLOWED, _count(share, len(documents)))
        if len(gone) > allowed:
            yield Diagnostic(
                start_of("opsconductor.yaml"),
                "OC340",
                f"this commit removes {len(gone)} of {len(documents)} documents of kind {kind}; {allowed} are allowed",
                hint="if it is meant, run 'opsconductor accept COMMIT' on the server, or raise prune.maxDeletes first",
            )


def _protected(before: Catalog, after: Catalog) -> Iterator[Diagnostic]:
    remaining = after.by_kind
    for identity in before.project.spec.prune.protect:
        kind, _, name = identity.partition("/")
        if name in before.by_kind.get(kind, {}) and name in _gone(before.by_kind[kind], remaining[kind]):
            yield Diagnostic(
                start_of("opsconductor.yaml"),
                "OC341",
                f"this commit removes {identity}, which prune.protect keeps",
                hint="take it off prune.protect in a commit of its own first",
            )


def _count(share: int | str, total: int) -> int:
    if isinstance(share, int):
        return share
    return math.floor(total * int(share.rstrip("%")) / 100)
