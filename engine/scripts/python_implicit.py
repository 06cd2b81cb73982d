"""Where values go in a script for Python without a name: by methods that Python calls itself, by functions that have
another name, by `locals()` and `setattr`, and into a generator.

Each such way is a name of its own, which takes all that may go there and gives it to all that may take it.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence

from engine.scripts.python_calls import called
from engine.scripts.python_flows import Flows
from engine.scripts.python_names import ANY_VARIABLE, EVERY_VARIABLE, Function, Names

SENT = "a generator"
RAISED = "an exception"
OPERAND = "an operand"
HANDED = "a function by another name"
HANDED_BACK = "what a function by another name returns"
_OF_EXCEPTIONS = frozenset({"exc_info", "format_exc", "exception", "format_exception"})
_MAKING = frozenset({"__init__", "__call__", "__new__"})
"""Methods whose arguments are those of a call."""


def object_of(name: str) -> str:
    """A name that stands for what Python reads of an object of this class by its methods."""
    return f"an object of {name}"


def takes_arguments(call: ast.Call, names: Names) -> bool:
    """Whether a call may be of any function of the script that is named without being called there."""
    match call.func:
        case ast.Name(id=name):
            return name in names.bound and name not in names.decorating and not names.functions.get(name)
        case ast.Attribute(attr=name):
            return names.is_stored(name) and not names.functions.get(name)
        case ast.Call(func=ast.Name(id=name)):
            return name in names.classes
    return False


def read_by(node: ast.AST, names: Names) -> Iterator[str]:
    """The names whose values an expression may have by such ways."""
    match node:
        case ast.Yield():
            yield SENT
        case ast.Call(func=func):
            name, _ = called(func)
            if name in names.classes:
                yield object_of(name or "")
            if name in _OF_EXCEPTIONS:
                yield RAISED
            if takes_arguments(node, names):
                yield HANDED_BACK


def connect(flows: Flows, names: Names, nodes: Sequence[ast.AST], sources: Iterable[str]) -> None:
    """Adds what goes by such ways; `nodes` are all of the script's tree, `sources` those that hold values at first."""
    for name in [name for name in flows.texts if not name.startswith(EVERY_VARIABLE)] if names.reads_all else ():
        flows.edges[name].append(("text", EVERY_VARIABLE))
    if ANY_VARIABLE in flows.texts:
        read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        for name in sorted(read - {*sources, EVERY_VARIABLE}):
            flows.edges[ANY_VARIABLE].append(("text", name))
            flows.texts[name].append(None)
            flows.unlisted.add(name)
            flows.otherwise.add(name)
    _go_back(flows)
    for function in names.handed:
        _take(flows, names, function, HANDED)
        flows.edges[names.result(function)].append(("copy", HANDED_BACK))
    for name, bases in names.derived:
        for base in bases:
            flows.edges[object_of(base)].append(("text", object_of(name)))
    operated = False
    for name, function in names.implicit:
        flows.edges[names.result(function)].append(("text", object_of(name)))
        if isinstance(function, ast.Lambda) or function.name in _MAKING or len(function.args.args) < 2:
            continue
        _take(flows, names, function, OPERAND)
        operated = True
    for source in sources if operated else ():
        flows.edges[source].append(("text", OPERAND))


def _go_back(flows: Flows) -> None:
    """What is put into an object under one name is in it under each other: after `b = a; b.append(x)` a holds x."""
    waiting = sorted(flows.changed)
    seen = {*waiting}
    for name in waiting:
        for other in flows.aliases.get(name, ()):
            flows.edges[name].append(("copy", other))
            flows.texts[other].append(None)
            if other not in seen:
                seen.add(other)
                waiting.append(other)


def _take(flows: Flows, names: Names, function: Function, source: str) -> None:
    """All parameters of a function take what the source holds."""
    given = function.args
    for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if argument is not None:
            parameter = names.parameter(function, argument)
            flows.texts[parameter].append(None)
            flows.unlisted.add(parameter)
            flows.otherwise.add(parameter)
            flows.edges[source].append(("copy", parameter))
