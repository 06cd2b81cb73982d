"""A document as lines of YAML, each with a number, and a link where it names another document. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import hiding
from engine.leaks import describes_a_secret, holds_no_secret, names_a_secret, stands_for_a_secret
from engine.status.yamltext import one_line

MASK = "•••"
_WIDTH = 100
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line is `text` and then `named`, which leads to `href` where that is not empty."""

    number: int
    text: str
    named: str = ""
    href: str = ""


def lines(document: Mapping[str, Any], links: Mapping[Path, str]) -> tuple[Line, ...]:
    """The document with a fact a line. `links` are addresses by the paths of the values that name something.

    Texts of several lines are written as such, lists of short values on one line.
    """
    found = _mapping(document, (), 0, links)
    return tuple(Line(number, *parts) for number, parts in enumerate(found, start=1))


def masked(value: Any, name: str = "") -> Any:
    """The value without what looks like a secret in plain text: whoever reads pages may not read the repository."""
    match value:
        case Mapping():
            held = names_a_secret(name) and not holds_no_secret(value)
            return {
                key: masked(inner, name if held and not describes_a_secret(str(key)) else str(key))
                for key, inner in value.items()
            }
        case list() | tuple():
            return [masked(inner, name) for inner in value]
        case str() if names_a_secret(name) and not stands_for_a_secret(value):
            return MASK
        case str():
            return hiding.masked(value, MASK)
        case _:
            return value


_Parts = tuple[str, str, str]
"""Text, what is named, where that leads."""


def _mapping(
    value: Mapping[str, Any], path: Path, indent: int, links: Mapping[Path, str], lead: str = ""
) -> Iterator[_Parts]:
    """`lead` stands before the first key: the dash of an item."""
    for key, inner in value.items():
        head = f"{lead or ' ' * indent}{one_line(str(key))}:"
        yield from _value(head, inner, (*path, key), indent, links)
        lead = ""


def _value(head: str, value: Any, path: Path, indent: int, links: Mapping[Path, str]) -> Iterator[_Parts]:
    match value:
        case Mapping() if value:
            yield head, "", ""
            yield from _mapping(value, path, indent + 2, links)
        case list() | tuple() if value and not _is_short(value, path, links):
            yield head, "", ""
            yield from _items(value, path, indent + 2, links)
        case str() if _is_script(value):
            ending = "" if value.endswith("\n") else "-"
            yield f"{head} |{ending}", "", ""
            for row in value.removesuffix("\n").split("\n"):
                yield " " * (indent + 2) + row if row else "", "", ""
        case _:
            text = one_line(value)
            yield (f"{head} ", text, links[path]) if path in links else (f"{head} {text}", "", "")


def _is_script(text: str) -> bool:
    """Whether it has several lines that may stand as they are."""
    if "\n" not in text.rstrip("\n") or text[0].isspace() or text.endswith("\n\n"):
        return False
    return all(row.replace("\t", " ").isprintable() for row in text.split("\n"))


def _items(values: Sequence[Any], path: Path, indent: int, links: Mapping[Path, str]) -> Iterator[_Parts]:
    dash = " " * indent + "- "
    for index, inner in enumerate(values):
        here = (*path, index)
        if isinstance(inner, Mapping) and inner:
            yield from _mapping(inner, here, indent + 2, links, dash)
        else:
            yield from _value(dash[:-1], inner, here, indent, links)


def _is_short(values: Sequence[Any], path: Path, links: Mapping[Path, str]) -> bool:
    if any(isinstance(inner, Mapping | list | tuple) for inner in values):
        return False
    linked = any((*path, index) in links for index in range(len(values)))
    return not linked and len(one_line(list(values))) <= _WIDTH and not any("\n" in str(inner) for inner in values)
