"""`python -m tests.performance [PART ...]`: measure everything, or the named parts, and print one table."""

import asyncio
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from tests.performance import (
    fan_out,
    groups,
    journal_rate,
    latency,
    masking,
    memory,
    packed_history,
    pages,
    reconcile,
    schedules,
    several,
    status_commits,
    step_cost,
    table,
    validation,
)
from tests.performance.table import Row

PARTS: Mapping[str, Callable[[Path], Awaitable[list[Row]]]] = {
    "steps": step_cost.rows,
    "commits": status_commits.rows,
    "latency": latency.rows,
    "journal": journal_rate.rows,
    "several": several.rows,
    "validation": validation.rows,
    "reconcile": reconcile.rows,
    "memory": memory.rows,
    "history": packed_history.rows,
    "schedules": schedules.rows,
    "groups": groups.rows,
    "masking": masking.rows,
    "pages": pages.rows,
    "fanout": fan_out.rows,
}


def main(wanted: list[str]) -> int:
    """The exit code tells of a measurement that broke off, never of a goal: those are for people to read."""
    if unknown := set(wanted) - set(PARTS):
        print(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rows = [row for name in wanted or PARTS for row in _measured(name)]
    print(_machine())
    print(table.text(rows))
    return 0


def _measured(name: str) -> list[Row]:
    print(f"measuring: {name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="opsconductor-bench-") as folder:
        return asyncio.run(PARTS[name](Path(folder)))  # type: ignore[arg-type]


def _machine() -> str:
    """What the figures depend on; ratios depend on it less."""
    busy = f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} processors busy"
    return f"{platform.system()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; {busy}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
