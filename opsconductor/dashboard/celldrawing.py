"""A run as a bar of the grid, of which a page may have more than a thousand: by hand, since a template takes ten times
as long for as many. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from opsconductor.dashboard.values import STATES, moment, took, visible

_PLAIN = re.compile(r"[A-Za-z0-9 ,.:()_/-]*", re.ASCII).fullmatch
_FLOOR = 28
"""Pixels from the top to where bars stand."""


def bar(cell: Mapping[str, Any]) -> Markup:
    """The bar of a run with its words, and the line of the commit that changed the job. What is text is escaped."""
    state, seconds, x, high = cell["state"], cell["seconds"], cell["x"], cell["height"]
    words = f"{state}, {moment(cell['began'])}{'' if seconds is None else f', {took(seconds)}'}"
    if cell["reason"]:
        words = f"{words}: {cell['reason']}"
    sign = "" if state == "succeeded" else f'<text x="{x}%" y="39">{_text(STATES.get(state, "·"))}</text>'
    change = _change(cell) if cell["changed"] else ""
    rect = f'<rect x="{x}%" y="{_FLOOR - high}" width="6" height="{high}" rx="1"/>'
    link = f'<a href="/runs/{_text(cell["run"])}" tabindex="-1" class="{_text(state.replace(" ", ""))}">'
    made = f"{change}{link}<title>{_text(words)}</title>\n{rect}{sign}</a>\n"
    return Markup(made)  # noqa: S704 - what is text in it is escaped, and the rest are numbers and words of our own


def _change(cell: Mapping[str, Any]) -> str:
    x, commit = cell["x"], _text(str(cell["commit"] or "")[:12])
    title = f"<title>commit {commit} changed what it does</title>"
    return f'<line class="changed" x1="{x}%" x2="{x}%" y1="0" y2="40">{title}</line>'


def _text(value: str) -> str:
    # Most texts have nothing to be escaped, and to look is a tenth of the work.
    return value if _PLAIN(value) is not None else escape(visible(value))
