"""`mcp`: a server by which agents look, and prepare changes for people."""

import os

import typer

from opsconductor import exits
from opsconductor.cli.options import BranchOption, LogsOption, OfflineOption, RemoteOption, RepoOption, StateOption

_QUIET = {
    # Nobody is there to be asked for a password, and a remote that says nothing is away.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
    "GIT_OPTIONAL_LOCKS": "0",
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("mcp")(mcp)


def mcp(
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
    state: StateOption = None,
    logs: LogsOption = None,
) -> int:
    """Serve agents over MCP on standard input and output: they look, ask why, and prepare changes. Read-only.

    Nothing is started, written or pushed. Logs are read from the engine's state folder, where it is on this machine,
    else from where it keeps them besides.
    """
    import anyio

    from opsconductor.agents.server import serve
    from opsconductor.agents.sight import Sight

    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    anyio.run(serve, Sight.open(repo, remote=remote, branch=branch, offline=offline, state=state, logs=logs))
    return exits.OK
