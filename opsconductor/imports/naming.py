"""Names of documents, made from names and commands of other tools: the same input, the same names."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_MOST = 63
_OTHER = re.compile(r"[^a-z0-9.-]+", re.ASCII)
_ENDS = ".-"
_RUNS = re.compile(r"-{2,}")
_NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)


def digest(*texts: str) -> str:
    """A short name of texts: six hexadecimal digits."""
    return hashlib.sha256("\0".join(texts).encode(errors="replace")).hexdigest()[:6]


def slug(text: str, otherwise: str = "unnamed") -> str:
    """The text as a name of a document; `otherwise`, with a digest of it, where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    made = _RUNS.sub("-", _OTHER.sub("-", plain)).strip(_ENDS)
    if not made:
        made = f"{otherwise}-{digest(text)}" if text.strip() else otherwise
    if len(made) > _MOST:
        made = f"{made[: _MOST - 7].rstrip(_ENDS)}-{digest(text)}"
    return made


def identifier(text: str) -> str:
    """The text as a name that expressions can read."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    made = _NO_IDENTIFIER.sub("_", plain).strip("_") or f"value_{digest(text)}"
    made = made if not made[0].isdecimal() else f"_{made}"
    return f"{made}_" if made in ("in", "true", "false", "null") else made[:_MOST]


@dataclass
class Names:
    """Names that were given out: each once."""

    taken: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    """How far the numbers went: thousands of one name would be counted through each time."""
    shared: frozenset[str] = frozenset()
    """Names that several want: none of them has it bare, or whoever came first next time would take its history."""

    @classmethod
    def wanted(cls, names: Iterable[str]) -> "Names":
        """For these, which are all that will be asked for."""
        counts = Counter(map(slug, names))
        return cls(shared=frozenset(name for name, count in counts.items() if count > 1))

    def unique(self, wanted: str, *of: str) -> str:
        """The name itself, or with a digest of what it is `of` where others want it: no number, which would move."""
        name = slug(wanted)
        if name in self.taken or name in self.shared:
            tail = f"-{digest(*of)}"
            name = f"{name[: _MOST - len(tail) - 3].rstrip(_ENDS)}{tail}"
            first, number = name, self.counts.get(name, 1)
            while name in self.taken:
                number += 1
                name = f"{first}-{number}"
            self.counts[first] = number
        self.taken.add(name)
        return name
