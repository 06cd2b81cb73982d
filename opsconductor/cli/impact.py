"""`impact`: who leans on a document, and by which way."""

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsconductor import exits
from opsconductor.cli.options import BranchOption, OfflineOption, OutputOption, RemoteOption, RepoOption
from opsconductor.cli.output import Table, check_format, show
from opsconductor.cli.read import KindArgument
from opsconductor.exits import UsageError
from opsconductor.kindnames import kind_named
from opsconductor.terminal import chatter

if TYPE_CHECKING:
    from engine.changes.impact import Impact, Link
    from engine.compile import Compiled
    from schemas.diagnostic import Diagnostic
    from schemas.envelope import Document

_MOST_UNREAD = 10


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("impact")(impact)


def impact(
    kind: KindArgument,
    name: Annotated[str, typer.Argument(help="Its name.")],
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    offline: OfflineOption = False,
) -> int:
    """Show what would notice if a document changed or went, and why. Exit 1 where there is no such document.

    Where definitions have errors it answers from those that are well formed, and says which it could not read.
    """
    from engine.changes.impact import impact as leaning_on
    from engine.changes.impact import unread
    from opsconductor.workspace import Workspace
    from schemas.kinds import MODELS

    check_format(output)
    wanted = kind_named(kind)
    if wanted not in MODELS:
        raise UsageError(f"impact is about documents of the definitions: {', '.join(MODELS)}")
    compiled = Workspace.open(repo, remote=remote, branch=branch, offline=offline).definitions()
    name = _now(compiled, wanted, name)
    found = leaning_on(compiled.readable, wanted, name, compiled.acts)
    hidden = unread(compiled)
    for line in _missing(hidden):
        chatter(line)
    if found is None:
        known = sorted(document.name for document in _documents(compiled, wanted))
        chatter(f"there is no {wanted} {name!r}{_guess(name, known)}")
        return exits.FINDINGS
    rows = [(*one.identity.split("/", 1), _way(one), one.relation) for one in found]
    data = {
        "kind": wanted,
        "name": name,
        "impacts": [_data(one) for one in found],
        "unread": [_unread(one) for one in hidden],
    }
    empty = f"nothing leans on {wanted}/{name}"
    show(Table(("KIND", "NAME", "WAY"), rows, data, wide=("RELATION",), empty=empty), output)
    return exits.OK


def _now(compiled: "Compiled", kind: str, name: str) -> str:
    """The name that a document has now, where a former one is given."""
    known = _documents(compiled, kind)
    if any(document.name == name for document in known):
        return name
    renamed = next((document.name for document in known if name in document.metadata.previous_names), name)
    if renamed != name:
        chatter(f"{kind} {name!r} is called {renamed!r} now")
    return renamed


def _documents(compiled: "Compiled", kind: str) -> "list[Document]":
    """All of a kind that can be asked about, those in files with errors, too."""
    readable = compiled.readable.origin.values() if compiled.readable is not None else compiled.definitions
    return [one.document for one in (*readable, *compiled.acts) if one.document.kind == kind]


def _missing(hidden: "tuple[Diagnostic, ...]") -> Iterator[str]:
    """What the answer lacks, in a few lines."""
    if not hidden:
        return
    yield "this answer may lack something: what is wrong here could not be read (see 'opsconductor validate')"
    for one in hidden[:_MOST_UNREAD]:
        yield f"  {one.span.file}:{one.span.line}:{one.span.column}: {one.code} {one.message}"
    if len(hidden) > _MOST_UNREAD:
        yield f"  and {len(hidden) - _MOST_UNREAD} more"


def _unread(one: "Diagnostic") -> dict[str, Any]:
    at = one.span
    return {"file": at.file, "line": at.line, "column": at.column, "code": one.code, "message": one.message}


def _guess(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(sorted(known)[:10])}{', ...' if len(known) > 10 else ''}" if known else ""


def _way(found: "Impact") -> str:
    only = "only names it: " if found.relation == "names" else ""
    return only + " -> ".join(f"{link.field} -> {link.held}" for link in found.way)


def _data(found: "Impact") -> dict[str, Any]:
    kind, _, name = found.identity.partition("/")
    return {"kind": kind, "name": name, "relation": found.relation, "way": [_link(link) for link in found.way]}


def _link(link: "Link") -> dict[str, str]:
    return {"document": link.holder, "field": link.field, "leadsTo": link.held}
