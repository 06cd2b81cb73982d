"""Values as pages show them: short for a table, and without a character that is not there. Pure."""

import json
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from schemas.quantities import format_duration

STATES = {
    "waiting": "◔", "queued": "◔", "running": "▶", "succeeded": "✓", "failed": "✗", "cancelled": "⊘",
    "timedOut": "⊖", "unknown": "?", "unreachable": "⇎", "skipped": "–", "pending": "◔", "dry run": "≈",
}  # fmt: skip
"""A shape for each state: colour alone tells nobody who does not see it."""


def visible(value: object) -> object:
    """A value as a page may hold it: no character that is not there, moves a cursor or turns the text around."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return "".join(char if char in "\n\t" or char.isprintable() else "�" for char in value)
    return "" if value is None else value


def data(value: object) -> str:
    """A value as JSON; the template escapes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def took(seconds: float | None) -> str:
    """`0.4s`, `1m30s`: short enough for a table."""
    if seconds is None:
        return ""
    return f"{seconds:.1f}s" if seconds < 10 else format_duration(timedelta(seconds=round(seconds)))


def quoted(text: str) -> Markup:
    """Text of our own documentation, with what stands between backquotes as code."""
    parts = [escape(part) for part in str(visible(text)).split("`")]
    return Markup().join(Markup("<code>%s</code>") % part if at % 2 else part for at, part in enumerate(parts))


def amount(size: int) -> str:
    """Bytes for people: `417 B`, `3.2 MiB`."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def moment(text: str | None) -> str:
    """An instant for people, in UTC; the page's script shows it in the viewer's zone."""
    if not text:
        return ""
    if len(text) >= 20 and text.endswith("Z"):  # as our own stamps are, of which a page may have thousands
        return f"{text[:10]} {text[11:19]} UTC"
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
