"""`rerun`, `replay`, `resume`: ask for a run once more, whole, in part, or from where it stopped."""

from typing import Annotated

import typer

from opsconductor.acts import rerun as repeated
from opsconductor.acts import resumed
from opsconductor.cli.ask import (
    Call,
    DryRunOption,
    LimitOption,
    OnBranchOption,
    ReasonOption,
    TimeoutOption,
    WaitOption,
    ask,
    meant_run,
    patience_of,
    told,
    with_limit,
)
from opsconductor.cli.options import BranchOption, RemoteOption, RepoOption
from opsconductor.exits import UsageError

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run: its id, a unique beginning, or a job's name.")
]
FromOption = Annotated[str | None, typer.Option("--from-step", metavar="S", help="Begin with this step.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("rerun")(rerun)
    app.command("replay")(replay)
    app.command("resume")(resume)


def rerun(
    run: RunArgument,
    failed_only: Annotated[
        bool, typer.Option("--failed-only", help="Only targets that failed, timed out or were unreachable.")
    ] = False,
    from_step: FromOption = None,
    at: Annotated[str, typer.Option("--at", help="original: its own plan; current: today's definitions.")] = "original",
    limit: LimitOption = None,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Ask for a run once more, by its own commit, params and targets. Exit code with --wait: 0 succeeded, 1 failed."""
    if at not in ("original", "current"):
        raise UsageError(f"--at {at!r}: original or current")
    call = Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout))
    name = meant_run(call.workspace.status(), run, done=failed_only or from_step is not None)
    spec = repeated(name, failed_only=failed_only, from_step=from_step, at=at, dry=dry_run)
    return told(ask("rerun", with_limit(spec, limit), call))


def replay(
    run: RunArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Ask for a run exactly as it was: the same as `rerun --at original`, on all of its targets."""
    call = Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout))
    return told(ask("rerun", repeated(meant_run(call.workspace.status(), run), dry=dry_run), call))


def resume(
    run: RunArgument,
    from_step: FromOption = None,
    limit: LimitOption = None,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Ask to go on where a run stopped: on each target that did not succeed, at its first step that is not done."""
    call = Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout))
    spec = resumed(meant_run(call.workspace.status(), run, done=True), from_step, dry=dry_run)
    return told(ask("resume", with_limit(spec, limit), call))
