"""`why`: what was decided for an instant of a schedule, by which rule, from which commit."""

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsconductor import exits
from opsconductor.cli.options import BranchOption, OfflineOption, OutputOption, RemoteOption, RepoOption
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from opsconductor.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("why")(why)


def why(
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule, or trigger/NAME.")],
    instant: Annotated[str | None, typer.Argument(help="RFC 3339; the last decided and the next by default.")] = None,
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
) -> int:
    """Say what was decided for an instant, or will be, and why; of trigger/NAME what became of its newest events.

    Exit 1 where there is no such schedule or trigger.
    """
    from opsconductor.inquiry import Inquiry
    from opsconductor.whyreport import as_data, as_lines
    from opsconductor.workspace import Workspace
    from schemas.quantities import parse_instant

    check_format(output)
    if schedule.startswith("trigger/"):
        if instant is not None:
            raise UsageError("an instant is asked for of a schedule; a trigger tells of its newest events")
        name = schedule.removeprefix("trigger/")
        return _of_trigger(name, Workspace.open(repo, remote=remote, branch=branch, offline=offline), output)
    try:
        asked = parse_instant(instant) if instant is not None else None
    except ValueError as error:
        raise UsageError(f"{instant}: {error}") from error
    inquiry = Inquiry.open(repo, remote=remote, branch=branch, offline=offline, now=datetime.now(UTC))
    if (now := inquiry.now_called(schedule)) != schedule:
        chatter(f"Schedule {schedule!r} is called {now!r} now")
        schedule = now
    if not inquiry.knows(schedule):
        if inquiry.catalog is None:
            raise UsageError(_AT_FAULT)
        near = difflib.get_close_matches(schedule, inquiry.names, n=1)
        where = "" if inquiry.at_hand is not None else _IN_FORCE
        chatter(f"there is no Schedule {schedule!r}{where}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return exits.FINDINGS
    answers = inquiry.last_and_next(schedule) if asked is None else (inquiry.answer(schedule, asked),)
    if output in ("table", "wide"):
        lines = [line for answer in answers for line in as_lines(answer)]
        typer.echo("\n".join(printable(line.replace("\n", " ")) for line in lines or _NEVER))
    else:
        show(Table((), (), {"schedule": schedule, "answers": [as_data(answer) for answer in answers]}), output)
    return exits.OK


def _of_trigger(name: str, workspace: "Workspace", output: str) -> int:
    """What became of the newest events of a trigger."""
    catalog, status = workspace.definitions().catalog, workspace.status()
    known = sorted(catalog.triggers) if catalog is not None else []
    found = status.read(f"triggers/{name}.yaml") if status is not None else None
    if found is None and name not in known:
        if catalog is None:
            raise UsageError(_AT_FAULT)
        near = difflib.get_close_matches(name, known, n=1)
        chatter(f"there is no Trigger {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return exits.FINDINGS
    events = found["status"]["events"] if found is not None else []
    if output in ("table", "wide"):
        lines = [line for event in events for line in _event_lines(event)] or ["nothing has set it off yet"]
        typer.echo("\n".join(printable(line.replace("\n", " ")) for line in lines))
    else:
        show(Table((), (), {"trigger": name, "events": events}), output)
    return exits.OK


def _event_lines(event: dict[str, Any]) -> Iterator[str]:
    reason = f": {event['reason']}" if event.get("reason") else ""
    many = f" ({event['times']} times within the hour)" if event.get("times") else ""
    yield f"{event['at']} {event.get('type') or event['event']}: {event['state']}{reason}{many}"
    for key in ("message", "run", "delivery"):
        if event.get(key):
            yield f"  {event[key]}" if key == "message" else f"  {key}: {event[key]}"


_AT_FAULT = "the definitions have errors; see 'opsconductor validate'"
_IN_FORCE = " in force, and the definitions at hand have errors (see 'opsconductor validate')"
_NEVER = ["nothing was decided yet, and nothing is due"]
