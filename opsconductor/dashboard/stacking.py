"""Tables for a phone: each cell knows what its column is called, so that a row can stand as lines one below another.

Works on pages as `opsconductor.dashboard.rendering` makes them: every value in them is escaped, so `<table>` and `<td`
are ours. What is a map (the week, targets by steps) has a class of its own, and stays a table.
"""

import re
from itertools import count

_TABLE = re.compile(r"<table>\s*<thead><tr>(?P<head>.*?)</tr></thead>(?P<body>.*?)</table>", re.DOTALL)
_NAME = re.compile(r"<th scope=\"col\"[^>]*>(.*?)</th>")
_PLAIN = re.compile(r"[^<>\"]+")
_ROW = re.compile(r"<tr[ >].*?</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh](?=[ >])")


def stackable(page: str) -> str:
    """The page, with the name of its column at every cell of its plain tables."""
    return _TABLE.sub(_table, page)


def _table(found: re.Match[str]) -> str:
    names = _NAME.findall(found["head"])
    body = _ROW.sub(lambda row: _row(row[0], names), found["body"])
    return f'<table class="stacks">\n<thead><tr>{found["head"]}</tr></thead>{body}</table>'


def _row(row: str, names: list[str]) -> str:
    column = count()

    def cell(found: re.Match[str]) -> str:
        at = next(column)
        return f'{found[0]} data-label="{names[at]}"' if at < len(names) and _PLAIN.fullmatch(names[at]) else found[0]

    return _CELL.sub(cell, row)
