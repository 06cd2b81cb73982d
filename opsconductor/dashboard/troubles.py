"""What is said where a page cannot be shown, or is elsewhere, and where its reader may go on from there. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

_TITLES = {400: "That cannot be asked", 404: "Not found", 500: "A fault of OpsConductor's own", 503: "Not now"}
_LISTS = {
    "jobs": ("All jobs", "/kinds/Job"),
    "workflows": ("All workflows", "/kinds/Workflow"),
    "runs": ("The newest runs", "/runs"),
    "targets": ("All targets", "/targets"),
    "kinds": ("All definitions", "/kinds"),
}
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Way:
    """A link to somewhere else: `name` in words, `href` an address of the dashboard."""

    name: str
    href: str


class NoSuchThing(Exception):  # noqa: N818 - named after what is not there
    """There is no such thing; the text says what is not there, and `ways` what is there instead, the nearest first."""

    def __init__(self, said: str, ways: Sequence[Way] = ()) -> None:
        super().__init__(said)
        self.ways = tuple(ways)


class Elsewhere(Exception):  # noqa: N818 - named after where it is
    """What was asked for is at another address of the dashboard: the text is its path and query."""


def title_of(status: int) -> str:
    """A heading for an answer that is not the page."""
    return _TITLES.get(status, "That did not work")


def ways_on(status: int, path: str) -> tuple[Way, ...]:
    """Where to look for what is not at an address; the first page always."""
    first = Way("What goes on now", "/")
    names = [name for name in path.split("/") if name]
    if status != 404 or not names:
        return (first,)
    near = [Way(*_LISTS[names[0]])] if names[0] in _LISTS and len(names) > 1 else []
    sought = names[1] if len(names) > 1 and names[0] in _LISTS else names[-1]
    if len(sought) <= _LONGEST:
        near.append(Way(f"Search the definitions for {sought}", f"/kinds?q={quote(sought, safe='')}"))
    return (*near, first)


def wants_a_page(headers: Mapping[str, str]) -> bool:
    """Whether who asks is a browser that shows what it gets: a program is answered in one line."""
    return "text/html" in headers.get("accept", "")
