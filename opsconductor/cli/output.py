"""Facts, displayed: the same rows as a table, as JSON or as YAML."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from opsconductor.authoring.writtenyaml import as_yaml
from opsconductor.exits import UsageError

FORMATS = ("table", "wide", "json", "yaml")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows for people; `wide` are further columns for `-o wide`; `data` is what programs get."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    data: Any
    wide: tuple[str, ...] = ()
    empty: str = "nothing found"


def check_format(output: str) -> str:
    """Raises UsageError for a format that does not exist."""
    if output not in FORMATS:
        raise UsageError(f"-o {output}: there are {', '.join(FORMATS)}")
    return output


def show(table: Table, output: str) -> None:
    """Print to stdout; `table` and `wide` align columns, the last one may run on."""
    if output == "json":
        typer.echo(json.dumps(table.data, indent=2, ensure_ascii=False))
    elif output == "yaml":
        typer.echo(as_yaml(table.data), nl=False)
    elif not table.rows:
        typer.echo(table.empty, err=True)
    else:
        width = len(table.columns) + (len(table.wide) if output == "wide" else 0)
        typer.echo(_aligned([(*table.columns, *table.wide)[:width], *(row[:width] for row in table.rows)]))


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    printable = [tuple(_plain(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in printable) for i in range(len(printable[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in printable)


def _plain(cell: str) -> str:
    """One line, without control characters: what stands in a status file may come from a target."""
    return "".join(char if char.isprintable() else " " for char in cell)
