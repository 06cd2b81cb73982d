"""What an importer makes: documents to be, by file, and remarks about what it could not carry as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.envelope import API_VERSION

MAX_BYTES = 1024 * 1024
"""Of one file that is read."""
MAX_FILES = 2_000
"""That are read at once."""
MAX_DRAFTS = 10_000
"""Files that are made at once."""
_EXPRESSION = "${{"


class UnreadableError(ValueError):
    """The file as a whole is not what it was given as; the message says why. Nothing of it is carried."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.place = Place(file, line)
        self.said = message


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file of the other tool; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """What a person should know: `lost` is not in the documents, anything else is there in another form."""

    place: Place
    what: str
    hint: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """A file of documents to be. `path` is from the folder of the import; `above` and `below` are comments."""

    path: str
    place: Place
    documents: tuple[Mapping[str, Any], ...]
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    if_missing: bool = False
    """Whether any document of its name will do, wherever it lies."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that files of another tool gave."""

    drafts: tuple[Draft, ...]
    remarks: tuple[Remark, ...]


def document(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    description: str = "",
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A document as data, its keys in the order in which people read it. Empty values are left out of `spec`."""
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    if description:
        metadata["description"] = description
    given = {key: value for key, value in spec.items() if value not in (None, "", [], {}, ())}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": given}


def literal(text: str) -> str:
    """The text as a value that is no expression."""
    return text.replace(_EXPRESSION, "${{ '" + _EXPRESSION + "' }}")


def literals(value: Any) -> Any:
    """The same for all texts within data of JSON's types."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, list):
        return [literals(one) for one in value]
    if isinstance(value, dict):
        return {key: literals(one) for key, one in value.items()}
    return value


def has_expression(text: str) -> bool:
    """Whether a script of another tool would be taken for one with expressions."""
    return _EXPRESSION in text


def one_line(text: str, most: int = 200) -> str:
    """The text on one line, cut where it is long, without what no terminal and no document takes."""
    said = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return said if len(said) <= most else f"{said[: most - 1]}…"
