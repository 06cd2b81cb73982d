"""Where a value may stand in a script for Python: the name OC1 stands there instead, bound to a text.

The script is read as Python reads it, with a name for each hole. What a call makes of its arguments goes by the name of
the call; the words of a command that Python starts are asked of the tables for POSIX shells.
"""

import ast
import tokenize
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Self

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE, Refusal
from engine.scripts.posix_shell.programs import is_shell
from engine.scripts.python_calls import (
    EVALUATING,
    EVALUATING_OF,
    OF_COROUTINES,
    OF_SQL,
    SHELL_TEXT,
    STARTING,
    called,
    is_safe,
    refused_in_all,
)
from engine.scripts.python_command_lines import HINT as FIXED
from engine.scripts.python_command_lines import CommandLines, starts_something
from engine.scripts.python_fixed_of_calls import read
from engine.scripts.python_flows import State, begin_of, is_list, is_quote, reached, spoken, stands_bare
from engine.scripts.python_held import Held, is_copy
from engine.scripts.python_implicit import connect, read_by
from engine.scripts.python_names import Names, shown
from engine.scripts.python_processes import Processes, any_runs
from engine.scripts.python_renamed import named
from engine.scripts.python_sources import results_of
from engine.scripts.python_statements import followed, in_order
from engine.scripts.python_text import Script, commented_in, needs_tokens, parsed, strings_in, tokens_of
from engine.scripts.python_texts import taken_for_numbers
from engine.scripts.python_tree import children, texts_of, walked
from engine.scripts.python_words import ARGUMENTS, Line, Part, Words, by_shell

HINT = (
    "give it to a program as a word of its own, as in subprocess.run(['ls', '--', x]); or make it a number, as in "
    "int(x), or one quoted word, as in shlex.quote(x); or give it as input to a program that is written out and takes "
    "data, as in subprocess.run(['tee', 'f'], input=x, text=True)"
)
_IN_ORDER: frozenset[State] = frozenset({"command"})
_QUOTED: frozenset[State] = frozenset({"quoted"})
_BESIDE = frozenset({"env", "cwd", "timeout"})
"""Keywords of what a shell does not read as a command."""
_NO_PLACE = "stands where Python takes no value"


@dataclass(frozen=True, slots=True)
class Sink:
    """What becomes of a value by way of variables."""

    first: str
    last: str
    reason: str
    hint: str = HINT

    def of(self, name: str) -> str:
        """What becomes of the value `name`."""
        first, last = shown(self.first), shown(self.last)
        return f"{last}, which {self.reason}" if first == last else f"{first}, and so {last}, which {self.reason}"


