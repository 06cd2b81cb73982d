"""`get`, `describe`, `history`, `next`, `logs`: what is defined and what happened, read by git alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsconductor import exits, waiting
from opsconductor.cli.decisiontable import decision_table, of_schedule
from opsconductor.cli.options import (
    BranchOption,
    LogsOption,
    OfflineOption,
    OutputOption,
    RemoteOption,
    RepoOption,
    ShownTokenOption,
    StateOption,
    UrlOption,
)
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.kindnames import STATUS_FOLDERS, kind_named
from opsconductor.terminal import chatter

if TYPE_CHECKING:
    from opsconductor.settings import StateFolder
    from opsconductor.status import StatusReader
    from opsconductor.workspace import Workspace

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="job, target, schedule, run, ... in any spelling.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("get")(get)
    app.command("describe")(describe)
    app.command("history")(history)
    app.command("next")(upcoming)
    app.command("logs")(logs)


def get(
    kind: KindArgument,
    name: Annotated[
        str | None,
        typer.Argument(
            help="One of them, a job for its runs, or a schedule for what was decided of it; all by default."
        ),
    ] = None,
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
) -> int:
    """List documents of a kind with their status; runs newest first. Exit 1 where the named one does not exist."""
    from opsconductor.workspace import Workspace

    check_format(output)
    workspace = Workspace.open(repo, remote=remote, branch=branch, offline=offline)
    wanted = kind_named(kind)
    items = _items(workspace, wanted)
    if name is not None:
        items = _called(name, items) or (of_schedule(name, items) if wanted == "Decision" else [])
    status = workspace.status()
    nothing = f"no {wanted}{f' {name!r}' if name else ''} found"
    show(_table(wanted, items, status, empty=nothing), output)
    if wanted == "Gate" and items and output in ("table", "wide"):
        chatter("to answer one: opsconductor approve GATE, or reject GATE")
    return exits.FINDINGS if name is not None and not items else exits.OK


def describe(
    kind: KindArgument,
    name: Annotated[str, typer.Argument(help="Its name; for a run a unique beginning or the job's name will do.")],
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
    state: StateOption = None,
    output: OutputOption = "yaml",
) -> int:
    """One document whole, with its status beside it.

    Which runs opened a Credential is told where the engine runs, from its state folder.
    """
    from opsconductor.workspace import Workspace

    if check_format(output) in ("table", "wide"):
        output = "yaml"
    workspace = Workspace.open(repo, remote=remote, branch=branch, offline=offline)
    wanted = kind_named(kind)
    status = workspace.status()
    if wanted == "Run":
        found = status.run(name) if status else None
    else:
        found = next((i for i in _items(workspace, wanted) if i["metadata"]["name"] == name), None)
        beside = status.read(f"{STATUS_FOLDERS[wanted]}/{name}.yaml") if status and wanted in STATUS_FOLDERS else None
        if found is not None and beside is not None and "status" not in found:
            found = {**found, "status": beside.get("status", {})}
        if found is not None and wanted == "Credential":
            found = _with_uses(found, workspace.state_folder(state))
    if found is None:
        chatter(f"no {wanted} {name!r} found")
        return exits.FINDINGS
    show(Table((), (), found), output)
    return exits.OK


def _with_uses(found: dict[str, Any], folder: "StateFolder") -> dict[str, Any]:
    """The Credential with what opened it, where this machine knows: that stands in the engine's store alone."""
    from engine.status.yamltext import stamp
    from journal import uses
    from journal.errors import Refused, Unavailable

    try:
        known = uses.kept_in(folder.journal, found["metadata"]["name"])
    except (Refused, Unavailable) as error:
        chatter(error.message)
        return found
    if known is None:
        chatter("which runs opened it is told where the engine runs (--state), and by its dashboard")
        return found
    by_runs, steady = known
    shown = [{"run": one.run, "target": one.target, "runner": one.runner, "at": stamp(one.at)} for one in by_runs]
    others = [
        {"by": one.used_by, "runner": one.runner, "since": stamp(one.first), "at": stamp(one.last)} for one in steady
    ]
    return {**found, "status": {**found.get("status", {}), "uses": shown, "otherUses": others}}


