"""Where a value may stand in a script for Python: the name OC1 stands there instead, bound to a text.

The script is read as Python reads it, with a name for each hole. What a call makes of its arguments goes by the name of
the call; the words of a command that Python starts are asked of the tables for POSIX shells.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence

from engine.posix_shell import HOLE, Refusal, evaluates
from engine.posix_shell.pieces import DYNAMIC
from engine.posix_shell.programs import is_shell

_EVALUATING = frozenset(
    {
        "eval", "exec", "__import__", "system", "popen", "getoutput", "getstatusoutput", "import_module",
        "literal_eval", "run_path", "run_module", "create_subprocess_shell", "exec_command", "runsource", "runcode",
        "interact", "timeit", "subprocess_shell", "invoke_shell", "executescript", "find_spec", "load_module",
        "exec_module", "startfile", "popen2", "popen3", "popen4", "cmd_run", "sendline",
    }
)  # fmt: skip
"""Calls that may evaluate whatever is in their arguments, by the last part of their name."""
_EVALUATING_OF = {
    "pickle": (), "cPickle": (), "marshal": (), "dill": (), "shelve": (), "jsonpickle": (), "cloudpickle": (),
    "code": (), "codeop": (), "timeit": (), "runpy": (), "commands": (), "pexpect": (),
    "yaml": ("load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"),
}  # fmt: skip
"""Modules of which all functions, or those named, do so."""
_STARTING = frozenset(
    {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "subprocess_exec", "spawn", "sudo",
     "local", "posix_spawn", "posix_spawnp", "create_process", "runcmd", "Command", "execv", "execve", "execvp",
     "execvpe", "execl", "execle", "execlp", "execlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe", "spawnl", "spawnle",
     "spawnlp", "spawnlpe"}
)  # fmt: skip
"""Calls that start a command whose words are their arguments."""
_OF_SQL = frozenset({"execute", "executemany"})
"""Calls that evaluate their first argument; values go into the second."""
_OF_COROUTINES = frozenset({"asyncio", "anyio", "trio", "curio"})
_ARGUMENTS = ("args", "argv", "cmd", "command")
_BUILT_IN = frozenset({"eval", "exec", "compile", "__import__"})
_DEEPEST = 200
"""Nodes of a script within each other."""
_NO_PLACE = "stands where Python takes no value"


def readings(text: str, names: Mapping[str, int]) -> dict[str, str | Refusal]:
    """How each name that stands for a hole, and where it stands, is read: the name itself or a refusal."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        tree = _parsed(text)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        reason = (
            problem.args[0] if problem.args and not isinstance(problem, RecursionError | MemoryError) else "too deep"
        )
        return {name: Refusal(f"stands in a script that is not read as Python: {reason}") for name in names}
    if any(token.string == "__future__" for token in tokens):
        reason = "stands in a script with '__future__', before which nothing may be set"
        return {name: Refusal(reason) for name in names}
    commented = _commented(text, tokens, names)
    if (reason := _refused_in_all(tree)) is not None:
        return {name: name if name in commented else Refusal(reason) for name in names}
    try:
        found = _Walk(names).found(tree)
    except RecursionError:
        return {name: Refusal("stands in a script that is too deep to be followed") for name in names}
    found |= _strings(text, tokens, names)
    found |= {name: name for name in commented}
    return {name: found.get(name, Refusal("stands in a string or within a word")) for name in names}


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    if _is_deeper_than(_DEEPEST, tree):
        raise RecursionError
    return tree


