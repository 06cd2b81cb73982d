"""`library`: step libraries that the repository holds, pinned by their content."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.cli.output import Table, check_format, show
from opsconductor.terminal import chatter

_Repo = Annotated[
    Path, typer.Option("--repo", "-C", envvar="OPSCONDUCTOR_REPO", metavar="PATH", help="The definitions repository.")
]
_Output = Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="table, wide, json or yaml.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    library = typer.Typer(help="Step libraries in the repository.", no_args_is_help=True)
    library.callback()(_of_libraries)
    for name, command in (("add", add), ("update", update), ("remove", remove), ("verify", verify), ("list", list_)):
        library.command(name)(command)
    app.add_typer(library, name="library")


def _of_libraries() -> None:
    """Step libraries in the repository, pinned by their content."""


def add(
    origin: Annotated[
        str, typer.Argument(metavar="PATH|URL[@REF]", help="A folder or a git repository; a branch, tag or commit.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which one, where the origin holds several.")
    ] = None,
    repo: _Repo = Path(),
) -> int:
    """Bring a library into libraries/ and lock it. Commit both, as any change."""
    from opsconductor.authoring.libraries import Libraries, root_of
    from opsconductor.authoring.libraryorigin import parse

    held = Libraries(root_of(repo)).add(parse(origin), name)
    chatter(f"added {held.name} {held.version} to libraries/{held.name}, {_from(held.locked)}")
    chatter("review it, and commit it with opsconductor.lock")
    return exits.OK


def update(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; all by default.")] = None,
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="REF", help="Another branch, tag or commit than the one locked.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Give up changes that were made here.")] = False,
    repo: _Repo = Path(),
) -> int:
    """Bring libraries anew from where they came from, and lock them."""
    from opsconductor.authoring.libraries import Libraries, root_of
    from opsconductor.exits import UsageError

    libraries = Libraries(root_of(repo))
    if ref is not None and len(names or ()) != 1:
        raise UsageError("--ref goes with the name of one library")
    for name in names or list(libraries.locked):
        before, after = libraries.update(name, ref=ref, force=force)
        if before.digest == after.digest:
            chatter(f"{name} {after.version} is as it was, {_from(after.locked)}")
        else:
            chatter(f"updated {name} from {before.version or 'nothing'} to {after.version}, {_from(after.locked)}")
    return exits.OK


def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the library.")], repo: _Repo = Path()) -> int:
    """Take a library out of libraries/ and of the lock. Jobs that use it are invalid from then on."""
    from opsconductor.authoring.libraries import Libraries, root_of

    Libraries(root_of(repo)).remove(name)
    chatter(f"removed {name}; 'opsconductor validate' shows who used it")
    return exits.OK


def verify(repo: _Repo = Path()) -> int:
    """Compare each library with the lock, without asking its origin. Exit 1 where one differs."""
    from opsconductor.authoring.libraries import Libraries, root_of

    held = Libraries(root_of(repo)).held()
    wrong = [one for one in held if one.state != "locked"]
    for one in wrong:
        chatter(f"{one.name}: {one.state}")
    if not wrong:
        chatter(f"{len(held)} {'library is' if len(held) == 1 else 'libraries are'} what the lock says")
    return exits.FINDINGS if wrong else exits.OK


def list_(output: _Output = "table", repo: _Repo = Path()) -> int:
    """The libraries of the repository and those of the product, with what the lock says of them."""
    from opsconductor.authoring.libraries import Libraries, built_in, root_of

    check_format(output)
    own = Libraries(root_of(repo)).held()
    names = {one.name for one in own}
    held = (*own, *(one for one in built_in() if one.name not in names))
    rows = [
        (
            one.name,
            one.version or "",
            one.state,
            str(one.locked.get("source", "")),
            str(one.locked.get("ref", "")),
            str(one.locked.get("commit", ""))[:12],
            (one.digest or str(one.locked.get("digest", ""))).removeprefix("sha256:")[:12],
            one.description,
        )
        for one in held
    ]
    data = [
        {
            "name": one.name,
            "version": one.version,
            "state": one.state,
            "source": one.locked.get("source"),
            "ref": one.locked.get("ref"),
            "commit": one.locked.get("commit"),
            "digest": one.digest,
            "lockedDigest": one.locked.get("digest"),
            "description": one.description,
        }
        for one in held
    ]
    columns = ("NAME", "VERSION", "STATE", "SOURCE", "REF", "COMMIT", "DIGEST")
    show(Table(columns, rows, data, wide=("DESCRIPTION",)), output)
    return exits.OK


def _from(locked: object) -> str:
    entry = locked if isinstance(locked, dict) else {}
    commit = f", commit {entry['commit'][:12]}" if isinstance(entry.get("commit"), str) else ""
    ref = f"@{entry['ref']}" if isinstance(entry.get("ref"), str) else ""
    return f"from {entry.get('source')}{ref}{commit}"
