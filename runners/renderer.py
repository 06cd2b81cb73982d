"""The process that renders one template. Run as a program; imports nothing of this product.

Reads JSON on standard input and writes JSON on standard output. Its limits are set before it sees the template.
"""

import json
import resource
import sys

MEMORY = 512 * 1024 * 1024
SECONDS = 3


def main() -> None:
    asked = json.load(sys.stdin)
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, cache_size=0)
    try:
        size, parts = 0, []
        for part in environment.from_string(asked["template"]).generate(asked["values"]):
            size += len(part.encode())
            if size > asked["most"]:
                raise OverflowError(f"it gives more than {asked['most']} bytes")
            parts.append(part)
        answer = {"text": "".join(parts)}
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        answer = {"error": f"{f'line {line}: ' if line else ''}{error.message or type(error).__name__}"}
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
