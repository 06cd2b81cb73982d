"""What a call in a script for Python makes of its arguments, by the name of what is called."""

import ast
from collections.abc import Sequence

EVALUATING = frozenset(
    {
        "eval", "exec", "__import__", "system", "popen", "getoutput", "getstatusoutput", "import_module",
        "run_path", "run_module", "create_subprocess_shell", "exec_command", "runsource", "runcode",
        "interact", "timeit", "subprocess_shell", "invoke_shell", "executescript", "find_spec", "load_module",
        "exec_module", "startfile", "from_string", "popen2", "popen3", "popen4", "cmd_run", "sendline",
        "get_type_hints", "ForwardRef", "_evaluate", "IMAP4_stream", "pipepager", "pipe_pager", "tempfilepager",
        "tempfile_pager",
    }
)  # fmt: skip
"""Calls that may evaluate whatever is in their arguments, by the last part of their name."""
EVALUATING_OF = {
    "pickle": (), "cPickle": (), "marshal": (), "dill": (), "shelve": (), "jsonpickle": (), "cloudpickle": (),
    "code": (), "codeop": (), "timeit": (), "runpy": (), "commands": (), "pexpect": (),
    "webbrowser": ("get", "register", "BackgroundBrowser", "GenericBrowser"),
    "jinja2": ("Template",), "mako.template": ("Template",),
    "yaml": ("load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"),
}  # fmt: skip
"""Modules of which all functions, or those named, do so."""
STARTING = frozenset(
    {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "subprocess_exec", "spawn", "sudo",
     "local", "posix_spawn", "posix_spawnp", "create_process", "runcmd", "Command", "execv", "execve", "execvp",
     "execvpe", "execl", "execle", "execlp", "execlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe", "spawnl", "spawnle",
     "spawnlp", "spawnlpe"}
)  # fmt: skip
"""Calls that start a command whose words are their arguments."""
OF_SQL = frozenset({"execute", "executemany"})
"""Calls that evaluate their first argument; values go into the second."""
OF_COROUTINES = frozenset({"asyncio", "anyio", "trio", "curio"})
SHELL_TEXT = frozenset({"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"})
"""Calls whose first argument sh reads."""

_BUILT_IN = frozenset({"eval", "exec", "compile", "__import__"})
_NAMING = frozenset({"getattr", "attrgetter", "methodcaller", "__getattribute__"})
"""Calls that find a function by its name, and..."""
_NAMED = EVALUATING | {"Popen", "check_call", "check_output"}
"""names that such a call says in a script without values only."""


_TELLING = frozenset({ast.keyword, ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.alias})


def called(function: ast.expr) -> tuple[str | None, str]:
    """The last part of what is called, and what stands before it; None where it is computed."""
    match function:
        case ast.Name(id=name):
            return name, ""
        case ast.Attribute(attr=name, value=ast.Name(id=base)):
            return name, base
        case ast.Attribute(attr=name):
            return name, "?"
    return None, ""


def is_safe(call: ast.Call) -> bool:
    """`yaml.load(x, Loader=yaml.SafeLoader)`."""
    given = [*call.args[1:], *(one.value for one in call.keywords)]
    return any("Safe" in (called(one)[0] or "") for one in given)


def _read_by_shell(call: ast.Call) -> list[ast.keyword]:
    """`shell=True` of a call that says all that it gives, of which the command is judged by itself."""
    is_whole = all(one.arg is not None for one in call.keywords) and called(call.func)[0] in STARTING
    return [one for one in call.keywords if one.arg == "shell" and _is_true(one.value)] if is_whole else []


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def refused_in_all(nodes: Sequence[ast.AST]) -> str | None:
    """What lets a script evaluate values in ways that are not followed. `nodes` are all of its tree."""
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    judged = {id(one) for node in nodes if isinstance(node, ast.Call) for one in _read_by_shell(node)}
    for node in nodes:
        if node.__class__ not in _TELLING:
            continue
        match node:
            case ast.keyword(arg="shell", value=value) if id(node) not in judged and not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                return "stands in a script that runs commands by 'shell='"
            case ast.Constant(value="shell" | "executable"):
                return "stands in a script that may run commands by 'shell='"
            case ast.Name(id=name, ctx=ast.Load()) if name in _BUILT_IN and id(node) not in functions:
                return f"stands in a script that gives '{name}' another name"
            case ast.Attribute(attr=name) if name in EVALUATING and id(node) not in functions:
                return f"stands in a script that gives '{name}' another name"
            case ast.Call(args=[ast.Name(id="subprocess"), *_]) if called(node.func)[0] in _NAMING:
                return "stands in a script that finds functions of 'subprocess' by their names"
            case ast.Call(args=given) if called(node.func)[0] in _NAMING:
                for one in given:
                    if isinstance(one, ast.Constant) and one.value in _NAMED:
                        return f"stands in a script that gives '{one.value}' another name"
            case ast.alias(name=name, asname=str()) if name in EVALUATING or name in STARTING or name in EVALUATING_OF:
                return f"stands in a script that gives '{name}' another name"
    return None
