"""YAML of other tools, as the 1.1 that they read, with anchors and merge keys, within limits; and the lines of values.

Nothing is made of tags but text: no object of any class comes out of a file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from opsconductor.imports.drafts import UnreadableError

Path = tuple[str | int, ...]
MAX_DEPTH = 64
MAX_NODES = 200_000
"""Values, those that aliases repeat counted again."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one of libyaml, where it is there: ten times as fast."""
_CORE = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag of the tool's own, such as `!vault`."""

    tag: str
    text: str


@dataclass
class Loaded:
    """Data of JSON's types, and of `Tagged`; and where each part of it begins."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    """Those above all else."""

    def line(self, *path: str | int) -> int:
        """The line, from 1, of what stands at a path, or of what it would stand in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load(data: bytes, name: str) -> list[Loaded]:
    """The documents of a file. Raises UnreadableError, where it is no YAML or too deep or large."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(name, line, "the file is not UTF-8; save it so") from error
    try:
        _bounded(text, name)
        found = [_Builder(name).document(node) for node in yaml.compose_all(text, _LOADER)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnreadableError(name, line, f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UnreadableError(name, 1, "not YAML: it has characters that YAML does not take") from error
    if found:
        found[0].comments = tuple(_above(text))
    return found


def _bounded(text: str, name: str) -> None:
    """Counted on the events, which come one after another: what makes a tree of them calls itself."""
    depth = nodes = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise UnreadableError(name, line, f"more than {MAX_DEPTH} levels or {MAX_NODES:,} values; divide it")


def _above(text: str) -> Iterator[str]:
    for line in text.splitlines():
        said = line.strip()
        if said.startswith("#"):
            yield said[1:].removeprefix(" ")
        elif said not in ("", "---"):
            return


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.made = Loaded()
        self.constructor = yaml.constructor.SafeConstructor()

    def document(self, node: yaml.Node | None) -> Loaded:
        self.made.data = self.value(node, (), frozenset()) if node is not None else None
        return self.made

    def value(self, node: yaml.Node, path: Path, around: frozenset[int]) -> Any:
        self.count += 1
        line = node.start_mark.line + 1
        if self.count > MAX_NODES or len(path) > MAX_DEPTH or id(node) in around:
            message = "aliases repeat more than can be read, or a value holds itself; write it without anchors"
            raise UnreadableError(self.name, line, message)
        self.made.lines.setdefault(path, line)
        inner = around | {id(node)}
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, inner)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, index), inner) for index, one in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path, around: frozenset[int]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_CORE}merge":
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in sources:
                    if isinstance(source, yaml.MappingNode):
                        for key, value in self.mapping(source, path, around | {id(source)}).items():
                            merged.setdefault(key, value)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise UnreadableError(self.name, key_node.start_mark.line + 1, "a key that is a list or a mapping")
            key = key_node.value
            self.made.lines[(*path, key)] = key_node.start_mark.line + 1
            made[key] = self.value(value_node, (*path, key), around)
        return {**{key: value for key, value in merged.items() if key not in made}, **made}

    def scalar(self, node: yaml.ScalarNode) -> Any:
        if not node.tag.startswith(_CORE):
            return Tagged(node.tag, node.value)
        try:
            value = self.constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            return node.value
        if isinstance(value, date | bytes) or (isinstance(value, float) and not math.isfinite(value)):
            return node.value
        return value
