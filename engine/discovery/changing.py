"""Changes to the text of a document: comments, and whatever a person wrote, stay as they are.

Where nothing but values of one line become others, they are written in the place of the old ones, and the rest of the
file stays byte by byte as a person wrote it. Any other change is made to the nodes of the file, and the file is written
in its canonical form. What was written is read again: where it would say anything else than was meant, or lacked a
comment, there is no change.
"""

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from engine.canonical import canonical, written
from engine.commented import Collection, Commented, Entry, Node, NotFormatted, Scalar, comments_of, documents_of
from engine.status.yamltext import one_line
from schemas.guard import NOTHING, load

Path = tuple[str, ...]
_QUAD = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
"""An IPv4 address, which is a text to every reader of YAML; people write it without quotes."""
_EDGED = re.compile(r"\A\s|\n\s*\n\Z|\A\n|[^\S\n]\n?\Z")
"""Blanks and empty lines at either end, which a block would not keep: such a text is quoted."""
_NARROW = 96
"""Columns within which a new collection stands on one line."""


@dataclass(frozen=True, slots=True)
class Put:
    """The value at a path is this one; mappings on the way are made where there are none."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Drop:
    """There is nothing at a path, and no empty mapping above it."""

    path: Path


Change = Put | Drop


def new(document: Mapping[str, Any], comment: str) -> bytes:
    """A file with one document, below a comment of one line."""
    root = node_of(document)
    assert isinstance(root, Collection)
    for value in (entry.value for entry in root.entries):
        if isinstance(value, Collection):
            value.flow = False  # a fact a line, so that what is changed later is a line
    text = written([Commented(root, [f"# {comment}"])]).encode()
    if load(text, "").documents != (dict(document),):
        raise NotFormatted("a bug of ours: a document would not say what was meant")
    return canonical(text)


def changed(data: bytes, index: int, changes: Sequence[Change]) -> bytes:
    """The file with changes to its document `index`, counted from 0. Raises NotFormatted where it is to stay."""
    before = load(data, "")
    if before.findings or index >= len(before.documents):
        raise NotFormatted("it has mistakes, which 'opsconductor validate' names")
    if any(isinstance(one, dict) and "sops" in one for one in before.documents):
        raise NotFormatted("it is encrypted in place")
    meant = deepcopy(list(before.documents))
    document = meant[index]
    text = data.decode().replace("\r\n", "\n")
    documents = documents_of(text)
    root = documents[index].root if index < len(documents) else None
    if not isinstance(root, Collection) or not isinstance(document, dict):
        raise NotFormatted("its document is no mapping")
    for change in changes:
        _in_data(document, change)
    spliced = _spliced(data.decode(), root, changes)
    if spliced is not None and _says(spliced, meant, text):
        return spliced
    for change in changes:
        _in_nodes(root, change)
    result = written(documents).encode()
    if not _says(result, meant, text):
        raise NotFormatted("its form cannot be changed without losing something; make the change by hand")
    return canonical(result)


def _says(result: bytes, meant: Sequence[Any], before: str) -> bool:
    """Whether it says what is meant, and has the comments that there were."""
    after = load(result, "")
    same = [one for one in after.documents if one is not NOTHING] == [one for one in meant if one is not NOTHING]
    return not after.findings and same and _said(before) == _said(result.decode().replace("\r\n", "\n"))


def _spliced(text: str, root: Collection, changes: Sequence[Change]) -> bytes | None:
    """The text with each value in the place of the old one; None where that is no matter of values of one line."""
    lines = text.split("\n")
    edits: list[tuple[int, int, str, str]] = []
    for change in changes:
        if not isinstance(change, Put):
            return None
        old, new = _scalar_at(root, change.path), node_of(change.value)
        if old is None or not isinstance(new, Scalar) or "\n" in old.text + new.text:
            return None
        if not old.text or not lines[old.start].startswith(old.text, old.column):
            return None
        edits.append((old.start, old.column, old.text, _alike(new.text, change.value, old.style)))
    for line, column, before, after in sorted(edits, reverse=True):
        lines[line] = lines[line][:column] + after + lines[line][column + len(before) :]
    return "\n".join(lines).encode()


def _alike(text: str, value: object, style: str | None) -> str:
    """A text in quotes keeps them."""
    if not isinstance(value, str) or style not in ("'", '"') or not value.isprintable():
        return text
    return json.dumps(value, ensure_ascii=False) if style == '"' else "'" + value.replace("'", "''") + "'"


def _scalar_at(root: Collection, path: Path) -> Scalar | None:
    node: Node = root
    for key in path:
        entry = _entry(node, key) if isinstance(node, Collection) and node.mapping else None
        if entry is None:
            return None
        node = entry.value
    return node if isinstance(node, Scalar) else None


def node_of(value: Any) -> Node:
    """Data as nodes: several lines as a block, and short collections of scalars on one line."""
    match value:
        case Mapping():
            entries = [Entry(Scalar(one_line(str(key)), None, 0, 0, 0), node_of(one), 0) for key, one in value.items()]
            return Collection(mapping=True, flow=_is_short(value.values(), value), start=0, column=0, entries=entries)
        case list() | tuple():
            entries = [Entry(None, node_of(one), 0) for one in value]
            return Collection(mapping=False, flow=_is_short(value, value), start=0, column=0, entries=entries)
        case str() if "\n" in value and not _EDGED.search(value):
            end = "" if value.endswith("\n") else "-"
            lines = "".join(f"  {line}\n" for line in value.removesuffix("\n").split("\n"))
            return Scalar(f"|{end}\n{lines}", "|", 0, 0, 0)
        case str() if _QUAD.fullmatch(value):
            return Scalar(value, None, 0, 0, 0)
        case _:
            return Scalar(one_line(value), None, 0, 0, 0)


def _is_short(items: Any, whole: Any) -> bool:
    if any(isinstance(one, Mapping | list | tuple) or (isinstance(one, str) and "\n" in one) for one in items):
        return False
    return len(one_line(whole)) <= _NARROW


def _in_data(document: dict[str, Any], change: Change) -> None:
    *above, last = change.path
    if isinstance(change, Put):
        for key in above:
            if not isinstance(document.get(key), dict):
                document[key] = {}
            document = document[key]
        document[last] = change.value
        return
    trail = [document]
    for key in above:
        if not isinstance(trail[-1].get(key), dict):
            return
        trail.append(trail[-1][key])
    trail[-1].pop(last, None)
    for place, key in zip(reversed(trail[:-1]), reversed(above), strict=True):
        if place[key] == {}:
            del place[key]


def _in_nodes(root: Collection, change: Change) -> None:
    *above, last = change.path
    trail = [root]
    for number, key in enumerate(above):
        entry = _entry(trail[-1], key)
        if entry is None or not isinstance(entry.value, Collection) or not entry.value.mapping:
            if isinstance(change, Put):
                value: Any = change.value
                for name in reversed(change.path[number + 1 :]):
                    value = {name: value}
                _put(trail[-1], key, value)
            return
        trail.append(entry.value)
    if isinstance(change, Put):
        _put(trail[-1], last, change.value)
        return
    _remove(trail[-1], last)
    for place, key in zip(reversed(trail[:-1]), reversed(above), strict=True):
        entry = _entry(place, key)
        if entry is not None and isinstance(entry.value, Collection) and not entry.value.entries:
            _remove(place, key)


def _entry(collection: Collection, key: str) -> Entry | None:
    return next((one for one in collection.entries if one.key is not None and _plain(one.key) == key), None)


def _plain(key: Scalar) -> object:
    loaded = load(f"[{key.text}]".encode(), "").documents
    return loaded[0][0] if loaded and isinstance(loaded[0], list) and loaded[0] else None


def _put(collection: Collection, key: str, value: Any) -> None:
    entry = _entry(collection, key)
    if entry is None:
        collection.entries.append(Entry(Scalar(one_line(key), None, 0, 0, 0), node_of(value), collection.column))
        return
    entry.above += _within(entry.value)
    entry.value = node_of(value)


def _remove(collection: Collection, key: str) -> None:
    entry = _entry(collection, key)
    if entry is None:
        return
    collection.entries.remove(entry)
    collection.after += [*entry.above, *entry.beside, *_within(entry.value)]


def _within(node: Node) -> list[str]:
    """The comments in a value."""
    if isinstance(node, Scalar):
        return []
    found = [text for entry in node.entries for text in (*entry.above, *entry.beside, *_within(entry.value))]
    return [text for text in (*found, *node.after) if text]


def _said(text: str) -> list[str]:
    return sorted(comment.text for comment in comments_of(text))
