"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from engine.authority.trust import MODES
from opsconductor.exits import UsageError
from reconciler.authority.trust import TrustSettings

RepoOption = Annotated[
    str,
    typer.Option("--repo", "-C", envvar="OPSCONDUCTOR_REPO", metavar="PATH|URL", help="The definitions repository."),
]
RemoteOption = Annotated[
    str | None,
    typer.Option(
        "--remote",
        envvar="OPSCONDUCTOR_REMOTE",
        help="Where status and requests live: a remote of the repository, or '.' for itself.",
    ),
]
BranchOption = Annotated[
    str, typer.Option("--branch", envvar="OPSCONDUCTOR_BRANCH", metavar="B", help="The definitions branch.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Do not fetch first; show what is already here.")]
StateOption = Annotated[
    str | None,
    typer.Option("--state", envvar="OPSCONDUCTOR_STATE", metavar="DIR", help="The engine's state folder."),
]
SecretDirOption = Annotated[
    Path | None,
    typer.Option("--secret-dir", envvar="OPSCONDUCTOR_SECRET_DIR", metavar="DIR", help="What from.file may read."),
]
IdentityOption = Annotated[
    list[Path],
    typer.Option(
        "--identity",
        envvar="OPSCONDUCTOR_IDENTITY",
        metavar="FILE",
        help="age keys that open what is encrypted for it; may repeat.",
    ),
]
LogsOption = Annotated[
    str | None,
    typer.Option(
        "--logs",
        envvar="OPSCONDUCTOR_LOGS",
        metavar="URL",
        help="Where logs are kept too: /folder or s3://bucket/folder.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="OPSCONDUCTOR_URL", metavar="URL", help="The dashboard, as in https://ops.example.org."
    ),
]
ShownTokenOption = Annotated[
    Path | None,
    typer.Option("--token", envvar="OPSCONDUCTOR_TOKEN", metavar="FILE", help="The dashboard's token."),
]
RestrictedOption = Annotated[
    bool, typer.Option("--restricted", envvar="OPSCONDUCTOR_RESTRICTED", help="No local steps, no programs.")
]
VerifyOption = Annotated[
    str,
    typer.Option(
        "--verify",
        envvar="OPSCONDUCTOR_VERIFY",
        metavar="none|head|range",
        help="Which commits must be signed; the stricter of this and the Project is in force.",
    ),
]
TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust", envvar="OPSCONDUCTOR_TRUST", metavar="FILE", help="Allowed signers, keys of forges, revocations."
    ),
]
OutputOption = Annotated[
    str, typer.Option("-o", "--output", metavar="FORMAT", help="table, wide, json or yaml.", show_default=True)
]


def trust_of(verify: str, file: Path | None) -> TrustSettings:
    """What `--verify` and `--trust` say together."""
    mode = next((one for one in MODES if one == verify), None)
    if mode is None:
        raise UsageError(f"--verify {verify!r}: it is {', '.join(MODES[:-1])} or {MODES[-1]}")
    return TrustSettings(mode, file.expanduser().resolve() if file else None)