def history(
    job: Annotated[str, typer.Argument(help="The job.")],
    output: OutputOption = "table",
    limit: Annotated[int, typer.Option("--limit", help="How many at most.", min=1)] = 20,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
) -> int:
    """The runs of a job, also from before it was renamed, newest first. Exit 1 where there is none."""
    from opsconductor.status import queued_at
    from opsconductor.workspace import Workspace

    check_format(output)
    status = Workspace.open(repo, remote=remote, branch=branch, offline=offline).status()
    runs = list(status.runs_of(job)) if status else []
    runs = sorted(runs, key=queued_at, reverse=True)[:limit]
    show(_table("Run", runs, status, empty=f"no run of {job!r} is recorded"), output)
    return exits.OK if runs else exits.FINDINGS


def upcoming(
    start: Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="RFC 3339; now by default.")] = None,
    within: Annotated[str, typer.Option("--within", metavar="DURATION", help="How far to look.")] = "24h",
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
) -> int:
    """When schedules fire next, in their own zone and in UTC."""
    from engine.schedules.fires import dropped
    from engine.schedules.fires import upcoming as fires
    from engine.times.recurrence import YEARS, is_within
    from engine.times.zones import source
    from opsconductor.workspace import Workspace
    from schemas.quantities import format_instant, parse_duration, parse_instant

    check_format(output)
    try:
        begin = parse_instant(start) if start else datetime.now(UTC).replace(microsecond=0)
        if not is_within(begin):
            raise ValueError(YEARS)
        end = begin + parse_duration(within)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--from and --within: {error}") from error
    catalog = _catalog(Workspace.open(repo, remote=remote, branch=branch, offline=offline))
    found = fires(catalog, begin, end)
    left_out = dropped(catalog, begin, end)
    data = [fire.to_json() for fire in found]
    rows = [(f["local"], f["timeZone"] or "UTC", f["instant"], f["schedule"], f["decision"], _why(f)) for f in data]
    if output in ("table", "wide") and len(rows) > _MOST_ROWS:
        chatter(f"the first {_MOST_ROWS} of {len(rows)}; narrow --within, or ask with -o json")
        rows = rows[:_MOST_ROWS]
    for one in left_out:
        chatter(f"{one.schedule}: {one.message} ({one.time_zone}, dst.gap: skip)")
    columns = ("LOCAL", "ZONE", "UTC", "SCHEDULE", "DECISION", "REASON")
    nothing = f"nothing is due from {format_instant(begin)} within {within}"
    facts = {
        "fires": data,
        "dropped": [one.to_json() for one in left_out],
        "timeZoneData": source().to_json(),
    }
    show(Table(columns, rows, facts, empty=nothing), output)
    return exits.OK


def logs(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its id, a unique beginning, or a job's name.")],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target.")] = None,
    step: Annotated[str | None, typer.Option("--step", "-s", help="Only this step.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")] = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
    state: StateOption = None,
    logs: LogsOption = None,
    url: UrlOption = None,
    token: ShownTokenOption = None,
) -> int:
    """What the steps printed: from the state folder on this machine, else --logs, --url, or the tails on the branch."""
    from opsconductor.runlog import Reader
    from opsconductor.service.dashboardlogs import DashboardLogs
    from opsconductor.workspace import Workspace

    if follow and offline:
        raise UsageError("-f follows the run as it goes on; it cannot be --offline")
    workspace = Workspace.open(repo, remote=remote, branch=branch, offline=offline)
    place, dashboard = workspace.state_folder(state), DashboardLogs.of(url, token)
    reader = Reader(workspace, place, target=target, step=step, url=logs, dashboard=dashboard)
    return reader.show(run, follow=follow)


def _why(fire: Mapping[str, Any]) -> str:
    return f"{fire['reason']}{_held_by(fire)}" if fire["reason"] else _starts(fire)


