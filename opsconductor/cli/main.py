"""The `opsconductor` program: its commands, and the one place where an exception becomes an exit code."""

import os
import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import typer
import typer.exceptions

from opsconductor import exits

_COMMANDS = {
    "new": ("init",),
    "validate": ("validate",),
    "plan": ("plan",),
    "serve": ("up", "accept", "doctor"),
    "ask": ("run", "exec", "cancel"),
    "read": ("get", "describe", "history", "next", "logs"),
    "why": ("why",),
    "impact": ("impact",),
    "explain": ("schema", "explain"),
}
"""The commands of each module of this package, in the order of the help."""


def application(asked: str | None = None) -> typer.Typer:
    """The program with the command that is asked for; with all of them where it has no such command.

    Each module loads what its commands need: `validate` need not wait for what only `up` uses.
    """
    app = typer.Typer(
        name="opsconductor",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    meant = [module for module, commands in _COMMANDS.items() if asked in commands]
    for module in meant or _COMMANDS:
        import_module(f"opsconductor.cli.{module}").register(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from opsconductor import __version__

        typer.echo(f"opsconductor {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Jobs as code: YAML in git decides what runs, results go back to git."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(exits.USAGE)


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the installed program. Never returns: exits with a code of CONTRACT 1."""
    # Packages that happen to be installed beside us must not take part in reading documents; nor is time for a search.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(call(arguments))


def call(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code; a bug of ours leaves a report file and gives 70."""
    from journal.errors import Refused, Unavailable
    from opsconductor.settings import UsageError

    try:
        given = sys.argv[1:] if arguments is None else arguments
        code = application(given[0] if given else None)(args=given, standalone_mode=False, prog_name="opsconductor")
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except typer.exceptions.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "opsconductor"
        typer.echo(f"opsconductor: {error.format_message()} (see '{command} --help')", err=True)
        return exits.USAGE
    except UsageError as error:
        typer.echo(f"opsconductor: {error}", err=True)
        return exits.USAGE
    except (Refused, Unavailable) as error:
        typer.echo(f"opsconductor: {error}", err=True)
        return exits.FINDINGS
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except OSError as error:
        typer.echo(f"opsconductor: {f'{error.filename}: {error.strerror}' if error.filename else error}", err=True)
        return exits.FINDINGS
    except Exception as error:  # noqa: BLE001 - the last door: anything that arrives here is a bug of ours
        typer.echo(f"opsconductor: a bug of ours: {type(error).__name__}: {error}", err=True)
        typer.echo(f"    A report is in {_report(error)}; please send it to us.", err=True)
        return exits.BUG
    return int(code or 0)


def _report(error: Exception) -> Path:
    from opsconductor import __version__

    descriptor, name = tempfile.mkstemp(prefix="opsconductor-bug-", suffix=".txt")
    with os.fdopen(descriptor, "w") as file:
        file.write(f"opsconductor {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"{datetime.now(UTC).isoformat()}\ncommand: {' '.join(sys.argv[1:2])}\n\n")
        file.writelines(traceback.format_exception(error))
    return Path(name)


if __name__ == "__main__":
    run()
