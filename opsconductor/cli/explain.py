"""`schema` and `explain`: the language, told by its own models."""

import json
from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.terminal import chatter


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("schema")(schema)
    app.command("explain")(explain)


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="One kind, of the status branch too; all that people write by default."),
    ] = None,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Offer the names of the documents in the checkout, for completion.")
    ] = False,
    repo: Annotated[
        Path,
        typer.Option("--repo", "-C", envvar="OPSCONDUCTOR_REPO", metavar="PATH", help="The checkout with the names."),
    ] = Path(),
) -> int:
    """JSON Schema 2020-12, for editors: `# yaml-language-server: $schema=FILE`."""
    from opsconductor.kindnames import kind_named
    from schemas.publish import schema as publish

    published = publish(kind_named(kind) if kind else None)
    if with_names:
        from opsconductor.authoring.checkout import names_in
        from schemas.named import with_names as named

        published = named(published, names_in(repo))
    typer.echo(json.dumps(published, indent=2, ensure_ascii=False))
    return exits.OK


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|KIND[.path]|STEPTYPE|LIBRARY[/STEP]",
            help="A diagnostic's code, a kind, its field, a step type, or a library that comes with the program.",
        ),
    ],
) -> int:
    """What a diagnostic means and how to mend it, or what a kind or field is."""
    from opsconductor.authoring.libraryreference import explain_library
    from opsconductor.reference import explain_code, explain_kind, explain_step_type

    text = (
        explain_code(what.upper())
        if what[:2].upper() == "OC" and what[2:].isdigit()
        else explain_step_type(what) or explain_kind(what) or explain_library(what)
    )
    if text is None:
        chatter(f"nothing is known by the name {what!r}{_nearest(what)}")
        return exits.FINDINGS
    typer.echo(text)
    return exits.OK


def _nearest(what: str) -> str:
    import difflib

    from opsconductor.authoring.libraryreference import near as near_library
    from opsconductor.reference import nearest_field
    from schemas.codes import CODES
    from schemas.kinds import MODELS, STATUS_KINDS

    if (code := f"OC{what}") in CODES:
        return f"; did you mean {code}?"
    if (meant := near_library(what)) is not None:
        return f"; did you mean {meant}?"
    if (field := nearest_field(what)) is not None:
        return f"; did you mean {field}?"
    kind, dot, path = what.partition(".")
    folded = {name.lower(): name for name in (*MODELS, *sorted(STATUS_KINDS))}
    if kind.lower() in folded and dot:
        return f"; see what is there: opsconductor explain {folded[kind.lower()]}{'.spec' if 'spec.' in path else ''}"
    near = difflib.get_close_matches(kind.lower(), folded, n=1)
    return (
        f"; did you mean {folded[near[0]]}?" if near else "; try a code such as OC201, or a kind: " + ", ".join(MODELS)
    )
