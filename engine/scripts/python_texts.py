"""Where a script for Python takes a value for a number, and fails: each arrives as a text (DEFINITIONS 4)."""

import ast
import re
from collections.abc import Iterator, Sequence, Set
from itertools import zip_longest

from engine.scripts.posix_shell.pieces import Refusal

_CONVERSION = re.compile(r"%(?P<rest>[^a-zA-Z%]*)[hlL]?(?P<type>[a-zA-Z%])")
_OF_NUMBER = frozenset("diouxXeEfFgG")
_COMPUTES = (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Pow)
_COMPARES = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_HINT = "make it a number in the script: write int(...) or float(...) around the expression"


def taken_for_numbers(nodes: Sequence[ast.AST], holes: Set[str]) -> dict[str, Refusal]:
    """The names of `holes` that surely raise a TypeError where they stand, and why."""
    found = ((name, why) for node in nodes for one, why in _wanted(node) for name in _hole(one, holes))
    return {name: Refusal(f"is a text in Python, as every value is, and {why}", hint=_HINT) for name, why in found}


def _hole(node: ast.AST, holes: Set[str]) -> Iterator[str]:
    if isinstance(node, ast.Name) and node.id in holes:
        yield node.id


def _wanted(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Where this node itself takes a number and nothing else."""
    match node:
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod(), right=right):
            yield from _formatted(text, right.elts if isinstance(right, ast.Tuple) else [right])
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _COMPUTES):
            yield from _beside_number(left, right, "the script computes with it and a number")
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, _COMPARES):
            yield from _beside_number(left, right, "the script compares it with a number")
        case ast.Call(func=ast.Name(id="range"), args=args):
            yield from ((one, "'range' takes numbers") for one in args)


def _formatted(text: str, values: Sequence[ast.expr]) -> Iterator[tuple[ast.AST, str]]:
    conversions = [match for match in _CONVERSION.finditer(text) if match["type"] != "%"]
    if any("*" in match["rest"] or "(" in match["rest"] for match in conversions):
        return  # which value is whose is not followed
    for match, value in zip_longest(conversions, values):
        if match is not None and value is not None and match["type"] in _OF_NUMBER:
            yield value, f"'{match[0]}' takes a number"


def _beside_number(left: ast.expr, right: ast.expr, why: str) -> Iterator[tuple[ast.AST, str]]:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, ast.Constant) and isinstance(other.value, int | float):
            yield one, why
