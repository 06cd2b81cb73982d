"""What a bug of ours leaves behind: a file for its user to look through and send."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from opsconductor import exits

if TYPE_CHECKING:
    from schemas.diagnostic import Diagnostic

_MOST = 20
"""Tracebacks in one report: a bug in what all checks ask for is met at each document."""


def verdict_on(findings: Iterable["Diagnostic"]) -> int:
    """The exit code of a command that gives findings. Of bugs of ours among them it leaves a report."""
    from schemas.diagnostic import has_errors

    found = tuple(findings)
    bugs = [one for one in found if one.bug]
    if bugs:
        more = f", and {len(bugs) - 1} more" if len(bugs) > 1 else ""
        sys.stderr.write(f"opsconductor: a bug of ours: {bugs[0].span}: {bugs[0].message}{more}\n")
        told = {one.bug: f"{one.span}: {one.message}\n{one.bug}\n" for one in reversed(bugs)}
        sys.stderr.write(f"    {left(list(told.values())[-_MOST:])}\n")
        return exits.BUG
    return exits.FINDINGS if has_errors(found) else exits.OK


def left(lines: Iterable[str]) -> str:
    """Where the report is that has these lines, as a sentence for whoever met the bug."""
    try:
        return f"A report is in {_written(lines)}; please look it through for what is yours alone, and send it to us."
    except OSError as trouble:
        return f"No report could be written: {trouble.strerror}."


def _written(lines: Iterable[str]) -> Path:
    import os
    import platform
    import tempfile
    from datetime import UTC, datetime

    from opsconductor import __version__

    descriptor, name = tempfile.mkstemp(prefix="opsconductor-bug-", suffix=".txt")
    # Names of files may be no text.
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"opsconductor {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"{datetime.now(UTC).isoformat()}\ncommand: {' '.join(sys.argv[1:2])}\n\n")
        file.writelines(lines)
    return Path(name)
