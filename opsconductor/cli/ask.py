"""`run`, `exec`, `cancel`: write the act, commit it, push it; follow it on the status branch when asked to."""

import re
import shlex
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from opsconductor import exits
from opsconductor.acts import Act, act_name, because, cancelled, plain_secrets, started
from opsconductor.cli.options import BranchOption, OutputOption, RemoteOption, RepoOption, StateOption
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from opsconductor.follow import Followed
    from opsconductor.status import StatusReader
    from opsconductor.workspace import Workspace

ParamOption = Annotated[list[str], typer.Option("-p", "--param", metavar="K=V", help="A param; may repeat. V is YAML.")]
LimitOption = Annotated[str | None, typer.Option("--limit", "-l", metavar="L", help="Selector, or names with commas.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end; the exit code tells.")]
TimeoutOption = Annotated[str, typer.Option("--timeout", help="With --wait: how long to wait (exit code 3).")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show per target what would run, and run nothing.")]
OnBranchOption = Annotated[bool, typer.Option("--on-branch", help="Push to the definitions branch instead.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("run")(run)
    app.command("exec")(execute)
    app.command("cancel")(cancel)


def run(
    job: Annotated[str, typer.Argument(help="The job or workflow to run.")],
    param: ParamOption = [],  # noqa: B006 - typer's way to say "none"
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
    """Ask for a run of a job or workflow. Exit code with --wait: 0 succeeded, 1 failed, 3 still open.

    With --dry-run --wait the steps that would run, as far as they are known, are printed for each target.
    """
    from opsconductor.workspace import Workspace

    workspace = Workspace.open(repo, remote=remote, branch=branch)
    _warn_of_typo(workspace, job)
    params = dict(_param(text) for text in param)
    _check_texts(workspace, job, param)
    spec = started(job, workflow=_is_workflow(workspace, job), params=params, dry=dry_run)
    call = Call(workspace, reason, on_branch, patience_of(wait, timeout))
    return told(ask(job, with_limit(spec, limit), call))


def execute(
    targets: Annotated[str, typer.Argument(metavar="L", help="A label selector, or target names with commas.")],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="What to run on each of them.")],
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    state: StateOption = None,
) -> int:
    """Run one command on targets, as a job that exists once. One word is taken as a script, several as a command.

    With --wait, what it printed follows as `TARGET | line`: from the engine's state folder, if that is on this machine.
    """
    from opsconductor.workspace import Workspace

    check_format(output)
    script = command[0] if len(command) == 1 else shlex.join(command)
    spec = {"job": {"targets": _selection(targets), "steps": [{"id": "command", "run": script}]}}
    workspace = Workspace.open(repo, remote=remote, branch=branch)
    asked = ask("exec", spec, Call(workspace, reason, on_branch, patience_of(wait, timeout)))
    if asked.followed is None and output in ("table", "wide"):
        return told(asked)
    _show_answers(asked, output, state)
    return asked.code


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its id, a unique beginning, or a job's name.")],
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Ask for the end of a run: its steps are ended, `finally` still runs. With --wait: 0 once the run has ended."""
    call = Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout))
    name = _open_run(call.workspace.status(), run)
    return told(ask("cancel", cancelled(name), call))


@dataclass(frozen=True, slots=True)
class Call:
    """What all commands that ask have in common. `patience` is None without --wait."""

    workspace: "Workspace"
    reason: str
    on_branch: bool
    patience: timedelta | None

    @classmethod
    def on(
        cls, repo: str, remote: str | None, branch: str, reason: str, on_branch: bool, patience: timedelta | None
    ) -> "Call":
        """A call on the repository that the options name."""
        from opsconductor.workspace import Workspace

        return cls(Workspace.open(repo, remote=remote, branch=branch), reason, on_branch, patience)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was pushed; `followed` with --wait."""

    name: str
    workspace: "Workspace"
    followed: "Followed | None"

    @property
    def run(self) -> dict[str, Any] | None:
        return self.followed.run if self.followed else None

    @property
    def refused(self) -> bool:
        """Whether the engine has said no."""
        answer = self.followed.answer if self.followed else None
        return bool(answer and answer["status"]["state"] == "refused")

    @property
    def code(self) -> int:
        return self.followed.code if self.followed else exits.OK


def patience_of(wait: bool, timeout: str) -> timedelta | None:
    """How long to follow what was asked for; None: not at all."""
    from schemas.quantities import parse_duration

    try:
        return parse_duration(timeout) if wait else None
    except ValueError as error:
        raise UsageError(f"--timeout {timeout!r}: {error}") from error


def ask(about: str, spec: dict[str, Any], call: Call) -> Asked:
    """Push the request, and follow it where that was asked for."""
    return pushed("RunRequest", about, spec, call)


def pushed(kind: Literal["RunRequest", "Approval"], about: str, spec: dict[str, Any], call: Call) -> Asked:
    """Push the act, and follow it where that was asked for."""
    from opsconductor.follow import follow, say_if_nobody_listens

    workspace = call.workspace
    act = Act(kind, act_name(about, datetime.now(UTC)), because(spec, call.reason))
    name = act.name
    workspace.check_act(act.text)
    commit = workspace.push_act(name, act.text, on_branch=call.on_branch)
    chatter(f"asked: {name} (commit {commit[:12]})")
    if call.patience is None:
        say_if_nobody_listens(workspace)
        chatter("follow it with --wait, or look: opsconductor get runs")
        return Asked(name, workspace, None)
    followed = follow(workspace, name, patience=call.patience, pause=workspace.pause, clock=time.monotonic)
    return Asked(name, workspace, followed)


def told(asked: Asked) -> int:
    """The one line of data: the run that came of it, or without --wait the request. Of a dry run, all that it says."""
    from opsconductor.follow import is_open, say_what_failed
    from opsconductor.rehearsed import is_dry, lines

    if asked.followed is None:
        typer.echo(asked.name)
    elif asked.run is not None and is_dry(asked.run):
        typer.echo(printable("\n".join(lines(asked.run))))
    elif asked.run is not None and not is_open(asked.run):
        if not asked.refused:  # else the run is what the request was about, and has nothing to do with the answer
            say_what_failed(asked.run)
        typer.echo(asked.run["metadata"]["name"])
    return asked.code


def _show_answers(asked: Asked, output: str, state: str | None) -> None:
    from opsconductor.answers import answers, show_answers

    run = asked.run
    found = answers(run, asked.workspace.state_folder(state).logs) if run else ()
    if output in ("table", "wide"):
        show_answers(found)
        return
    about = run or (asked.followed.answer if asked.followed else None)
    data = {
        "request": asked.name,
        "run": run["metadata"]["name"] if run else None,
        "state": about["status"]["state"] if about else None,
        "reason": about["status"].get("reason") if about else None,
        "targets": [answer.as_data() for answer in found],
    }
    show(Table((), (), data), output)


def _open_run(status: "StatusReader | None", wanted: str) -> str:
    """The id of the run that is meant: of a job, or of several that begin so, the one that is still open."""
    from engine.states import RunState, is_final

    alike = list(status.runs(wanted)) if status else []
    found = [run for run in alike if wanted in _names(run)] or alike
    names = [run["metadata"]["name"] for run in found if not is_final(RunState(run["status"]["state"]))]
    if len(names) > 1:
        raise UsageError(f"{wanted!r} is {len(names)} open runs; name one of them: {', '.join(names)}")
    return str(names[0] if names else found[0]["metadata"]["name"] if len(found) == 1 else wanted)


def meant_run(status: "StatusReader | None", wanted: str, *, done: bool = False) -> str:
    """The id of the run that is meant: by a unique beginning, or the newest of a job or workflow of this name.

    `done`: the newest that has done something, since a dry run leaves nothing to go on from. What nobody knows is left
    to the engine to refuse.
    """
    from opsconductor.rehearsed import is_dry
    from opsconductor.status import queued_at

    if status is None:
        return wanted
    if (found := status.run(wanted)) is not None:
        if wanted in _names(found)[1:]:
            real = [run for run in status.runs_of(wanted) if not is_dry(run)] if done else []
            found = max(real, key=queued_at, default=found)
            chatter(f"the newest run of {wanted}: {found['metadata']['name']}")
        return str(found["metadata"]["name"])
    names = [run["metadata"]["name"] for run in status.runs(wanted)]
    if names:
        raise UsageError(f"{wanted!r} is {len(names)} runs; name one of them: {', '.join(names[:10])}")
    return wanted


def _names(run: dict[str, Any]) -> tuple[str, ...]:
    return (run["metadata"]["name"], str(run["spec"].get("job") or run["spec"].get("workflow")))


def _param(text: str) -> tuple[str, Any]:
    from schemas.reader import plain

    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key):
        raise UsageError(f"-p {text!r}: write name=value")
    try:
        return key, plain(value)
    except ValueError as error:
        raise UsageError(f"""-p {text!r}: {error}; text goes in quotes: -p '{key}="..."'""") from error


def _is_workflow(workspace: "Workspace", name: str) -> bool:
    """What a name means here: a job, or a workflow where there is no such job."""
    catalog = workspace.definitions().catalog
    return catalog is not None and name not in catalog.jobs and name in catalog.workflows


def _warn_of_typo(workspace: "Workspace", job: str) -> None:
    """The definitions that are in force decide; what is here may be older or newer, but is most often the same."""
    import difflib

    catalog = workspace.definitions().catalog
    if catalog is not None and job not in catalog.jobs and job not in catalog.workflows:
        near = difflib.get_close_matches(job, (*catalog.jobs, *catalog.workflows), n=1)
        chatter(f"there is no Job {job!r} in these definitions{f'; did you mean {near[0]!r}?' if near else ''}")


def _check_texts(workspace: "Workspace", job: str, given: list[str]) -> None:
    """Say how to quote a text that YAML reads as a number or a truth value, before anybody is asked.

    A secret in plain text goes no further: the engine would refuse it, once it is in the history of git.
    """
    catalog = workspace.definitions().catalog
    meant = (catalog.jobs.get(job) or catalog.workflows.get(job)) if catalog is not None else None
    known = meant.spec.params if meant is not None else {}
    for text in given:
        name, value = _param(text)
        if plain_secrets(known, {name: value}):
            takes = f"-p '{name}={{credentialRef: NAME, field: FIELD}}'"
            raise UsageError(
                f"{name!r} is a secret and never stands in git: name the Credential that holds it: {takes}"
            )
        plain = text.partition("=")[2]
        read_otherwise = isinstance(value, bool | int | float) or not plain  # `null` leaves the param out
        if known.get(name, {}).get("type") == "string" and read_otherwise:
            quoted = f"""-p '{name}="{plain}"'"""
            raise UsageError(f"-p {text}: {name!r} is text, and this is read as {_kind(value)}; quote it: {quoted}")


def _kind(value: Any) -> str:
    return "true or false" if isinstance(value, bool) else "nothing" if value is None else "a number"


def with_limit(spec: dict[str, Any], limit: str | None) -> dict[str, Any]:
    """The spec with the limit of the command line, if there is one."""
    return {**spec, "limit": _selection(limit)} if limit else spec


def _selection(text: str) -> dict[str, Any]:
    from engine.selection import parse_limit

    try:
        return parse_limit(text).to_json()
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from error