def _is_deeper_than(most: int, tree: ast.AST) -> bool:
    """Not by trial: how deep Python can follow depends on who called."""
    level: list[ast.AST] = [tree]
    for _ in range(most):
        level = [below for node in level for below in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _spans(text: str, tokens: Sequence[tokenize.TokenInfo]) -> Iterator[tuple[str, int, int]]:
    """Kinds of tokens, with their offsets."""
    lines = [0]
    for line in io.StringIO(text):
        lines.append(lines[-1] + len(line))
    for token in tokens:
        (row, column), (last, end) = token.start, token.end
        if last < len(lines):
            yield tokenize.tok_name[token.type], lines[row - 1] + column, lines[last - 1] + end


def _commented(text: str, tokens: Sequence[tokenize.TokenInfo], names: Mapping[str, int]) -> frozenset[str]:
    comments = [(start, end) for kind, start, end in _spans(text, tokens) if kind == "COMMENT"]
    return frozenset(_inside(comments, names))


def _strings(text: str, tokens: Sequence[tokenize.TokenInfo], names: Mapping[str, int]) -> dict[str, Refusal]:
    spans: list[tuple[int, int]] = []
    begun: list[int] = []
    for kind, start, end in _spans(text, tokens):
        if kind == "STRING":
            spans.append((start, end))
        elif kind in ("FSTRING_START", "TSTRING_START"):
            begun.append(start)
        elif kind in ("FSTRING_END", "TSTRING_END") and begun:
            spans.append((begun.pop(), end))
    return {name: Refusal("stands in a string") for name in _inside(spans, names)}


def _inside(spans: Sequence[tuple[int, int]], names: Mapping[str, int]) -> Iterator[str]:
    ordered = sorted(names, key=lambda name: names[name])
    places = iter(sorted(spans))
    span = next(places, None)
    for name in ordered:
        while span is not None and span[1] <= names[name]:
            span = next(places, None)
        if span is not None and span[0] <= names[name]:
            yield name


def _refused_in_all(tree: ast.Module) -> str | None:
    """What lets a script evaluate values in ways that are not followed."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="shell", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                return "stands in a script that runs commands by 'shell='"
            case ast.Constant(value="shell" | "executable"):
                return "stands in a script that may run commands by 'shell='"
            case ast.Name(id=name, ctx=ast.Load()) if name in _BUILT_IN and id(node) not in called:
                return f"stands in a script that gives '{name}' another name"
            case ast.Attribute(attr=name) if name in _EVALUATING and id(node) not in called:
                return f"stands in a script that gives '{name}' another name"
            case ast.alias(name=name, asname=str()) if (
                name in _EVALUATING or name in _STARTING or name in _EVALUATING_OF
            ):
                return f"stands in a script that gives '{name}' another name"
    return None


class _Walk:
    """One pass over the tree, from the top; what holds for a node holds for all below it."""

    def __init__(self, names: Mapping[str, int]) -> None:
        self._names = names
        self._found: dict[str, str | Refusal] = {}
        self._holding: set[int] = set()
        """Nodes with a hole in them."""
        self._evaluated: dict[int, str | None] = {}

    def found(self, tree: ast.Module) -> dict[str, str | Refusal]:
        self._hold(tree)
        waiting: list[tuple[ast.AST, str | None, bool]] = [(tree, None, False)]
        while waiting:
            node, refusal, listed = waiting.pop()
            self._name(node, refusal)
            if id(node) not in self._holding:
                continue
            is_list = isinstance(node, ast.List | ast.Tuple | ast.BinOp | ast.Starred)
            reason = refusal or (self._of_list(node) if is_list and not listed else None)
            for child in ast.iter_child_nodes(node):
                waiting.append((child, reason or self._below(node, child), is_list))
        return self._found

    def _hold(self, tree: ast.Module) -> None:
        above = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            if any(name in self._names for name in _named(node)):
                holder: ast.AST | None = node
                while holder is not None and id(holder) not in self._holding:
                    self._holding.add(id(holder))
                    holder = above.get(id(holder))

    def _name(self, node: ast.AST, refusal: str | None) -> None:
        for name in _named(node):
            if name in self._names:
                loads = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
                self._found[name] = Refusal(refusal or _NO_PLACE) if refusal or not loads else name

    def _below(self, node: ast.AST, child: ast.AST) -> str | None:
        """Why no value may stand anywhere in this child of the node."""
        match node:
            case ast.Attribute(attr="format" | "format_map"):
                return "stands in the place of a format"
            case ast.Call(func=func) if child is func:
                return "stands in the place of a function" if isinstance(child, ast.Name) else None
            case ast.Call():
                return self._of_call(node, child)
            case ast.keyword(arg="executable" | "preexec_fn"):
                return "stands in the place of the command"
            case ast.keyword(arg="shell"):
                return "stands in a call that may evaluate it"
        return None

    def _of_call(self, call: ast.Call, child: ast.AST) -> str | None:
        name, base = _called(call.func)
        if name is None:
            return "stands in a call of what is not known here"
        functions = _EVALUATING_OF.get(base)
        of_module = functions is not None and (not functions or name in functions) and not _is_safe(call)
        if name in _EVALUATING or of_module or (name == "compile" and not base):
            return "stands in a call that may evaluate it"
        if name in _OF_SQL and call.args and child is call.args[0]:
            return "stands in a text that a database evaluates; give it the value as a parameter"
        if is_shell(name) or (name in _STARTING and not (name == "run" and base in _OF_COROUTINES)):
            return self._of_started(call, name, child)
        return None

    def _of_started(self, call: ast.Call, name: str, child: ast.AST) -> str | None:
        keyword = child.arg if isinstance(child, ast.keyword) else None
        if keyword in ("input", "stdin"):
            started = any(evaluates([word, HOLE]) for word in self._given(call) if HOLE not in word)
            return "stands in the input of a command that may evaluate it" if started else None
        if keyword not in (None, *_ARGUMENTS):
            return None
        if id(call) not in self._evaluated:
            given = self._given(call)
            self._evaluated[id(call)] = _reason([name, *given] if is_shell(name) else given)
        return self._evaluated[id(call)]

    def _of_list(self, node: ast.AST) -> str | None:
        """A list may be the words of a command that is started elsewhere; where it begins with a text it has a name."""
        words = self._words(node)
        if len(words) < 2 or HOLE in words[0] or DYNAMIC in words[0]:
            return None
        return _reason(words)

    def _given(self, call: ast.Call) -> list[str]:
        """The words that a call gives to a program."""
        arguments: list[ast.expr] = [*call.args]
        arguments += [one.value for one in call.keywords if one.arg in _ARGUMENTS]
        words = [word for argument in arguments for word in self._words(argument)]
        # os.spawnlp has a mode first.
        return words[1:] if words[:1] == [DYNAMIC] and len(words) > 1 else words

    def _words(self, node: ast.AST) -> list[str]:
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [word for item in items for word in self._words(item)]
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                before, after = self._words(left), self._words(right)
                if any(isinstance(part, ast.List | ast.Tuple) for part in (left, right)):
                    return before + after
                return ["".join((*before, *after))]
            case ast.Starred(value=value):
                return self._words(value)
            case ast.Constant(value=str() as text):
                return [text]
        return [HOLE if id(node) in self._holding else DYNAMIC]


def _named(node: ast.AST) -> Iterator[str]:
    """The names that a node holds as texts. A constant is no name."""
    for _, value in ast.iter_fields(node) if not isinstance(node, ast.Constant) else ():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))


def _reason(words: Sequence[str]) -> str | None:
    return next((refusal.reason for refusal in evaluates(words).values()), None)


def _called(function: ast.expr) -> tuple[str | None, str]:
    """The last part of what is called, and what stands before it; None where it is computed."""
    match function:
        case ast.Name(id=name):
            return name, ""
        case ast.Attribute(attr=name, value=ast.Name(id=base)):
            return name, base
        case ast.Attribute(attr=name):
            return name, "?"
    return None, ""


def _is_safe(call: ast.Call) -> bool:
    """`yaml.load(x, Loader=yaml.SafeLoader)`."""
    given = [*call.args[1:], *(one.value for one in call.keywords)]
    return any("Safe" in (_called(one)[0] or "") for one in given)
