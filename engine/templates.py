"""Jinja templates as text: read, and never compiled or rendered here, since compiling evaluates constants."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from schemas.guard import MAX_FINDINGS

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_TOO_DEEP = "a template that nests too deeply"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a template. `line` counts from 1; `word` is what is at fault there, if it can be told."""

    message: str
    hint: str
    line: int
    word: str = ""
    unknown: bool = False
    """Whether the fault is a name that nobody has given a value."""


def problems_of(text: str, known: frozenset[str], what: str = "a message") -> tuple[Problem, ...]:
    """Why a template of `what` cannot be used where only the `known` names have values; nothing where it can."""
    return tuple(islice(lacking(problems_in(text), known, what), MAX_FINDINGS))


def lacking(found: Iterable[Problem], known: frozenset[str], what: str) -> Iterator[Problem]:
    """Of the `problems_in` a template, those that are some where only the `known` names have values."""
    hint = f"there are {', '.join(sorted(known))}"
    for one in found:
        if not one.unknown:
            yield one
        elif one.word not in known:
            yield replace(one, message=f"there is no '{one.word}' in {what}", hint=hint)


def problems_in(text: str) -> tuple[Problem, ...]:
    """What is wrong with a template, and every name that it needs a value for, as one that is not known."""
    from jinja2 import TemplateSyntaxError

    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        return (Problem(f"not a template: {(error.message or 'it cannot be read').rstrip('.')}", "", error.lineno),)
    except RecursionError:
        return (Problem(_TOO_DEEP, "make it simpler", 1),)
    except ValueError:  # of thousands of digits
        return (Problem("not a template: a number that is too long", "write it as text", 1),)
    return tuple(dict.fromkeys(_walked(environment, tree)))


def _walked(environment: "ImmutableSandboxedEnvironment", tree: "nodes.Template") -> Iterator[Problem]:
    """Names that are set anywhere in the template count as known everywhere in it."""
    from jinja2 import nodes

    every = below(tree)
    given = set(environment.globals)
    given |= {node.name for node in every if isinstance(node, nodes.Name) and node.ctx != "load"}
    given |= {node.name for node in every if isinstance(node, nodes.Macro)} | {"loop", "caller", "varargs", "kwargs"}
    for node in every:
        yield from _dangers(node)
        match node:
            case nodes.Name(name=name) if name not in given:
                yield Problem(f"it needs '{name}'", "", node.lineno, name, unknown=True)
            case nodes.Filter(name=name) if name not in environment.filters:
                yield Problem(f"there is no filter '{name}'", "Jinja's own filters are there", node.lineno, name)
            case nodes.Test(name=name) if name not in environment.tests:
                yield Problem(f"there is no test '{name}'", "Jinja's own tests are there", node.lineno, name)
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                word = {"Include": "include", "Extends": "extends"}.get(type(node).__name__, "import")
                message = f"'{word}': a template is alone, and reads no other"
                yield Problem(message, "write it out here", node.lineno, word)


MOST = 10_000
"""The largest number that a template may count to, or make a text wide by."""
_MOST_PRODUCT = 100_000
_WIDE = re.compile(r"\d{5,}")
_SMALLER = f"write a number up to {MOST:,}, or have a script make the file and put it by sftp.upload"
_GROW = frozenset(
    {"range", "lipsum", "batch", "slice", "center", "indent", "format", "round", "wordwrap"}
    | {"ljust", "rjust", "zfill", "expandtabs", "to_bytes"}
)
"""Filters, functions and methods of texts that make as much as a number says. To others it is a value, as a port is."""


def _dangers(node: "nodes.Node") -> Iterator[Problem]:
    """What reaches into Python, or makes much out of little. Rendering is bounded too; this says it to the author."""
    from jinja2 import nodes

    match node:
        case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))) if name.startswith("_"):
            yield Problem(f"'{name[:40]}': names that begin with '_' are not for templates", "", node.lineno, name)
        case nodes.Filter(name="attr"):
            hint = "write the name after a dot"
            yield Problem("the filter 'attr' is not for templates", hint, node.lineno, "attr")
        case nodes.Pow():
            yield Problem("'**' is not for templates", "write the number itself", node.lineno, "**")
        case nodes.Div(right=nodes.Const(value=0)) | nodes.FloorDiv(right=nodes.Const(value=0)):
            yield Problem("a division by zero, which always fails", "divide by something else", node.lineno, "/")
        case nodes.Mul() if _repeats(node):
            hint = f"factors of up to {_MOST_PRODUCT:,} together will do"
            yield Problem("a product with large factors", hint, node.lineno, "*")
        case nodes.Call() | nodes.Filter() if any(map(_is_large, (*node.args, *(pair.value for pair in node.kwargs)))):
            name = node.name if isinstance(node, nodes.Filter) else _called(node)
            if name in _GROW:
                yield Problem(f"'{name}' of a number over {MOST:,}", _SMALLER, node.lineno, name)
        case nodes.Mod(left=nodes.Const(value=str(form))) if _WIDE.search(form):
            yield Problem("a width that is too large", _SMALLER, node.lineno)
        case nodes.Filter(name="format", node=nodes.Const(value=str(form))) if _WIDE.search(form):
            yield Problem("a width that is too large", _SMALLER, node.lineno)
        case nodes.Getattr(node=nodes.Const(value=str(form)), attr="format" | "format_map") if _WIDE.search(form):
            yield Problem("a width that is too large", _SMALLER, node.lineno)


def _called(call: "nodes.Call") -> str:
    """The name of the function or of the method; empty where it has none."""
    return str(getattr(call.node, "name", "") or getattr(call.node, "attr", ""))


def _repeats(node: "nodes.Mul") -> bool:
    """Whether the numbers of a product are together too large."""
    from jinja2 import nodes

    product = 1
    waiting: list[nodes.Node] = [node]
    while waiting and product <= _MOST_PRODUCT:
        match waiting.pop():
            case nodes.Mul(left=left, right=right):
                waiting += [left, right]
            case nodes.Const(value=int(number)) if number > 1:
                product *= number
    return product > _MOST_PRODUCT


def _is_large(node: "nodes.Node") -> bool:
    from jinja2 import nodes

    match node:
        case nodes.Const(value=int(number)):
            return abs(number) > MOST
        case nodes.Neg(node=below):
            return _is_large(below)
        case _:
            return False


def switches_escaping(text: str) -> Iterator[Problem]:
    """Where a template of markup wants what fills it as markup too, which it is in no case: rendering refuses it."""
    from jinja2 import TemplateSyntaxError, nodes

    try:
        found = list(parsed(text).find_all(nodes.EvalContextModifier))
    except (TemplateSyntaxError, RecursionError, ValueError):
        return  # told as such
    for node in found:
        hint = "leave 'autoescape' out, and write the markup itself in the template"
        yield Problem("it switches 'autoescape': what fills it is markup in no case", hint, node.lineno, "autoescape")


def parsed(text: str) -> "nodes.Template":
    """The template as a tree. Raises TemplateSyntaxError, RecursionError and ValueError."""
    return _environment().parse(text)


def below(tree: "nodes.Node") -> "list[nodes.Node]":
    """All nodes, in order, by a stack of our own."""
    found: list[nodes.Node] = []
    waiting: list[nodes.Node] = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(list(node.iter_child_nodes()))
    return found


@lru_cache(maxsize=1)
def _environment() -> "ImmutableSandboxedEnvironment":
    # Imported where the first template is met: it takes a while, and most repositories have none.
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(autoescape=True, cache_size=0)
