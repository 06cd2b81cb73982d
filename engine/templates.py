"""Jinja templates as text: read, and never compiled or rendered here, since compiling evaluates constants."""

from collections.abc import Iterator
from dataclasses import dataclass
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


def problems_of(text: str, known: frozenset[str]) -> tuple[Problem, ...]:
    """Why a template cannot be used where only the `known` names have values; nothing where it can."""
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
    return tuple(islice(dict.fromkeys(_walked(environment, tree, known)), MAX_FINDINGS))


def _walked(
    environment: "ImmutableSandboxedEnvironment", tree: "nodes.Template", known: frozenset[str]
) -> Iterator[Problem]:
    """Names that are set anywhere in the template count as known everywhere in it."""
    from jinja2 import nodes

    every = _below(tree)
    given = known | set(environment.globals)
    given |= {node.name for node in every if isinstance(node, nodes.Name) and node.ctx != "load"}
    given |= {node.name for node in every if isinstance(node, nodes.Macro)} | {"loop", "caller", "varargs", "kwargs"}
    for node in every:
        match node:
            case nodes.Name(name=name) if name not in given:
                hint = f"there are {', '.join(sorted(known))}"
                yield Problem(f"there is no '{name}' in a message", hint, node.lineno, name, unknown=True)
            case nodes.Filter(name=name) if name not in environment.filters:
                yield Problem(f"there is no filter '{name}'", "Jinja's own filters are there", node.lineno, name)
            case nodes.Test(name=name) if name not in environment.tests:
                yield Problem(f"there is no test '{name}'", "Jinja's own tests are there", node.lineno, name)
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                word = {"Include": "include", "Extends": "extends"}.get(type(node).__name__, "import")
                message = f"'{word}': a template is alone, and reads no other"
                yield Problem(message, "write it out here", node.lineno, word)


def _below(tree: "nodes.Template") -> "list[nodes.Node]":
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
