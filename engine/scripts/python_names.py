"""What a script for Python calls by which name."""

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from engine.scripts.python_calls import called

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
WHOLE_ENVIRONMENT = "$*"
"""Stands for every variable of `env`."""
EVERY_VARIABLE = "$locals"
"""Stands for what `locals()` and the like hold."""
ANY_VARIABLE = "$any"
"""Stands for the variable that `setattr(a, name, x)` and the like set."""
NUMBERS = frozenset({"int", "float", "bool", "len", "hash", "ord", "isinstance", "UUID", "IPv4Address", "IPv4Network"})
"""Calls of whose result no text of the arguments is a part, or one that says nothing else."""


@dataclass
class Names:
    """What a script calls by which name."""

    functions: dict[str, list[Function]] = field(default_factory=lambda: defaultdict(list))
    """By the last part of what is called; of a class, how it begins."""
    modules: set[str] = field(default_factory=set)
    """Names of what is imported."""
    methods: set[int] = field(default_factory=set)
    """Ids of functions whose first parameter is the object, or the class."""
    members: set[int] = field(default_factory=set)
    """Ids of all functions of classes."""
    wrappers: dict[int, list[Function]] = field(default_factory=dict)
    """By the id of a function: those within its decorators, of which one takes its arguments."""
    classes: set[str] = field(default_factory=set)
    enums: set[str] = field(default_factory=set)
    """Classes whose call gives nothing but what they name themselves."""
    env: frozenset[str] = frozenset()
    """Variables of the environment whose values are followed."""
    locals: dict[int, int] = field(default_factory=dict)
    """By the id of a function: the number at the end of the names of its own variables."""
    read: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By the name of an attribute: the variables of which it is read."""
    bound: set[str] = field(default_factory=set)
    """Variables and parameters, as they are written."""
    numbers: frozenset[str] = NUMBERS
    """Of NUMBERS those that the script does not give to something else."""
    handed: list[Function] = field(default_factory=list)
    """Functions that are named where they are not called, and those that are called as objects."""
    decorating: set[str] = field(default_factory=set)
    """Parameters that hold the function that is decorated."""
    implicit: list[tuple[str, Function]] = field(default_factory=list)
    """By class: methods that Python calls itself."""
    derived: list[tuple[str, list[str]]] = field(default_factory=list)
    """Classes, and those that they inherit of."""
    reads_all: bool = False
    """Whether it reads variables by their names: `locals()`."""
    stored: set[str] = field(default_factory=set)
    set_on: set[tuple[str, str]] = field(default_factory=set)
    calls: dict[str, ast.expr] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)
    properties: set[str] = field(default_factory=set)

    def called(self, func: ast.expr) -> list[Function]:
        """The functions of the script that a call may mean."""
        name, base = called(func)
        return self.functions.get(name or "", []) if base not in self.modules else []

    def returning(self, call: ast.Call) -> list[Function]:
        """The functions of the script whose result a call may be; `x.f()` calls no function outside of classes."""
        found = self.called(call.func)
        return [one for one in found if id(one) in self.members] if called(call.func)[1] else found

    def is_stored(self, name: str) -> bool:
        """Whether the script sets an attribute of this name."""
        return name in self.stored

    def parameter(self, function: Function, argument: ast.arg) -> str:
        return f"{argument.arg}@{self.locals[id(function)]}"

    def result(self, function: Function) -> str:
        """A name that stands for what a function returns; of the tree alone, as messages show it."""
        return f"{name_of(function)}()@{self.locals[id(function)]}"

    def any_of(self, function: Function) -> str:
        """A name that stands for all parameters of a function."""
        return f"{name_of(function)}(*)@{self.locals[id(function)]}"


def shown(name: str) -> str:
    """As the author wrote it, in quotes."""
    if name == EVERY_VARIABLE:
        return "what 'locals()' or the like holds"
    if name == ANY_VARIABLE:
        return "a variable whose name is not known here"
    if " " in name:
        return name.partition("@")[0]
    if name == WHOLE_ENVIRONMENT:
        return "what 'os.environ' holds"
    written = name.split("@", maxsplit=1)[0].lstrip(".$")
    match written.partition("("):
        case (function, "(", ")"):
            return f"what '{function}' returns" if function else "what a lambda returns"
        case (function, "(", _):
            return f"an argument of '{function}'" if function else "an argument of a lambda"
    return f"'{written}'"


def name_of(function: Function) -> str:
    return "" if isinstance(function, ast.Lambda) else function.name


def arguments(given: ast.arguments) -> list[ast.arg]:
    """All parameters, in the order in which a call may name them."""
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]
