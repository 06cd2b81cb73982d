"""The CEL library (common-expression-language) as we use it: loaded late, its failures as errors of ours."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any


class ExpressionError(Exception):
    """An expression that cannot be read, or failed. `offset` and `length` count code points within its CEL text."""

    def __init__(self, message: str, offset: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length


@lru_cache(maxsize=1024)
def program(cel: str) -> Any:
    """A text as the library's program. Raises ExpressionError."""
    try:
        return _library().compile(cel)
    except Exception as problem:
        message = re.split(r"Syntax error: |ERROR: <input>:\d+:\d+: ", str(problem))[-1].split("\n")[0]
        raise ExpressionError(f"'{short(cel)}' is no expression: {message}", 0, len(cel)) from problem
    except BaseException as problem:  # noqa: BLE001 -- a panic of the library; see _panic
        raise _panic(problem, cel) from None


def run(
    cel: str,
    values: Mapping[str, Any],
    functions: Mapping[str, Callable[..., object]],
    references: Iterable[tuple[str, ...]] = (),
) -> Any:
    """What the expression gives, in the library's types. Raises ExpressionError.

    `references` are the member paths that it reads, by which an error can say which value was none of that kind.
    """
    try:
        text = _Text()
        context = _library().Context(variables=dict(values), functions={"string": text, **functions})
        found = program(cel).execute(context)
        if text.failed is not None:
            raise ExpressionError(f"'{short(cel)}': {text.failed}", 0, len(cel))
        return found
    except ExpressionError:
        raise
    except KeyError as problem:
        raise ExpressionError(f"'{short(cel)}': there is no '{problem.args[0]}'", 0, len(cel)) from problem
    except Exception as problem:
        why = _explained(str(problem), references, values)
        raise ExpressionError(f"'{short(cel)}': {why}", 0, len(cel)) from problem
    except BaseException as problem:  # noqa: BLE001 -- a panic of the library; see _panic
        raise _panic(problem, cel) from None


class _Text:
    """string() of what the library's own does not know: the specification has booleans too.

    What it cannot do is told afterwards: of what is raised here, the library writes a line of its own to stderr.
    """

    def __init__(self) -> None:
        self.failed: str | None = None

    def __call__(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        self.failed = f"string() makes no text of {_KINDS.get(type(value), 'a map')}"
        return ""


def _explained(message: str, references: Iterable[tuple[str, ...]], values: Mapping[str, Any]) -> str:
    """The library's message without its advice about its own functions."""
    if message.startswith("No such overload"):
        for path in references:
            if (why := _without_field(path, values)) is not None:
                return f"the types do not fit: {why}"
        return "the types do not fit; nothing is converted unasked (int(x), double(x), string(x) do), null has no order"
    if (refused := _NO_CONVERSION.match(message)) is not None:
        return f"{refused[1]}() makes nothing of the value that it is given"
    return message.partition(". Check ")[0].partition("\n")[0]


# Names were checked before: what is "undefined" here is there, but not for such a value.
_NO_CONVERSION = re.compile(r"Undefined variable or function: '(int|uint|double|string|bytes|duration|timestamp)'")
_KINDS = {type(None): "null", str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}


def _without_field(path: tuple[str, ...], values: Mapping[str, Any]) -> str | None:
    """The value on the path that is asked for a field and can have none, as the JSON of an output that is no JSON."""
    value: Any = values
    for at, name in enumerate(path):
        if isinstance(value, Mapping):
            value = value.get(name, {})
            continue
        what = _KINDS.get(type(value), "no map")
        if value is None and path[at - 1] == "json":
            what += ", since the output is no JSON or there is none"
        return f"'{'.'.join(path[:at])}' is {what}, and has no '{name}'"
    return None


def _panic(problem: BaseException, cel: str) -> BaseException:
    # pyo3 turns a panic of the Rust code into a BaseException of its own; everything else of that rank is not for us.
    if type(problem).__name__ == "PanicException":
        return ExpressionError(f"'{short(cel)}' makes the expression library fail", 0, len(cel))
    return problem


def short(text: str) -> str:
    """A text as one line of a message."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _library() -> ModuleType:
    """The library's compiled module, loaded when the first expression is met.

    `import cel` would load its command line too, with everything that draws on a terminal: half a second.
    """
    name = "cel.cel"
    if (loaded := sys.modules.get(name)) is not None:
        return loaded
    package = importlib.util.find_spec("cel")
    spec = PathFinder.find_spec(name, package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise ImportError("common-expression-language is not installed as expected: it has no module cel.cel")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module
