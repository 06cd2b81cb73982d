"""The process that renders one template. Run as a program; imports nothing of this product.

Reads JSON on standard input and writes JSON on standard output. Its limits are set before it sees the template.
"""

import codecs
import importlib
import json
import re
import resource
import sys

MEMORY = 512 * 1024 * 1024
SECONDS = 3
_MARKUP = re.compile(r"[\\`*_\[\]()#<>~|!]")
_NAME = re.compile(r"'([^']+)' is undefined|.* has no attribute '([^']+)'|.* has no element (\d+)")


class _Unescaped(Exception):  # noqa: N818 - named after the text
    """Values would be markup."""


class _TooLong(Exception):  # noqa: N818 - named after the text
    """More came of it than is wanted."""


def main() -> None:
    asked = json.load(sys.stdin)
    _read_ahead()
    from jinja2 import StrictUndefined, TemplateError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    escape = asked.get("escape")
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        cache_size=0,
        autoescape=escape == "html",
        finalize=_unmarked if escape == "markdown" else None,
    )
    if escape is not None:
        environment.filters["safe"] = str  # what fills a hole is markup in no case, whatever is said of it
    try:
        if escape is not None and any(environment.parse(asked["template"]).find_all(nodes.EvalContextModifier)):
            raise _Unescaped
        size, parts = 0, []
        for part in environment.from_string(asked["template"]).generate(asked["values"]):
            size += len(part.encode())
            if size > asked["most"]:
                raise _TooLong
            parts.append(part)
        answer = {"text": "".join(parts)}
    except _Unescaped:
        answer = {"error": "it switches 'autoescape': what fills it is markup in no case"}
    except _TooLong:
        answer = {"error": f"it gives more than {asked['most']} bytes"}
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        answer = {"error": _words(error, asked["template"])}
    except (ImportError, OSError, SyntaxError) as error:  # it wants what is not read ahead
        answer = {"error": _words(error, asked["template"])}
    except TemplateError as error:
        answer = {"error": _words(error, asked["template"])}
    json.dump(answer, sys.stdout)


def _read_ahead() -> None:
    """What Jinja and Python read when a template first needs it: then no file can be opened any more.

    The codec is that of every text in quotes, `unicodedata` of names that are not ASCII, `jinja2.debug` of failures.
    """
    for name in ("html", "pprint", "textwrap", "unicodedata", "jinja2.constants", "jinja2.debug"):
        importlib.import_module(name)
    codecs.lookup("unicode-escape")


def _unmarked(value: object) -> str:
    """A value as text that no reader of Markdown takes for markup."""
    return _MARKUP.sub(r"\\\g<0>", str(value))


def _words(error: Exception, template: str) -> str:
    """What went wrong, and in which line. Words about a value may quote it, and it may be a secret: they stay here."""
    from jinja2 import TemplateSyntaxError, UndefinedError

    if isinstance(error, TemplateSyntaxError):
        return f"line {error.lineno}: {error.message}"
    said = type(error).__name__
    known = _NAME.fullmatch(str(error)) if isinstance(error, UndefinedError) else None
    if known is not None and known[known.lastindex or 0] in template:
        said = (
            f"{error}; give it in the step's 'vars', or write 'default(...)' behind it"  # it is in the template itself
        )
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: {said}" if line else said


if __name__ == "__main__":
    main()
