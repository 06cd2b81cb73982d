"""The commands of the program, read by typer. Each module loads what its commands need."""

from collections.abc import Sequence
from importlib import import_module

import typer
import typer.exceptions

from opsconductor import exits

COMMANDS = {
    "init": ("init",),
    "new": ("new",),
    "validate": ("validate",),
    "fmt": ("fmt",),
    "plan": ("plan",),
    "serve": ("up", "accept", "doctor"),
    "controller": ("controller",),
    "runner": ("runner",),
    "ask": ("run", "exec", "cancel"),
    "repeat": ("rerun", "replay", "resume"),
    "approve": ("approve", "reject"),
    "read": ("get", "describe", "history", "next", "logs"),
    "why": ("why",),
    "impact": ("impact",),
    "explain": ("schema", "explain"),
    "mcp": ("mcp",),
    "discover": ("discover",),
    "importing": ("import",),
    "store": ("store",),
    "target": ("target",),
    "notify": ("notify",),
    "credential": ("credential",),
    "site": ("site",),
    "plugin": ("plugin",),
    "library": ("library",),
}
"""The commands of each module of this package, in the order of the help."""


def answer(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; a call that does not fit is explained on stderr."""
    asked = arguments[0] if arguments else None
    try:
        code = application(asked)(args=list(arguments), standalone_mode=False, prog_name="opsconductor")
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return exits.INTERRUPTED
    except typer.exceptions.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "opsconductor"
        typer.echo(f"opsconductor: {error.format_message()} (see '{command} --help')", err=True)
        return exits.USAGE
    return int(code or 0)


def application(asked: str | None = None) -> typer.Typer:
    """The program with the command that is asked for; with all of them where it has no such command.

    `validate` need not wait for what only `up` uses.
    """
    app = typer.Typer(
        name="opsconductor",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    meant = [module for module, commands in COMMANDS.items() if asked in commands]
    for module in meant or COMMANDS:
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
