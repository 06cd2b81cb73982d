"""`credential set`, `rotate`, `check`: secrets encrypted in the repository, and whether all of them are in order."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from opsconductor import exits
from opsconductor.cli.options import (
    BranchOption,
    IdentityOption,
    OutputOption,
    RepoOption,
    RestrictedOption,
    SecretDirOption,
    StateOption,
)
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from engine.catalog import Catalog
    from engine.compile import Compiled
    from opsconductor.workspace import Workspace
    from runners.secrets.agekeys import Identities
    from schemas.diagnostic import Diagnostic
    from schemas.reader import Authored

_MOST_UNREAD = 10
_NAMES = typer.Argument(metavar="[NAME]...", help="Credentials; else all.")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    credential = typer.Typer(help="Credentials: encrypted in the repository, and checked.", no_args_is_help=True)
    credential.callback()(_of_credentials)
    credential.command("set")(set_)
    credential.command("rotate")(rotate)
    credential.command("check")(check)
    app.add_typer(credential, name="credential")


def _of_credentials() -> None:
    """Credentials: encrypted in the repository, and checked."""


def set_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the Credential.")],
    field: Annotated[str | None, typer.Option("--field", help="Which of its fields; else the one of its type.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Make a new one: ssh, password, token, certificate or generic.")
    ] = None,
    username: Annotated[str | None, typer.Option("--username", help="Of a new one: the login name.")] = None,
    pool: Annotated[list[str], typer.Option("--pool", help="Of a new one: who may open it; may repeat.")] = [],  # noqa: B006 - typer makes its own
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="Of a new one: definitions/NAME.yaml if not given.")
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Give up what else it holds.")] = False,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    repo: RepoOption = ".",
) -> int:
    """Encrypt a secret that comes on standard input, into the file of its Credential.

    Nothing but the encrypted document is written, and nothing is committed. At a terminal the secret is asked for and
    not shown.
    """
    from datetime import UTC, datetime

    from opsconductor import credentials
    from opsconductor.workspace import Workspace

    workspace = Workspace.open(repo)
    compiled = workspace.definitions()
    at = _authored(compiled, name)
    if (at is None) == (kind is None):
        why = "there is none of that name; --type makes one" if at is None else "it exists already, and has its --type"
        raise UsageError(f"Credential '{name}': {why}")
    if at is not None:
        text, pools, kind = _text(at), compiled.readable.credentials[name].spec.pools, _kind(compiled, name)
    else:
        pools = tuple(pool)
        text = credentials.fresh(name, _known_type(kind), username, pools)
    field = field or credentials.default_field(kind or "")
    if field not in (known := credentials.fields_of(kind or "")):
        raise UsageError(f"--field {field}: a credential of type {kind} has {', '.join(known)}")
    place = _place(workspace, compiled, at, name, file)
    wanted = credentials.recipients(compiled.readable, pools)
    keys = _keys(identity)
    value = credentials.secret_from(_given(name, field), field)
    fields = credentials.with_field(text, field, value, keys, alone=alone) if at is not None else {field: value}
    credentials.replaced(place, credentials.sealed(text, fields, wanted, datetime.now(UTC)))
    chatter(f"{place}: {field} is encrypted for {len(wanted)} recipient{'s' * (len(wanted) != 1)}; commit the file")
    return exits.OK


def rotate(
    names: Annotated[list[str], _NAMES] = [],  # noqa: B006 - typer makes its own
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    repo: RepoOption = ".",
) -> int:
    """Encrypt credentials again: for the recipients that their pools have now, with a new data key.

    It needs a key that opens them (--identity). The secrets stay as they are: who could open the old file has read them
    perhaps, so a recipient that went wants a new secret too ('credential set').
    """
    from datetime import UTC, datetime

    from opsconductor import credentials
    from opsconductor.workspace import Workspace

    workspace = Workspace.open(repo)
    root, compiled = _work_tree(workspace), workspace.definitions()
    chosen = _chosen(compiled, names, only_encrypted=not names)
    keys, failed = _keys(identity), 0
    for name in chosen:
        try:
            at = _authored(compiled, name)
            assert at is not None
            wanted = credentials.recipients(compiled.readable, compiled.readable.credentials[name].spec.pools)
            fields = credentials.reopened(_text(at), keys)
            credentials.replaced(root / at.file, credentials.sealed(_text(at), fields, wanted, datetime.now(UTC)))
            chatter(f"{at.file}: encrypted again for {len(wanted)} recipient{'s' * (len(wanted) != 1)}")
        except UsageError as error:
            failed += 1
            chatter(f"Credential '{name}': {error}")
    chatter(f"{len(chosen) - failed} of {len(chosen)} encrypted again; commit the files")
    return exits.FINDINGS if failed else exits.OK


def check(
    names: Annotated[list[str], _NAMES] = [],  # noqa: B006 - typer makes its own
    open_: Annotated[bool, typer.Option("--open", help="Open them too, as a runner on this machine would.")] = False,
    output: OutputOption = "table",
    repo: RepoOption = ".",
    branch: BranchOption = "main",
    state: StateOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
) -> int:
    """Say of each credential whether form, recipients and dates are in order. Exit 1 where one is not.

    With --open also whether it opens: call that where the engine runs, as its user, with its settings. No secret is
    shown.
    """
    from datetime import UTC, datetime

    from opsconductor import credentials
    from opsconductor.workspace import Workspace

    check_format(output)
    workspace = Workspace.open(repo, branch=branch)
    compiled = workspace.definitions()
    lost = () if names and set(names) <= set(_catalog(compiled).credentials) else credentials.unreadable(compiled)
    for line in _lost(lost):
        chatter(line)
    chosen = _chosen(compiled, names, only_encrypted=False)
    secrets = None
    if open_:
        from opsconductor.cli.hostsecrets import secrets_here

        engine = workspace.state_folder(state)
        secrets = secrets_here(engine, folder=secret_dir, restricted=restricted, identity=identity)
    found = credentials.checked(compiled, chosen, datetime.now(UTC), secrets)
    rows = [
        (one.name, one.type, one.source, one.expires or "-", _opens(one.opens), "; ".join(one.problems) or "ok")
        for one in found
    ]
    columns = ("NAME", "TYPE", "SOURCE", "EXPIRES", "OPENS", "STATE")
    data = {"credentials": [one.as_data() for one in found], "unread": [_unread(one) for one in lost]}
    empty = "no Credential can be read" if lost else "there is no Credential"
    show(Table(columns, [tuple(map(printable, row)) for row in rows], data, empty=empty), output)
    return exits.FINDINGS if lost or any(one.problems for one in found) else exits.OK


def _lost(lost: "tuple[Diagnostic, ...]") -> Iterator[str]:
    if lost:
        yield "what may be a Credential cannot be read, and is not checked (see 'opsconductor validate'):"
    for one in lost[:_MOST_UNREAD]:
        yield printable(f"  {one.span.file}:{one.span.line}:{one.span.column}: {one.code} {one.message}")
    if len(lost) > _MOST_UNREAD:
        yield f"  and {len(lost) - _MOST_UNREAD} more"


def _unread(one: "Diagnostic") -> dict[str, Any]:
    at = one.span
    return {"file": at.file, "line": at.line, "column": at.column, "code": one.code, "message": one.message}


def _opens(opens: bool | None) -> str:
    return {None: "-", True: "yes", False: "no"}[opens]


def _chosen(compiled: "Compiled", names: list[str], *, only_encrypted: bool) -> list[str]:
    known = _catalog(compiled).credentials
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"there is no Credential '{unknown[0]}'; there are: {', '.join(sorted(known)) or 'none'}")
    wanted = [name for name, one in sorted(known.items()) if one.data is not None or not only_encrypted]
    return list(dict.fromkeys(names)) or wanted


def _catalog(compiled: "Compiled") -> "Catalog":
    assert compiled.readable is not None
    return compiled.readable


def _authored(compiled: "Compiled", name: str) -> "Authored | None":
    """The Credential, which must be one that is encrypted."""
    credential = _catalog(compiled).credentials.get(name)
    if credential is None:
        return None
    at = _catalog(compiled).origin[credential.identity]
    if credential.data is None:
        raise UsageError(f"Credential '{name}' is a secret by reference (spec.from in {at.file}), which is not written")
    return at


def _text(at: "Authored") -> str:
    return at.places.layout.data.decode()


def _kind(compiled: "Compiled", name: str) -> str:
    return _catalog(compiled).credentials[name].spec.type


def _known_type(kind: str | None) -> str:
    from schemas.credential import CredentialType

    if kind not in get_args(CredentialType):
        raise UsageError(f"--type {kind}: there are {', '.join(get_args(CredentialType))}")
    assert kind is not None
    return kind


def _work_tree(workspace: "Workspace") -> Path:
    root = workspace.work_tree
    if root is None:
        raise UsageError("it is written into a checkout: call it in one, or name one with --repo PATH")
    return root


def _place(workspace: "Workspace", compiled: "Compiled", at: "Authored | None", name: str, given: str | None) -> Path:
    from engine.compile import included

    root = _work_tree(workspace)
    if at is not None:
        return root / at.file
    path = given or f"definitions/{name}.yaml"
    if path not in included([path], _catalog(compiled).project):
        raise UsageError(f"{path} is no file of the definitions (the Project's 'include'); say which with --file")
    if (root / path).exists():
        raise UsageError(f"{path} exists already; an encrypted credential is alone in its file: give another --file")
    return root / path


def _keys(files: list[Path]) -> "Identities":
    from opsconductor.settings import identities
    from runners.secrets.agekeys import read

    return read(identities(files))


def _given(name: str, field: str) -> bytes:
    """The secret from standard input; asked for twice, unseen, at a terminal."""
    from runners.secrets.file import CAP

    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(CAP + 2)
    text = typer.prompt(f"{field} of {name}", hide_input=True, confirmation_prompt=True, err=True)
    return str(text).encode()
