"""`runner`: works on runs and messages of its pools; any number on one database."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from opsconductor.cli.engineoptions import (
    DatabaseOption,
    GraceOption,
    LogFormatOption,
    WebhooksOption,
    address_of,
    database_of,
    log_format_of,
    patience_of,
)
from opsconductor.cli.options import IdentityOption, LogsOption, RestrictedOption, SecretDirOption, StateOption
from opsconductor.exits import UsageError
from opsconductor.settings import (
    RunningSettings,
    StateFolder,
    database_files,
    identities,
    secret_host,
    secret_variables,
    state_home,
)
from schemas.runnerlabels import LABEL_KEY, LABEL_VALUE

_POOL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(f"{LABEL_KEY.strip('^$')}={LABEL_VALUE.strip('^$')}")
_MOST = 1_000

PoolOption = Annotated[
    list[str],
    typer.Option("--pool", envvar="OPSCONDUCTOR_POOL", metavar="P", help="A pool whose runs it takes; may repeat."),
]
CapacityOption = Annotated[
    int, typer.Option("--capacity", envvar="OPSCONDUCTOR_CAPACITY", metavar="N", help="Runs that it takes at once.")
]
LabelsOption = Annotated[
    str,
    typer.Option(
        "--labels", envvar="OPSCONDUCTOR_LABELS", metavar="K=V,...", help="What runsOn.labels of jobs may ask for."
    ),
]
ProbesOption = Annotated[
    str,
    typer.Option(
        "--probes",
        envvar="OPSCONDUCTOR_PROBES",
        metavar="[HOST:]PORT|off",
        help="Where /healthz and /readyz are; 127.0.0.1 where no host is given.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("runner")(runner)


def runner(
    database: DatabaseOption = None,
    pool: PoolOption = [],  # noqa: B006 - typer makes its own
    capacity: CapacityOption = 50,
    labels: LabelsOption = "",
    state: StateOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
    webhooks: WebhooksOption = "off",
    probes: ProbesOption = "off",
    grace: GraceOption = "30s",
    logs: LogsOption = None,
    log_format: LogFormatOption = "text",
) -> int:
    """Work on runs of its pools: it asks the database for them, and needs neither git nor a way in."""
    from opsconductor.service.runner import RunnerProcess
    from opsconductor.wiring import work

    url = database_of(database, needed=True)
    assert url is not None
    pools = frozenset(pool)
    if not pools:
        raise UsageError("--pool P is needed: the pool whose runs it takes; jobs that name none are of 'default'")
    if odd := sorted(one for one in pools if not _POOL.fullmatch(one)):
        raise UsageError(f"--pool {odd[0]!r} cannot be the name of a RunnerPool")
    if not 1 <= capacity <= _MOST:
        raise UsageError(f"--capacity {capacity}: it is from 1 to {_MOST}")
    folder = _folder(url, pools, state)
    running = RunningSettings(
        state=folder,
        secrets=secret_dir.resolve() if secret_dir else folder.secrets,
        secret_variables=secret_variables(os.environ),
        restricted=restricted,
        secret_host=secret_host(os.environ),
        identities=identities(identity),
        own=(folder.root, *database_files(url, os.environ)),
        webhooks=address_of("--webhooks", webhooks),
        logs=logs,
        grace=patience_of(grace),
        pools=pools,
        capacity=capacity,
        shared=True,
    )
    at = address_of("--probes", f"127.0.0.1:{probes}" if probes.isdecimal() else probes)
    return work(RunnerProcess(url, pools, running, _labels(labels), log_format_of(log_format), at))


def _labels(text: str) -> dict[str, str]:
    found = [one.strip() for one in text.split(",") if one.strip()]
    if odd := [one for one in found if not _LABEL.fullmatch(one)]:
        raise UsageError(f"--labels {odd[0]!r}: it is key=value, with commas between several")
    return dict(one.split("=", 1) for one in found)


def _folder(url: str, pools: frozenset[str], given: str | None) -> StateFolder:
    """One folder for each database and set of pools, unless another was asked for."""
    if given:
        return StateFolder(Path(given).expanduser().resolve())
    parts = urlsplit(url)
    place = f"{parts.netloc.rpartition('@')[2]}{parts.path}"  # a new password does not change it
    known = hashlib.sha256("\n".join([place, *sorted(pools)]).encode()).hexdigest()[:8]
    return StateFolder(state_home() / f"runner-{min(pools)}-{known}")
