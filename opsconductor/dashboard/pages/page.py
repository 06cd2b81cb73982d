"""A page: an address, a template, and the facts that both it and the JSON beside it are made of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from opsconductor.dashboard.sources import Data, Sources
from schemas.quantities import format_instant, parse_instant


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asks a page for: the parts of its path, and its query, of which each name counts once."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    base: str = "http://127.0.0.1:8420/"
    """What addresses in what is read elsewhere begin with: the public address, else as this reader sees it."""


class UnfitQuery(Exception):  # noqa: N818 - named after the query
    """The query cannot be answered; the text says what it should be."""


@dataclass(frozen=True, slots=True)
class Page:
    """`path` as in `/runs/{run}`; its JSON is below `/api/v1` at `api`, or at the same path.

    `load` gives None, or raises NoSuchThing with more words, where there is no such thing, and raises UnfitQuery.
    What it gives has `at`, the instant that the facts are of.
    """

    path: str
    template: str
    load: Callable[[Sources, Asked], Awaitable[Data | None]]
    api: str | None = None
    name: str | None = None
    """What the navigation calls it; None: it is reached from other pages."""
    asks: Mapping[str, str] = field(default_factory=dict)
    """What its query may have, each with a sentence: for the description of the API."""
    gives: tuple[str, ...] = ()
    """The names at the top of what it gives, `at` apart; there may be more."""


@dataclass(frozen=True, slots=True)
class File:
    """An address that gives a file, such as a calendar or a picture: no page, and no JSON beside it.

    `load` gives the text, or None where there is no such thing, and raises UnfitQuery.
    """

    path: str
    media_type: str
    load: Callable[[Sources, Asked], Awaitable[str | None]]
    elsewhere: bool = False
    """Whether browsers may show it within pages of other origins, which cannot read it."""


def number_of(query: Mapping[str, str], name: str, default: int) -> int:
    """A number from 1 on. Raises UnfitQuery for anything else."""
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and int(text) > 0):
        raise UnfitQuery(f"'{name}' is a number from 1 on")
    return int(text)


def instant_of(query: Mapping[str, str], name: str, latest: datetime) -> datetime | None:
    """An instant, where the query has it. Raises UnfitQuery for what is none, or later than a page has anything of."""
    text = query.get(name)
    if not text:
        return None
    try:
        found = parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise UnfitQuery(f"'{name}' is an instant, as in 2026-11-21T20:15:00Z") from error
    if found.year < 2000 or found > latest:
        raise UnfitQuery(
            f"'{name}' is an instant from the year 2000 to {format_instant(latest.replace(microsecond=0))}"
        )
    return found
