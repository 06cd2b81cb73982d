"""A page: an address, a template, and the facts that both it and the JSON beside it are made of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from opsconductor.dashboard.sources import Data, Sources


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asks a page for: the parts of its path, and its query, of which each name counts once."""

    path: Mapping[str, str]
    query: Mapping[str, str]


class UnfitQuery(Exception):  # noqa: N818 - named after the query
    """The query cannot be answered; the text says what it should be."""


@dataclass(frozen=True, slots=True)
class Page:
    """`path` as in `/runs/{run}`; its JSON is below `/api/v1` at `api`, or at the same path.

    `load` gives None where there is no such thing, and raises UnfitQuery. What it gives has `at`, the instant that
    the facts are of.
    """

    path: str
    template: str
    load: Callable[[Sources, Asked], Awaitable[Data | None]]
    api: str | None = None
    name: str | None = None
    """What the navigation calls it; None: it is reached from other pages."""
