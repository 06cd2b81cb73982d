"""All cross-checks, in one list."""

from collections.abc import Iterable, Sequence

from engine.catalog import Catalog
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored


def about_definitions(catalog: Catalog, definitions: Sequence[Authored], *, complete: bool) -> list[Diagnostic]:
    return []


def about_acts(catalog: Catalog, acts: Iterable[Authored], *, complete: bool) -> list[Diagnostic]:
    return []
