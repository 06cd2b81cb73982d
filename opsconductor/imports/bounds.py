"""How much an import reads, computes and writes: what is beyond that is refused whole, and names what to do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconductor.exits import UsageError
from schemas.guard import MAX_DOCUMENTS, MAX_NODES

MAX_TOGETHER = 32 * 1024 * 1024
"""Bytes of all files that are read at once."""
MAX_VALUES = 400_000
"""Keys and values of all documents that are made at once: about half a minute of rendering and checking."""
_WORK = 8_000_000


@dataclass
class Work:
    """What is left of the comparisons that one import makes: of names with patterns, of names with hashed keys."""

    left: int = _WORK

    def match(self, pattern: int, name: int) -> None:
        """Spend what it takes to hold a name against patterns of so many characters together."""
        self.spend(1 + pattern * name // 8)

    def spend(self, comparisons: int) -> None:
        """Raises UsageError where that is more than is left."""
        self.left -= comparisons
        if self.left < 0:
            raise UsageError(
                "the hosts times the patterns and keys that each is compared with are too many for one import; "
                "divide the file, and import the parts"
            )


def too_many(documents: Sequence[Mapping[str, Any]]) -> str | None:
    """Why no file can hold these documents; None where one can, as far as numbers say."""
    if len(documents) > MAX_DOCUMENTS:
        return f"it would be {len(documents):,} documents, and a file has at most {MAX_DOCUMENTS}"
    if _counted(documents, MAX_NODES) > MAX_NODES:
        return f"it would have more than {MAX_NODES:,} keys and values, and a file has no more"
    return None


def check_together(drafts: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Raises UsageError where the documents of all files are more than one import makes."""
    left = MAX_VALUES
    for documents in drafts:
        left -= _counted(documents, left)
        check_count(MAX_VALUES - left)


def check_count(values: int) -> None:
    """Raises UsageError where so many keys and values are more than one import writes."""
    if values > MAX_VALUES:
        raise UsageError(f"more than {MAX_VALUES:,} keys and values to write; import the parts")


def _counted(documents: Sequence[Mapping[str, Any]], most: int) -> int:
    """The keys and values, as a reader of YAML counts nodes; counting ends where there are more than `most`."""
    count, rest = 0, list[Any](documents)
    while rest and count <= most:
        one = rest.pop()
        count += 1
        if isinstance(one, Mapping):
            count += len(one)
            rest += one.values()
        elif isinstance(one, list | tuple):
            rest += one
    return count
