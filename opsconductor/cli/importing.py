"""`import`: files of other tools as documents for review, in this checkout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsconductor import exits
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from opsconductor.authoring.importing import Import
    from opsconductor.imports.drafts import Reading

_Repo = Annotated[
    Path, typer.Option("--repo", "-C", envvar="OPSCONDUCTOR_REPO", metavar="PATH", help="The definitions repository.")
]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="DIR", help="Folder of the repository to write to: definitions/TOOL if not given."),
]
_Force = Annotated[bool, typer.Option("--force", help="Write over files that were edited since.")]
_Prune = Annotated[
    bool, typer.Option("--prune", help="Remove unedited files of an earlier import that nothing stands for any more.")
]
_Source = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="What to call what is read, in the files; needed to follow -."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would be done.")]
_Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json.")]
_UNITS = (".timer", ".service", ".conf")
_FILES = typer.Argument(metavar="FILE...", help="What to read; - is standard input.")
_Zone = Annotated[
    str | None,
    typer.Option("--time-zone", metavar="ZONE", help="Zone of times that name none; this machine's by default."),
]
_Targets = Annotated[
    list[str],
    typer.Option(
        "--target", metavar="NAME", help="Target the jobs run on; may repeat. Without: localhost, this machine."
    ),
]
_KnownHosts = Annotated[
    list[str],
    typer.Option("--known-hosts", metavar="FILE", help="Where host keys are; may repeat. Without, no host has any."),
]
_Login = Annotated[str | None, typer.Option("--login", metavar="NAME", help="Who logs in where nobody is named.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(help="Move in from another tool.", no_args_is_help=True)
    group.callback()(_of_imports)
    group.command("crontab")(crontab)
    group.command("systemd")(systemd)
    group.command("ansible")(ansible)
    group.command("ssh-config")(ssh_config)
    group.command("rundeck")(rundeck)
    app.add_typer(group, name="import")


def _of_imports() -> None:
    """Read files of another tool and write documents for review. What could not be carried is listed, and exits 1."""


def crontab(
    files: Annotated[list[str], _FILES],
    system: Annotated[
        bool, typer.Option("--system", help="Lines have a user column, as in /etc/crontab and /etc/cron.d.")
    ] = False,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Whose crontab it is; steps become this user.")
    ] = None,
    target: _Targets = [],  # noqa: B006 - typer makes its own
    time_zone: _Zone = None,
    mail_server: Annotated[
        str, typer.Option("--mail-server", metavar="HOST", help="Sends what MAILTO asks for; without TLS, port 25.")
    ] = "localhost",
    to: _To = None,
    repo: _Repo = Path(),
    source: _Source = None,
    force: _Force = False,
    prune: _Prune = False,
    dry_run: _DryRun = False,
    output: _Format = "text",
) -> int:
    """Crontabs as Jobs with Schedules; MAILTO as a NotificationRule."""
    from opsconductor.imports.crontab import Settings, read

    if system and user:
        raise UsageError("--user is for crontabs without a user column; with --system each line names its user")
    settings = Settings(_zone(time_zone), tuple(target), system=system, user=user, mail_server=mail_server)
    reading = read(_contents(files), settings)
    return _brought("crontab", reading, [source] if source else files, to, repo, force, prune, dry_run, output)


def systemd(
    files: Annotated[list[str], _FILES],
    user: Annotated[
        bool, typer.Option("--user", help="They are units of a user's own manager; without, of the system's: root.")
    ] = False,
    target: _Targets = [],  # noqa: B006 - typer makes its own
    time_zone: _Zone = None,
    to: _To = None,
    repo: _Repo = Path(),
    source: _Source = None,
    force: _Force = False,
    prune: _Prune = False,
    dry_run: _DryRun = False,
    output: _Format = "text",
) -> int:
    """Timers and the services they start as Jobs with Schedules: unit files, folders, or what 'systemctl cat' says."""
    from opsconductor.imports.systemd import Settings, read

    reading = read(_contents(files, _UNITS), Settings(_zone(time_zone), tuple(target), of_user=user))
    return _brought("systemd", reading, [source] if source else files, to, repo, force, prune, dry_run, output)


def ansible(
    files: Annotated[list[str], _FILES],
    known_hosts: _KnownHosts = [],  # noqa: B006 - typer makes its own
    login: _Login = None,
    to: _To = None,
    repo: _Repo = Path(),
    source: _Source = None,
    force: _Force = False,
    prune: _Prune = False,
    dry_run: _DryRun = False,
    output: _Format = "text",
) -> int:
    """Inventories (INI, YAML, group_vars, host_vars) as Targets and TargetGroups."""
    from opsconductor.imports.ansible import Settings, read

    reading = read(_contents([*files, *_vars_beside(files)]), Settings(login, _contents(known_hosts), files))
    return _brought("ansible", reading, [source] if source else files, to, repo, force, prune, dry_run, output)


def rundeck(
    files: Annotated[list[str], _FILES],
    target: _Targets = [],  # noqa: B006 - typer makes its own
    time_zone: _Zone = None,
    mail_server: Annotated[
        str, typer.Option("--mail-server", metavar="HOST", help="Sends mail; without TLS, port 25.")
    ] = "localhost",
    to: _To = None,
    repo: _Repo = Path(),
    source: _Source = None,
    force: _Force = False,
    prune: _Prune = False,
    dry_run: _DryRun = False,
    output: _Format = "text",
) -> int:
    """Jobs as Rundeck exports them in YAML: Jobs, Workflows, Schedules, notifications."""
    from opsconductor.imports.rundeck import Settings, read

    reading = read(_contents(files, (".yaml", ".yml")), Settings(_zone(time_zone), tuple(target), mail_server))
    return _brought("rundeck", reading, [source] if source else files, to, repo, force, prune, dry_run, output)


def ssh_config(
    files: Annotated[list[str], _FILES],
    known_hosts: _KnownHosts = [],  # noqa: B006 - typer makes its own
    login: _Login = None,
    to: _To = None,
    repo: _Repo = Path(),
    source: _Source = None,
    force: _Force = False,
    prune: _Prune = False,
    dry_run: _DryRun = False,
    output: _Format = "text",
) -> int:
    """Hosts of ssh's configuration as Targets, with their jump hosts and the Credentials to be made."""
    from opsconductor.imports.sshhosts import Settings, read

    reading = read(_contents(files), Settings(login, _contents(known_hosts)))
    return _brought("ssh-config", reading, [source] if source else files, to, repo, force, prune, dry_run, output)