@dataclass(frozen=True, slots=True)
class Values:
    """What is known of the names of a script."""

    states: Mapping[str, frozenset[State]]
    """Of those that hold a value."""
    lists: Set[str]
    """Names that hold nothing but lists that the script writes out."""
    names: Names
    held: Held

    @property
    def modules(self) -> set[str]:
        return self.names.modules

    def results(self, call: ast.Call) -> list[str]:
        """The names of what functions of the script return that this may call."""
        return results_of(call, self.names)

    def read_at(self, node: ast.AST) -> list[str]:
        """The names whose values this node itself has, of those that hold one."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                found = [name]
            case ast.Call():
                found = [*self.results(node), *read_by(node, self.names)]
            case ast.Yield():
                found = [*read_by(node, self.names)]
            case _:
                return []
        return [name for name in found if name in self.states]

    def states_at(self, node: ast.AST) -> frozenset[State]:
        """How the values are that this node itself has."""
        return frozenset(state for name in self.read_at(node) for state in self.states[name])


def readings(text: str, names: Mapping[str, int]) -> dict[str, str | Refusal]:
    """How each name that stands for a hole, and where it stands, is read: the name itself or a refusal."""
    try:
        script = parsed(text)
        tokens = tokens_of(text) if needs_tokens(text, script, names) else []
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        reason = (
            problem.args[0] if problem.args and not isinstance(problem, RecursionError | MemoryError) else "too deep"
        )
        return {name: Refusal(f"stands in a script that is not read as Python: {reason}") for name in names}
    if any(token.string == "__future__" for token in tokens):
        reason = "stands in a script with '__future__', before which nothing may be set"
        return {name: Refusal(reason) for name in names}
    commented = commented_in(text, tokens, names)
    if (reason := refused_in_all(script.nodes)) is not None:
        return {name: name if name in commented else Refusal(reason) for name in names}
    try:
        found = _found(script, names)
    except RecursionError:
        return {name: Refusal("stands in a script that is too deep to be followed") for name in names}
    numbers = taken_for_numbers(script.nodes, names.keys())
    found |= {name: why for name, why in numbers.items() if not _is_refused(found.get(name))}
    found |= strings_in(text, tokens, names)
    found |= {name: name for name in commented}
    return {name: found.get(name, Refusal("stands in a string or within a word")) for name in names}


def _is_refused(found: str | Refusal | None) -> bool:
    """Whether it is, whatever its type."""
    return isinstance(found, Refusal) and found.of_number is None


def sinks(text: str, env: Sequence[str]) -> dict[str, Sink]:
    """Of variables of the environment: those that the script evaluates."""
    try:
        return _sinks(parsed(text), frozenset(), frozenset(env))[1]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}  # a script that Python does not read evaluates nothing


def _found(script: Script, holes: Mapping[str, int]) -> dict[str, str | Refusal]:
    found, evaluated = _sinks(script, frozenset(holes), frozenset())
    for name, sink in evaluated.items():
        if not isinstance(found.get(name), Refusal):
            # A number is no command.
            found[name] = Refusal(f"becomes {sink.of(name)}", of_number="bare", hint=sink.hint)
    return found


def _told(line: int, said: str) -> Refusal:
    reason = f"stands in a script that gives {said} in line {line} what is not certainly its own text"
    return Refusal(reason, of_number="bare", hint=FIXED)


def _sinks(
    script: Script, holes: frozenset[str], env: frozenset[str]
) -> tuple[dict[str, str | Refusal], dict[str, Sink]]:
    """What is found where the holes stand, and what becomes of them and of `env` by way of variables."""
    tree = script.tree
    names = named(tree, script.nodes, holes, env)
    nodes, saying = in_order(tree)
    flows = followed(saying, names)
    sources = (*sorted(holes), *(f"${name}" for name in sorted(env)))
    connect(flows, names, nodes, sources)
    values = reached(flows, sources)
    held = Held(flows)
    known = Values(
        {one: values.states[one] for one in values.states if one not in holes},
        flows.lists.keys() - flows.unlisted,
        names,
        held,
    )
    lists = [*flows.joined, *held.commands()]
    nodes += (below for one in lists for below in walked(one))
    walk = _Walk(holes, known).walk([tree, *lists], nodes)
    found: dict[str, Sink] = {}
    for name, (first, last) in values.culprits(walk.sinks).items():
        if name in sources:
            found[name.lstrip("$")] = Sink(first, last, walk.sinks[last])
    for name in sorted(env & walk.processes.evaluated) if env else ():
        found.setdefault(name, Sink(name, name, "a command that the script starts evaluates"))
    # What is refused where it is seen to go is bound as a number only, and says nothing of the others.
    seen = found.keys() | {name for name, one in walk.holes.items() if isinstance(one, Refusal)}
    if (free := holes - seen) and starts_something(nodes):
        judged = CommandLines(read(nodes, saying, names, holes & seen), names, held)
        if (where := next(judged.unproven(nodes, lists), None)) is not None:
            walk.holes.update(dict.fromkeys(sorted(free), _told(*where)))
    return walk.holes, found


class _Walk:
    """One pass over the tree, from the top; what holds for a node holds for all below it."""

    def __init__(self, holes: Iterable[str], values: Values) -> None:
        self._holes = frozenset(holes)
        self._values = values
        self.holes: dict[str, str | Refusal] = {}
        """What is found of each."""
        self.sinks: dict[str, str] = {}
        """Variables that take a value, and why none may stand there."""
        self._holding: set[int] = set()
        """Nodes with a value in them."""
        self._naming: dict[int, list[str]] = {}
        """The holes that a node itself names."""
        self._evaluated: dict[int, str | None] = {}
        self._of_input: dict[tuple[int, bool], str | None] = {}
        self._handing: dict[int, bool] = {}
        self._words = Words(self._holds, self._is_in_order, self._may_be_read, values.held, values.names)
        self.processes = Processes((), self._words.given)

    def walk(self, trees: Sequence[ast.AST], nodes: Sequence[ast.AST]) -> Self:
        """From these down; `nodes` are all of them, each after the one above it."""
        self._hold(nodes)
        self.processes = Processes(nodes, self._words.given)
        waiting: list[tuple[ast.AST, str | None, bool]] = [(one, None, False) for one in trees]
        while waiting:
            node, refusal, listed = waiting.pop()
            if id(node) not in self._holding:
                continue
            self._name(node, refusal)
            is_list = isinstance(node, ast.List | ast.Tuple | ast.BinOp | ast.Starred)
            reason = refusal or (self._of_list(node) if is_list and not listed else None)
            if isinstance(node, ast.Call) and called(node.func)[0] in self._values.names.numbers:
                reason = None
            for child in children(node):
                if id(child) in self._holding:
                    waiting.append((child, reason or self._below(node, child), is_list))
        return self

    def _hold(self, nodes: Sequence[ast.AST]) -> None:
        """From the last of them to the first: each comes after the one above it."""
        holding = self._holding
        for node in reversed(nodes):
            if named := [name for name in texts_of(node) if name in self._holes]:
                self._naming[id(node)] = named
            if named or any(id(child) in holding for child in children(node)) or self._values.read_at(node):
                holding.add(id(node))

    def _name(self, node: ast.AST, refusal: str | None) -> None:
        for variable in self._values.read_at(node) if refusal else ():
            self.sinks.setdefault(variable, refusal or _NO_PLACE)
        for name in self._naming.get(id(node), ()):
            if not isinstance(self.holes.get(name), Refusal):
                loads = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
                self.holes[name] = Refusal(_NO_PLACE) if not loads else name
                if refusal and loads:
                    # A number is no command, and holds none.
                    self.holes[name] = Refusal(refusal, of_number="bare", hint=HINT)

    def _below(self, node: ast.AST, child: ast.AST) -> str | None:
        """Why no value may stand anywhere in this child of the node."""
        if (put := self.processes.evaluates(child)) is not None:
            return f"is put in the variable '{put}', which a command that the script starts evaluates"
        match node:
            case ast.Attribute(attr="format" | "format_map"):
                return "stands in the place of a format"
            case ast.Call(func=func) if child is func:
                is_hole = isinstance(child, ast.Name) and child.id in self._holes
                return "stands in the place of a function" if is_hole else None
            case ast.Call():
                return self._of_call(node, child)
            case ast.keyword(arg="executable" | "preexec_fn"):
                return "stands in the place of the command"
            case ast.keyword(arg="shell"):
                return "stands in a call that may evaluate it"
        return None

    def _of_call(self, call: ast.Call, child: ast.AST) -> str | None:
        name, base = called(call.func)
        if name is None:
            return "stands in a call of what is not known here"
        functions = EVALUATING_OF.get(base)
        of_module = functions is not None and (not functions or name in functions) and not is_safe(call)
        if name in SHELL_TEXT and call.args and child is call.args[0] and self._is_spoken(child):
            return None
        if isinstance(child, ast.keyword) and child.arg in _BESIDE and by_shell(call):
            return None
        if by_shell(call) or name in EVALUATING or of_module or (name == "compile" and not base):
            return "stands in a call that may evaluate it"
        if self.processes.runs_what_is_written(call):
            return "stands in the input of a command that may evaluate it"
        if name == "getattr" and self._is_module(call):
            return "stands in the place of a function"
        if name in OF_SQL and call.args and child is call.args[0]:
            return "stands in a text that a database evaluates; give it the value as a parameter"
        if name == "push" and "code" in self._values.modules:
            return "stands in a call that may evaluate it"
        if is_shell(name) or (name in STARTING and not (name == "run" and base in OF_COROUTINES)):
            return self._of_started(call, name, child)
        if id(call) not in self._handing:
            self._handing[id(call)] = any(map(self._starts, call.args))
        if self._handing[id(call)]:
            return self._of_started(call, name, child)
        return None

    def _starts(self, node: ast.expr) -> bool:
        """Whether a function that starts commands is handed on: `pool.submit(subprocess.run, ['ls', x])`."""
        name, base = called(node)
        if isinstance(node, ast.Attribute):
            return name in STARTING and base in self._values.modules
        return isinstance(node, ast.Name) and name in STARTING and name in self._values.modules

    def _of_started(self, call: ast.Call, name: str, child: ast.AST) -> str | None:
        keyword = child.arg if isinstance(child, ast.keyword) else None
        is_several = isinstance(child, ast.keyword) and keyword is None  # `run(['ls'], **x)`
        if is_several or keyword in ("input", "stdin"):
            key = (id(call), is_several)
            if key not in self._of_input:
                self._of_input[key] = self._reads_commands(self._words.given(call), certain=not is_several)
            return self._of_input[key]
        if keyword not in (None, *ARGUMENTS):
            return None
        if id(call) not in self._evaluated:
            given = self._words.given(call)
            of_begin = self._of_begin(call.args[0]) if call.args and isinstance(call.args[0], ast.Starred) else None
            lines = [(name, *line) for line in given] if is_shell(name) else given
            self._evaluated[id(call)] = of_begin or self._refusal(lines, started=True)
        return self._evaluated[id(call)]

    def _refusal(self, lines: Iterable[Line], *, started: bool) -> str | None:
        reasons = (self.processes.lines.refusal(line, started=started) for line in lines)
        return next((reason for reason in reasons if reason is not None), None)

    def _reads_commands(self, lines: Sequence[Line], *, certain: bool) -> str | None:
        """Why a command of these words takes no value as its input, if it is `certain` that it becomes that."""
        if not lines:
            return "stands in the place of the command"
        if not certain and not self.processes.names_input:
            return None
        if certain and not all(map(self.processes.lines.takes_input, lines)):
            return "stands in the input of a command that is not known here to take it for data"
        if not certain and any(map(any_runs, lines)):
            return "stands in the input of a command that may evaluate it"
        return None

    def _of_list(self, node: ast.AST) -> str | None:
        """A list may be the words of a command that is started elsewhere; where it begins with a text it has a name."""
        if is_list(node) and (reason := self._of_begin(node)) is not None:
            return reason
        lines = [line for line in self._words.of(node) if len(line) > 1 and _is_named(line[0])]
        return self._refusal(lines, started=False)

    def _of_begin(self, node: ast.AST) -> str | None:
        """Of a list that begins with what is not known here: it may be any program that the script names."""
        begin = begin_of(node)
        if begin is None or (isinstance(begin, ast.Name) and begin.id in self._values.lists):
            return None
        if (named := self.processes.evaluating) is None:
            return None
        return f"stands in a command whose begin is not known here, in a script that names '{named}'"

    def _is_module(self, call: ast.Call) -> bool:
        return bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id in self._values.modules

    def _is_spoken(self, node: ast.expr) -> bool:
        """Whether all values in a text for sh are words that are quoted."""
        if self._is_in_order(node):
            return True
        if isinstance(node, ast.Name):
            return False
        found = spoken(node)
        if found is None or not stands_bare(found[0]):
            return False
        return all(
            is_quote(one)
            or id(one) not in self._holding
            or (self._values.states_at(one) == _QUOTED and not self._is_given_a_value(one))
            for one in found[1]
        )

    def _is_in_order(self, node: ast.AST) -> bool:
        return self._values.states_at(node) == _IN_ORDER and not self._is_given_a_value(node)

    def _is_given_a_value(self, node: ast.AST) -> bool:
        """Whether a call's result may hold more than what functions of the script are known to return: `x.f()`."""
        if not isinstance(node, ast.Call) or isinstance(node.func, ast.Name):
            return False
        return any(id(child) in self._holding for child in children(node))

    def _holds(self, node: ast.AST) -> bool:
        return id(node) in self._holding

    def _may_be_read(self, node: ast.AST) -> bool:
        is_own = isinstance(node, ast.Name | ast.Call) and is_copy(node) is None
        return not is_own or self._is_in_order(node)


def _is_named(part: Part) -> bool:
    """Whether a word may be the name of a program."""
    return isinstance(part, str) and HOLE not in part and DYNAMIC not in part
