"""A plan as one comment on a pull request. Text from documents stands in code spans only: it links, mentions and
formats nothing, whatever it says."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from engine.authority.needwords import permission_text, permissions_of
from engine.changes.plan import Plan
from engine.changes.plan_reach import CredentialGain, TargetsChange
from engine.changes.plan_starts import Start
from engine.changes.plan_times import ScheduleChange
from opsconductor.plans.planreport import (
    block_text,
    by_way,
    cut_text,
    fire_lines,
    inherited,
    news,
    schedule_notes,
    short,
    start_text,
    summary,
    verdicts,
    way_text,
)
from opsconductor.plans.plantold import told_text
from opsconductor.terminal import printable
from schemas.diagnostic import Diagnostic
from schemas.quantities import format_instant

T = TypeVar("T")

MOST_BYTES = 60_000
"""Forges take 65,536 characters; the rest is left to whoever adds a line."""
MARK = "<!-- opsconductor plan -->"
"""The first line, by which a job finds the comment that it wrote before."""
_MOST_OF_EACH = (100, 40, 15, 6, 2)
_FIRES_SHOWN = 5
_NAMES_SHOWN = 20
_LONGEST = 240


def as_markdown(plan: Plan) -> str:
    """The comment, at most MOST_BYTES long: the more there is, the fewer of each part are shown, and it says so."""
    text = ""
    for most in _MOST_OF_EACH:
        text = "\n".join(_blocks(plan, most)) + "\n"
        if len(text.encode()) <= MOST_BYTES:
            break
    return text


def code(text: str) -> str:
    """The text as a code span: one line, at most 240 characters, nothing in it means anything to Markdown."""
    line = printable(text.replace("\n", " ").replace("\t", " ")).strip()
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not line or line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _blocks(plan: Plan, most: int) -> Iterator[str]:
    yield MARK
    yield "### OpsConductor plan"
    yield ""
    yield f"{code(short(plan.base))} → {code(short(plan.head))}: **{summary(plan)}**"
    for verdict in verdicts(plan):
        yield f"\n**{verdict}**"
    yield from _part("Findings", news(plan), _finding, most, shown=True)
    if plan.inherited:
        yield f"\n{inherited(plan)}"
    yield from _part("Findings of the base", plan.base_findings, _finding, most)
    yield from _part("Starts at once", plan.starts_at_once, _start, most, shown=True)
    yield from _part("Starts after the time looked at", plan.starts_later, _start, most, shown=True)
    yield from _part("Windows that block", plan.blocked_by, lambda block: block_text(block, code), most, shown=True)
    needed = permissions_of(plan.permissions)
    yield from _part("Permissions needed", needed, lambda one: permission_text(one, code), most, shown=True)
    yield from _part("Credentials newly reachable", plan.credentials, _credential, most, shown=True)
    yield from _part("Told to others than before", plan.told, lambda one: told_text(one, code), most)
    yield from _part("Targets gained and lost", plan.targets, _targets, most)
    yield from _part("Schedules", plan.schedules, _schedule, most, shown=True)
    yield from _part("Schedules looked at in part", plan.cut, lambda one: cut_text(one, code), most)
    yield from _part("Documents", tuple(_documents(plan)), lambda line: line, most)
    yield ""
    yield f"Times are from {format_instant(plan.start)} to {format_instant(plan.end)}, as if it were merged then."
    yield f"Time zone data: {code(plan.zones.text)}."


def _part(title: str, items: Sequence[T], line: Callable[[T], str], most: int, *, shown: bool = False) -> Iterator[str]:
    if not items:
        return
    yield ""
    yield f"<details{' open' if shown else ''}><summary>{title} ({len(items)})</summary>"
    yield ""
    yield from (f"- {line(item)}" for item in items[:most])
    if len(items) > most:
        yield f"- and {len(items) - most} more"
    yield ""
    yield "</details>"


def _finding(finding: Diagnostic) -> str:
    hint = f"; {code(finding.hint)}" if finding.hint else ""
    return f"{finding.severity} {code(str(finding.span))} {finding.code} {code(finding.message)}{hint}"


def _start(start: Start) -> str:
    return start_text(start, code, _names)


def _credential(gain: CredentialGain) -> str:
    first = gain.ways[0]
    more = f" and {len(gain.ways) - 1} more ways" if len(gain.ways) > 1 else ""
    by = by_way(gain, code(way_text(first.target, first.path)), code)
    said = f"{code(f'Credential/{gain.credential}')} {by}{more}"
    return said if gain.job is None else f"{code(f'Job/{gain.job}')} → {said}"


def _targets(change: TargetsChange) -> str:
    by = f" by {' → '.join(map(code, change.starts))}" if change.starts else ""
    gained = [f"gains {len(change.gained)}: {_names(change.gained)}"] if change.gained else []
    lost = [f"loses {len(change.lost)}: {_names(change.lost)}"] if change.lost else []
    return f"{code(f'Job/{change.job}')}{by} {'; '.join([*gained, *lost])}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(code(name) for name in names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


def _schedule(change: ScheduleChange) -> str:
    lines = "".join(f"\n  {line}" for line in fire_lines(change, _FIRES_SHOWN))
    held = f": {code(change.held)}" if change.held else ""
    fires = f"\n\n  ```diff{lines}\n  ```" if lines else ""
    return f"{code(change.name)}: {schedule_notes(change)}{held}{fires}"


def _documents(plan: Plan) -> Iterator[str]:
    documents = plan.documents
    yield from (f"added {code(identity)}" for identity in documents.added)
    for identity, paths in documents.fields.items():
        shown = ", ".join(code(path) for path in paths[:5])
        yield f"changed {code(identity)}: {shown}{', …' if len(paths) > 5 else ''}"
    yield from (f"removed {code(identity)}" for identity in documents.removed)
    yield from (f"renamed {code(one.before)} → {code(one.after)}" for one in documents.renamed)