def _brought(
    tool: str,
    reading: "Reading",
    sources: Sequence[str],
    to: str | None,
    repo: Path,
    force: bool,
    prune: bool,
    dry_run: bool,
    output: str,
) -> int:
    from opsconductor.authoring.importing import Into, prepared, write
    from opsconductor.authoring.libraries import root_of

    if output not in ("text", "json"):
        raise UsageError(f"--format {output}: there are text, json")
    into = Into.checkout(root_of(repo), to or f"definitions/{tool}", tool)
    made = prepared(into, reading, sources, force=force, prune=prune)
    if not dry_run:
        write(made)
    if output == "json":
        typer.echo(json.dumps(_data(made), indent=2, ensure_ascii=False))
    else:
        _tell(made, would=dry_run)
    return exits.OK if made.clean else exits.FINDINGS


def _tell(made: "Import", *, would: bool) -> None:
    from opsconductor.authoring.importing import LEFT

    for remark in made.remarks:
        sort = "not carried: " if remark.lost else "note: "
        typer.echo(printable(f"{remark.place.file}:{remark.place.line}: {sort}{remark.what}"))
        if remark.hint:
            typer.echo(printable(f"    hint: {remark.hint}"))
    for one in made.files:
        if one.fate in LEFT:
            typer.echo(printable(f"{one.path}: left as it is: {one.why}"))
        if one.fate == "edited":
            typer.echo(printable(one.difference()))
    counts = {fate: sum(one.fate == fate for one in made.files) for fate in ("new", "changed", "same", "removed")}
    left = sum(one.fate in LEFT for one in made.files)
    lost = sum(one.lost for one in made.remarks)
    said = ", ".join(
        f"{count} {word}"
        for count, word in (
            (counts["new"], "new"),
            (counts["changed"], "changed"),
            (counts["removed"], "removed"),
            (counts["same"], "as they were"),
            (left, "left as they are"),
        )
        if count
    )
    chatter(f"files: {said or 'none'}{' (nothing was written)' if would else ''}; not carried: {lost}")


def _data(made: "Import") -> dict[str, Any]:
    return {
        "files": [{"path": one.path, "fate": one.fate, "why": one.why or None} for one in made.files],
        "remarks": [
            {
                "file": one.place.file,
                "line": one.place.line,
                "carried": not one.lost,
                "message": one.what,
                "hint": one.hint,
            }
            for one in made.remarks
        ],
    }


def _contents(files: Sequence[str], suffixes: Sequence[str] = ()) -> dict[str, bytes]:
    """What was named, by its name: files, the files in folders (with these suffixes), and standard input."""
    import sys

    from opsconductor.authoring.importing import content, files_of, fits_together
    from opsconductor.imports.drafts import MAX_BYTES

    found: dict[str, bytes] = {}
    for name in files:
        if name == "-":
            found["-"] = sys.stdin.buffer.read(MAX_BYTES + 1)
            if len(found["-"]) > MAX_BYTES:
                raise UsageError(f"-: more than {MAX_BYTES:,} bytes; divide it, and import the parts")
        elif Path(name).is_dir():
            found |= files_of(Path(name), name, suffixes=suffixes)
        else:
            found[name] = content(Path(name))
        fits_together(found)
    return found


def _vars_beside(files: Sequence[str]) -> list[str]:
    """The folders of variables that Ansible reads beside an inventory file; in a folder they are read anyway."""
    parents = dict.fromkeys(Path(name).parent for name in files if name != "-" and not Path(name).is_dir())
    beside = (parent / sort for parent in parents for sort in ("group_vars", "host_vars"))
    return [str(folder) for folder in beside if folder.is_dir() and str(folder) not in files]


def _zone(given: str | None) -> str:
    """The zone that was given, or this machine's. Raises UsageError where neither is one."""
    from zoneinfo import available_timezones

    from opsconductor.localzone import name_of_local_zone

    name = given or name_of_local_zone()
    if name is None:
        raise UsageError("this machine's time zone has no name here; give one with --time-zone, as in Europe/Chisinau")
    if name not in available_timezones():
        raise UsageError(f"--time-zone {name}: not a zone; write its IANA name, as in Europe/Chisinau or UTC")
    return name
