"""The `opsconductor` program: the one place where an exception becomes an exit code."""

import os
import sys

from journal.errors import Refused, Unavailable
from opsconductor import exits
from opsconductor.cli import verdict


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the installed program. Never returns: exits with a code of CONTRACT 1."""
    # Packages that happen to be installed beside us must not take part in reading documents; nor is time for a search.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(call(arguments))


def call(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code; a bug of ours leaves a report file and gives 70."""
    try:
        return _answer(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except exits.UsageError as error:
        _say(error)
        return exits.USAGE
    except (Refused, Unavailable) as error:
        _say(error)
        return exits.FINDINGS
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else error)
        return exits.FINDINGS
    except Exception as error:  # noqa: BLE001 - the last door: anything that arrives here is a bug of ours
        return _bug(error)


def _answer(arguments: list[str]) -> int:
    # Editors and hooks ask `validate` at every save: loading typer takes longer than checking a small repository.
    if (asked := verdict.plainly_asked(arguments)) is not None:
        return verdict.give(asked)
    from opsconductor.cli.application import answer

    return answer(arguments)


def _say(what: object) -> None:
    sys.stderr.write(f"opsconductor: {what}\n")


def _bug(error: Exception) -> int:
    import traceback

    from opsconductor.bugreports import left

    _say(f"a bug of ours: {type(error).__name__}: {error}")
    sys.stderr.write(f"    {left(traceback.format_exception(error))}\n")
    return exits.BUG


if __name__ == "__main__":
    run()