def _held_by(fire: Mapping[str, Any]) -> str:
    return f" ({', '.join(fire['heldBy'])})" if fire.get("heldBy") else ""


def _starts(fire: Mapping[str, Any]) -> str:
    later = fire["startsAt"] is not None and fire["startsAt"] != fire["instant"]
    return f"starts {fire['startsAt']}{_held_by(fire)}" if later else ""


_MOST_ROWS = 50
_STATUS_KINDS = {
    "JobStatus": "jobs",
    "ScheduleStatus": "schedules",
    "TargetStatus": "targets",
    "RequestStatus": "requests",
    "TriggerStatus": "triggers",
    "ChannelStatus": "channels",
    "WorkflowStatus": "workflows",
    "DiscoveryReport": "discoveries",
    "Gate": "gates",
    "Decision": "decisions",
    "Run": "runs",
}


def _items(workspace: "Workspace", kind: str) -> list[dict[str, Any]]:
    if kind in _STATUS_KINDS or kind == "SyncStatus":
        return _published(workspace.status(), kind)
    compiled = workspace.definitions()
    documents = [authored.document for authored in (*compiled.definitions, *compiled.acts)]
    return [d.to_json() for d in sorted(documents, key=lambda d: d.name) if d.kind == kind]


def _called(name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The one of this name, the runs of the job of this name, or those runs whose ids begin so."""
    runs = [item for item in items if item.get("kind") == "Run"]
    return (
        [item for item in items if item["metadata"]["name"] == name]
        or [run for run in runs if name in _subject(run)]
        or [run for run in runs if run["metadata"]["name"].startswith(name)]
    )


def _published(status: "StatusReader | None", kind: str) -> list[dict[str, Any]]:
    from opsconductor.status import queued_at

    if status is None:
        return []
    if kind == "SyncStatus":
        return [found] if (found := status.read("sync.yaml")) else []
    if kind == "Run":
        return sorted(status.runs(), key=queued_at, reverse=True)
    if kind == "Gate":
        return waiting.listed(status)
    return list(status.each(_STATUS_KINDS[kind], newest_first=kind == "Decision"))


def _catalog(workspace: "Workspace") -> Any:
    catalog = workspace.definitions().catalog
    if catalog is None:
        raise UsageError("the definitions have errors; see 'opsconductor validate'")
    return catalog


def _table(kind: str, items: list[dict[str, Any]], status: "StatusReader | None", *, empty: str) -> Table:
    data = {"items": items}
    rows: list[tuple[str, ...]]
    if kind == "Run":
        columns: tuple[str, ...] = ("RUN", "STATE", "STARTED", "TOOK", "TARGETS", "CAUSE", "REASON")
        return Table(columns, [_run_row(i) for i in items], data, ("ATTEMPT", "RUNNER", "COMMIT"), empty)
    if kind == "RequestStatus":
        return Table(("NAME", "STATE", "REASON", "RUN"), [_request_row(i) for i in items], data, ("MESSAGE",), empty)
    if kind == "Gate":
        return Table(waiting.COLUMNS, [waiting.row(i) for i in items], data, waiting.WIDE, empty)
    if kind == "SyncStatus":
        return Table(
            ("APPLIED", "OBSERVED", "READY", "MESSAGE"), [_sync_row(i) for i in items], data, ("ENGINE",), empty
        )
    if kind == "ChannelStatus":
        columns = ("NAME", "STATE", "WAITING", "DEAD", "LAST DELIVERED", "ERROR")
        return Table(columns, [_channel_row(i) for i in items], data, ("FAILING SINCE",), empty)
    if kind == "Decision":
        return decision_table(items, empty=empty)
    if kind in _STATUS_KINDS:
        rows = [(_name(i), *_status_cells(i.get("status"))) for i in items]
        return Table(("NAME", "STATE", "LAST RUN"), rows, data, (), empty)
    if kind in STATUS_FOLDERS and status is not None:
        beside = {i["metadata"]["name"]: i.get("status", {}) for i in status.each(STATUS_FOLDERS[kind])}
        rows = [(_name(i), *_status_cells(beside.get(_name(i))), _about(i), _labels(i)) for i in items]
        return Table(("NAME", "STATE", "LAST RUN", "DESCRIPTION"), rows, data, ("LABELS",), empty)
    rows = [(_name(i), _about(i), _labels(i)) for i in items]
    return Table(("NAME", "DESCRIPTION"), rows, data, ("LABELS",), empty)


def _name(item: dict[str, Any]) -> str:
    return str(item.get("metadata", {}).get("name", ""))


def _labels(item: dict[str, Any]) -> str:
    labels = item.get("metadata", {}).get("labels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _about(item: dict[str, Any]) -> str:
    return str(item.get("metadata", {}).get("description") or "")


def _status_cells(status: dict[str, Any] | None) -> tuple[str, str]:
    if not status:
        return ("", "")
    last = status.get("lastRun") or status.get("lastDecision") or status.get("lastEvent") or {}
    state = status.get("state") or last.get("state") or last.get("reason") or last.get("decision") or ""
    return (str(state), str(status.get("run") or last.get("run") or ""))


def _channel_row(item: dict[str, Any]) -> tuple[str, ...]:
    status = item["status"]
    numbers = (str(status.get(key, "")) for key in ("waiting", "deadLetters"))
    rest = (str(status.get(key) or "") for key in ("lastDelivered", "error", "failingSince"))
    return (_name(item), str(status.get("state") or ""), *numbers, *rest)


def _request_row(item: dict[str, Any]) -> tuple[str, ...]:
    status = item["status"]
    return (item["metadata"]["name"], *(str(status.get(key) or "") for key in ("state", "reason", "run", "message")))


def _subject(run: dict[str, Any]) -> tuple[Any, ...]:
    """What a run is of: a job or a workflow."""
    return (run["spec"].get("job"), run["spec"].get("workflow"))


def _sync_row(item: dict[str, Any]) -> tuple[str, ...]:
    status = item.get("status", {})
    engine = status.get("engine") or {}
    ready: dict[str, Any] = next((c for c in status.get("conditions") or [] if c.get("type") == "Ready"), {})
    return (
        *(str(status.get(key) or "-")[:12] for key in ("appliedCommit", "observedCommit")),
        str(ready.get("status") or "-"),
        str(ready.get("message") or ready.get("reason") or ""),
        f"{engine.get('host')}{' (stopped)' if engine.get('closed') else ''}",
    )


def _run_row(run: dict[str, Any]) -> tuple[str, ...]:
    from engine.runs.waits import sentence
    from opsconductor.rehearsed import is_dry, standing

    status, spec = run["status"], run["spec"]
    cause = spec.get("cause", {})
    targets = status.get("targets") or {}
    good = sum(target.get("state") == "succeeded" for target in targets.values())
    return (
        run["metadata"]["name"],
        standing(run),
        str(status.get("startedAt") or "-"),
        _took(status),
        "-" if is_dry(run) else _of_nodes(status) or (f"{good}/{len(spec['targets'])}" if spec.get("targets") else "-"),
        f"{cause.get('kind', '')} {cause.get('name', '')}",
        str(status.get("reason") or sentence(status.get("waitsFor")) or ""),
        str(status.get("attempt") or ""),
        str(status.get("runner") or ""),
        str(spec.get("commit") or "")[:12],
    )


def _of_nodes(status: dict[str, Any]) -> str:
    """Of a workflow's run: how many of its nodes have succeeded."""
    nodes = status.get("nodes") or {}
    good = sum(node.get("state") == "succeeded" for node in nodes.values())
    return f"{good}/{len(nodes)} nodes" if nodes else ""


def _took(status: dict[str, Any]) -> str:
    from schemas.quantities import parse_instant

    begin, end = status.get("startedAt"), status.get("finishedAt")
    if not (begin and end):
        return "-"
    took: timedelta = parse_instant(str(end)) - parse_instant(str(begin))
    return f"{took.total_seconds():.1f}s"
