"""The text of a script for Python: its tree, and what stands in comments and strings."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.scripts.posix_shell.pieces import Refusal
from engine.scripts.python_tree import children, walked

_DEEPEST = 200
"""Nodes of a script within each other."""
_IN_STRING = "set a variable to it before, and read that in the string: x = ${{ ... }}; f'... {x} ...'"
_FORMATTED = frozenset({"JoinedStr", "TemplateStr"})


@dataclass(frozen=True, slots=True)
class Script:
    """What Python reads, and all nodes of it: those of one depth together, each after the one above it."""

    tree: ast.Module
    nodes: list[ast.AST]


def parsed(text: str) -> Script:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    nodes: list[ast.AST] = [tree]
    level: list[ast.AST] = [tree]
    # Not by trial: how deep Python can follow depends on who called.
    for _ in range(_DEEPEST):
        level = [below for node in level for below in children(node)]
        if not level:
            return Script(tree, nodes)
        nodes += level
    raise RecursionError


def tokens_of(text: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(text).readline))


def needs_tokens(text: str, script: Script, names: Mapping[str, int]) -> bool:
    """Whether a hole may be in a comment or a string: the tree has none from there, but those in an f-string."""
    if "__future__" in text:
        return True
    words = {node.id for node in script.nodes if isinstance(node, ast.Name)}
    return not words.issuperset(names) or any(
        isinstance(below, ast.Name) and below.id in names
        for node in script.nodes
        if node.__class__.__name__ in _FORMATTED
        for below in walked(node)
    )


def _spans(text: str, tokens: Sequence[tokenize.TokenInfo]) -> Iterator[tuple[str, int, int]]:
    """Kinds of tokens, with their offsets."""
    lines = [0]
    for line in io.StringIO(text):
        lines.append(lines[-1] + len(line))
    for token in tokens:
        (row, column), (last, end) = token.start, token.end
        if last < len(lines):
            yield tokenize.tok_name[token.type], lines[row - 1] + column, lines[last - 1] + end


def commented_in(text: str, tokens: Sequence[tokenize.TokenInfo], names: Mapping[str, int]) -> frozenset[str]:
    comments = [(start, end) for kind, start, end in _spans(text, tokens) if kind == "COMMENT"]
    return frozenset(_inside(comments, names))


def strings_in(text: str, tokens: Sequence[tokenize.TokenInfo], names: Mapping[str, int]) -> dict[str, Refusal]:
    spans: list[tuple[int, int]] = []
    begun: list[int] = []
    for kind, start, end in _spans(text, tokens):
        if kind == "STRING":
            spans.append((start, end))
        elif kind in ("FSTRING_START", "TSTRING_START"):
            begun.append(start)
        elif kind in ("FSTRING_END", "TSTRING_END") and begun:
            spans.append((begun.pop(), end))
    return {name: Refusal("stands in a string", hint=_IN_STRING) for name in _inside(spans, names)}


def _inside(spans: Sequence[tuple[int, int]], names: Mapping[str, int]) -> Iterator[str]:
    ordered = sorted(names, key=lambda name: names[name])
    places = iter(sorted(spans))
    span = next(places, None)
    for name in ordered:
        while span is not None and span[1] <= names[name]:
            span = next(places, None)
        if span is not None and span[0] <= names[name]:
            yield name
