"""`discover`: ask for a scan of a Discovery, or look at what one would do."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsconductor import exits
from opsconductor.acts import scanned
from opsconductor.cli.ask import (
    Call,
    OnBranchOption,
    ReasonOption,
    TimeoutOption,
    WaitOption,
    ask,
    patience_of,
    told,
)
from opsconductor.cli.options import BranchOption, OutputOption, RemoteOption, RepoOption
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter

if TYPE_CHECKING:
    from engine.catalog import Catalog
    from opsconductor.workspace import Workspace
    from schemas.discovery import Discovery


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("discover")(discover)


def discover(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The Discovery to scan or read for.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked, from where; scan nothing.")
    ] = False,
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Ask for a scan; what it finds is proposed on a branch. Exit code with --wait: 0 succeeded, 1 failed, 3 open.

    The engine scans, on a runner of the Discovery's pool. With --dry-run nobody is asked anything.
    """
    from opsconductor.workspace import Workspace

    check_format(output)
    patience = patience_of(wait, timeout)
    workspace = Workspace.open(repo, remote=remote, branch=branch)
    if dry_run:
        return _rehearsed(workspace, name, output)
    _warn_of_typo(workspace, name)
    return told(ask(f"discover-{name}", scanned(name), Call(workspace, reason, on_branch, patience)))


def _warn_of_typo(workspace: "Workspace", name: str) -> None:
    """The definitions that are in force decide; what is here may be older or newer."""
    catalog = workspace.definitions().catalog
    if catalog is not None and name not in catalog.discoveries:
        chatter(_unknown(catalog, name))


def _unknown(catalog: "Catalog", name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, catalog.discoveries, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no Discovery {name!r} in these definitions{meant}"


def _rehearsed(workspace: "Workspace", name: str, output: str) -> int:
    catalog = workspace.definitions().catalog
    if catalog is None:
        raise UsageError("the definitions have errors; see 'opsconductor validate'")
    if name not in catalog.discoveries:
        raise UsageError(_unknown(catalog, name))
    facts = _facts(catalog, catalog.discoveries[name])
    show(Table(("WHAT", "VALUE"), [(key, _text(value)) for key, value in facts.items()], facts), output)
    chatter("nothing was scanned; without --dry-run the engine is asked to")
    return exits.OK


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _facts(catalog: "Catalog", discovery: "Discovery") -> dict[str, Any]:
    """What a scan would ask, by whom, and where its proposal would go. Raises UsageError where it would be refused."""
    import shlex

    from engine.runs.refused import PlanRefused
    from engine.runs.scanplan import plan_scan
    from runners.nmap.plans import scans_of
    from runners.nmap.scan import NotAllowed

    planned = plan_scan(catalog, discovery)
    if isinstance(planned, PlanRefused):
        raise UsageError(planned.message)
    (step,) = planned.spec.steps
    spec = discovery.spec
    where = {"branch": spec.propose.branch, "path": str(spec.propose.path)}
    pool = spec.runs_on.pool or catalog.default_pool
    if spec.from_ is not None:
        source = (
            {"command": shlex.join(spec.from_.command)}
            if spec.from_.command is not None
            else {"url": spec.from_.http.url if spec.from_.http is not None else ""}
        )
        networks = [str(one) for one in planned.spec.networks]
        return {"discovery": discovery.name, "pool": pool, **source, "asksHostsIn": networks, **where}
    try:
        scans = list(scans_of(step.action.inputs, planned.spec.networks))  # type: ignore[union-attr]
    except NotAllowed as error:
        raise UsageError(str(error)) from error
    return {
        "discovery": discovery.name,
        "pool": pool,
        "networks": [str(one) for one in spec.networks],
        "exclude": [str(one) for one in spec.exclude],
        "addresses": sum(scan.addresses for scan in scans),
        "ports": [str(one) for one in spec.ports],
        "packetsPerSecond": max(scan.rate or 0 for scan in scans),
        "commands": [" ".join(scan.argv) for scan in scans],
        **where,
    }
