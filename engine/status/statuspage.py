"""The front page of the status branch, README.md: what fails, what waits, what ran, what is next.

It has no clock of its own: it changes only when something happened. Names and reasons come from users and targets, so
every text is written in a way that no Markdown or HTML reader takes for markup.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.runs.waits import sentence, wait_file
from engine.states import RunState, StepState
from engine.status.readmodel import (
    SYNC,
    channel_path,
    gate_path,
    job_path,
    run_path,
    schedule_path,
    target_path,
    workflow_path,
)
from engine.status.views import (
    ChannelView,
    ConditionView,
    DeadLettersView,
    JobView,
    KeptBack,
    OverviewView,
    RunBrief,
    ScheduleView,
    SyncView,
    TargetStatusView,
)
from engine.status.wellness import Troubles, is_behind, said
from engine.workflows.graphfacts import OpenGate
from schemas.quantities import format_duration

RECENT = 15
NEXT = 15
OPEN = 30
FAILING = 50
_NAMED = 3
"""Targets of a run that did not succeed, by name."""
FINDINGS = 10
_LONGEST = 160
_DIGITS = 12
"""How much of a gate's digest people are shown to type."""

_ICONS = {
    RunState.WAITING: "⏳",
    RunState.QUEUED: "⏳",
    RunState.RUNNING: "▶️",
    RunState.SUCCEEDED: "✅",
    RunState.FAILED: "❌",
    RunState.CANCELLED: "🚫",
    RunState.TIMED_OUT: "⌛",
    RunState.UNKNOWN: "❓",
}
_SPECIAL = re.compile(r"[^\w ,;'-]|_|^-")
_NO_CODE = re.compile(r"[`|]|\{[{%#]")
_FREE_OF_RISK = re.compile(r"[A-Za-z0-9]+(?:(?:[ ./-]|[,;] )[A-Za-z0-9]+)*", re.ASCII)
_SAID_ABOVE = frozenset({"LastGood"})
"""Reasons of conditions that say what the page's first lines say."""


def page(view: OverviewView) -> str:
    """The page as Markdown. Equal views give equal bytes."""
    sections = (
        ["# Status", ""],
        _summary(view),
        _sync(view.sync),
        _gates(view.gates, view.sync.to_approve),
        _failing(_failing_of(view)),
        _unreachable(view.targets),
        _open(view.open),
        _recent(view.recent),
        _next(view.schedules),
        _suspended(view.schedules),
        _failing_channels(view.channels),
        _dead_letters(view.dead_letters),
    )
    return "\n".join(line for section in sections for line in section).rstrip("\n") + "\n"


def text(value: str | None) -> str:
    """Foreign text as Markdown that shows it and does nothing else: one line, cut where it is long.

    A code span, which people at a terminal can read, and in which no forge finds links, mentions or markup. What could
    end one, or a cell, or is known to engines that fill pages in before Markdown is read, is written as entities.
    """
    shown = "".join(_visible(char) for char in value or "").strip()
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    if not shown or (_FREE_OF_RISK.fullmatch(shown) and "www" not in shown.lower()):
        return shown
    if not _NO_CODE.search(shown):
        return f"`{shown}`"
    return _SPECIAL.sub(lambda found: found[0] if found[0] == "…" else f"&#{ord(found[0])};", shown)


def _visible(char: str) -> str:
    """Line breaks and the like as spaces; what changes the direction of text, or is not there at all, left out."""
    kind = unicodedata.category(char)
    if kind in ("Zl", "Zp", "Zs", "Cc"):
        return " "
    return "" if kind in ("Cf", "Cs", "Co", "Cn") else char


def _summary(view: OverviewView) -> Iterator[str]:
    """In one line, whether somebody must look, and where."""
    troubles = Troubles(
        failing=len(_failing_of(view)),
        unreachable=len(_away(view.targets)),
        gates=len(view.gates) + len(view.sync.to_approve),
        channels=len(view.channels),
        dead_letters=sum(one.count for one in view.dead_letters),
    )
    found = ["the newest commit is [not in force](sync.yaml)"] if is_behind(view.sync) else []
    found += [f"[{one.words}](#{one.section})" for one in said(troubles)]
    if found:
        yield f"❌ **Look at this:** {' · '.join(found)}"
        yield ""
    elif view.sync.applied is not None and not _bad(view.sync):
        yield "✅ **All is well.**"
        yield ""


def _bad(sync: SyncView) -> list[ConditionView]:
    return [
        one
        for one in sync.conditions
        if one.type != "Reconciling" and (one.type == "Stalled") == (one.status == "True")
    ]


def _sync(sync: SyncView) -> Iterator[str]:
    active = _commit(sync.applied)
    more = f"more in [{SYNC}]({SYNC})"
    if is_behind(sync):
        yield f"⚠️ Commit {_commit(sync.observed)} is **not in force**: {active} stays; {more}."
    elif sync.applied is not None:
        yield f"Commit {active} is in force; {more}."
    else:
        yield f"No commit is in force yet; {more}."
    yield ""
    stalled = {one.reason for one in sync.conditions if one.type == "Stalled"}
    bad = [
        one
        for one in _bad(sync)
        if one.reason not in _SAID_ABOVE and (one.type != "Verified" or one.reason not in stalled)
    ]
    errors = [found for found in sync.findings if found.severity == "error"]
    yield from (f"- {text(condition.message)}" for condition in bad)
    for found in errors[:FINDINGS]:
        yield f"- {text(str(found.span))}: {text(found.code)} {text(found.message)}"
    if len(errors) > FINDINGS:
        yield f"- and {len(errors) - FINDINGS} more"
    if bad or errors:
        yield ""


def _gates(gates: Sequence[OpenGate], asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not gates and not asked:
        return
    yield from _section("Waiting for people")
    rows: list[tuple[str, ...]] = [
        (
            _link(f"{gate.shown.get('workflow')} {gate.shown.get('gate')}", gate_path(gate.digest)),
            ", ".join(text(str(one.get("job"))) for one in gate.shown.get("next") or ()),
            f"{sum(one.approved for one in gate.verdicts)} of {gate.shown.get('count', 1)}",
            text(str(gate.shown.get("expiresAt"))),
            f"`opsconductor approve {gate.digest.removeprefix('sha256:')[:_DIGITS]}`",
        )
        for gate in gates[:OPEN]
    ]
    rows[:0] = map(_asked, asked[:OPEN])
    more = max(0, len(gates) - OPEN) + max(0, len(asked) - OPEN)
    yield from _table(("Gate", "What runs then", "Approved", "Until", "To approve"), rows, more=more)


def _asked(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of a commit, or a request, that waits for approvals."""
    documents = [name for want in asked["wants"] for name in want["documents"]]
    more = [f"{len(documents) - _NAMED} more"] if len(documents) > _NAMED else []
    request = asked.get("request")
    return (
        _link(f"request {request}" if request else f"commit {asked['commit'][:_DIGITS]}", SYNC),
        text(asked["asks"]) if request else "in force: " + ", ".join([*map(text, documents[:_NAMED]), *more]),
        ", ".join(f"{len(want['given'])} of {want['approvals']}" for want in asked["wants"]),
        text(str(asked.get("expiresAt") or "")),
        f"`opsconductor approve {asked['gate'].removeprefix('sha256:')[:_DIGITS]}`",
    )


def _failing_of(view: OverviewView) -> list[JobView]:
    found = (job for job in (*view.jobs, *view.workflows) if job.consecutive_failures and job.last)
    return sorted(found, key=lambda job: job.name)


def _failing(failing: Sequence[JobView]) -> Iterator[str]:
    yield from _section("Failing", None if failing else "Nothing fails.")
    rows = (
        (
            _link(job.name, workflow_path(job.name) if job.last.workflow else job_path(job.name)),
            _run_link(job.last),
            _state(job.last.state),
            text(job.last.reason) or _failed(job.last),
            str(job.consecutive_failures),
            _run_link(job.last_success) if job.last_success else "never",
        )
        for job in failing[:FAILING]
        if job.last
    )
    yield from _table(
        ("Job", "Last run", "State", "Why", "Times in a row", "Last success"), rows, more=len(failing) - FAILING
    )


def _away(targets: Iterable[TargetStatusView]) -> list[TargetStatusView]:
    return sorted((one for one in targets if one.state is StepState.UNREACHABLE), key=lambda one: one.name)


def _unreachable(targets: Iterable[TargetStatusView]) -> Iterator[str]:
    away = _away(targets)
    if away:
        yield from _section("Unreachable")
        rows = (
            (_link(one.name, target_path(one.name)), _time(one.unreachable_since or one.at)) for one in away[:FAILING]
        )
        yield from _table(("Target", "Since"), rows, more=len(away) - FAILING)


def _open(runs: Sequence[RunBrief]) -> Iterator[str]:
    yield from _section("Waiting and running", None if runs else "Nothing waits.")
    rows = ((_run_link(run), _state(run.state), _cause(run), text(_waits(run) or run.reason)) for run in runs[:OPEN])
    yield from _table(("Run", "State", "Because of", "Why"), rows, more=len(runs) - OPEN)


def _waits(run: RunBrief) -> str | None:
    return sentence(wait_file(run.wait).get("waitsFor"))


def _recent(runs: Sequence[RunBrief]) -> Iterator[str]:
    yield from _section("What ran", None if runs else "Nothing yet.")
    rows = (
        (
            _run_link(run),
            "📝 dry run" if run.dry_run else _state(run.state),
            _cause(run),
            _time(run.finished_at),
            _took(run),
            text(run.reason) or _failed(run),
        )
        for run in runs[:RECENT]
    )
    yield from _table(("Run", "State", "Because of", "Ended", "Took", "Why"), rows)


def _next(schedules: Iterable[ScheduleView]) -> Iterator[str]:
    due = sorted(
        ((one.next_due, one) for one in schedules if one.next_due is not None and one.suspended is None),
        key=lambda pair: (pair[0], pair[1].name),
    )
    yield from _section("What is next", None if due else "Nothing is planned.")
    rows = (
        (_time(at), _link(one.name, schedule_path(one.name)), text(one.job), _becomes(one.kept_back))
        for at, one in due[:NEXT]
    )
    yield from _table(("When", "Schedule", "Job", "What happens"), rows, more=len(due) - NEXT)


def _becomes(kept: KeptBack | None) -> str:
    """What is due may well not run: what calendars and windows keep out must not be waited for."""
    if kept is None:
        return "it starts"
    because = ", ".join(text(name) for name in kept.held_by)
    return f"skipped: {because}" if kept.starts_at is None else f"put off to {_time(kept.starts_at)}: {because}"


def _suspended(schedules: Iterable[ScheduleView]) -> Iterator[str]:
    held = sorted((one for one in schedules if one.suspended is not None), key=lambda one: one.name)
    if held:
        yield from _section("Suspended")
        rows = ((_link(one.name, schedule_path(one.name)), text(one.suspended)) for one in held[:FAILING])
        yield from _table(("Schedule", "Why"), rows, more=len(held) - FAILING)


def _failing_channels(failing: Sequence[ChannelView]) -> Iterator[str]:
    """By channels that fail: whoever waits to be told hears nothing, and may look here."""
    if not failing:
        return
    says = (
        "What waits is tried again until 24 hours after its first attempt, what is refused for good is not; "
        "a channel works again when a message has got there."
    )
    yield from _section("Failing channels", says)
    rows = (
        (_link(one.name, channel_path(one.name)), str(one.waiting), _time(one.failing_since), text(one.error))
        for one in failing[:FAILING]
    )
    yield from _table(("Channel", "Messages", "Failing since", "Last error"), rows, more=len(failing) - FAILING)


def _dead_letters(letters: Sequence[DeadLettersView]) -> Iterator[str]:
    if not letters:
        return
    count = sum(one.count for one in letters)
    says = f"{count} notification{'s' * (count != 1)} could not be delivered. `opsconductor notify replay` sends "
    yield from _section("Dead letters", says + ("them again." if count != 1 else "it again."))
    rows = ((text(one.channel), str(one.count), _time(one.since), text(one.error)) for one in letters[:FAILING])
    yield from _table(("Channel", "Messages", "Since", "Last error"), rows, more=len(letters) - FAILING)


def _section(title: str, says: str | None = None) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if says is not None:
        yield says
        yield ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], more: int = 0) -> Iterator[str]:
    """A table without a head alone: nothing where there are no rows."""
    first = True
    for row in rows:
        if first:
            yield f"| {' | '.join(heads)} |"
            yield f"|{'---|' * len(heads)}"
            first = False
        yield f"| {' | '.join(row)} |"
    if not first:
        yield ""
    if more > 0:
        yield f"And {more} more."
        yield ""


def _link(name: str, path: str) -> str:
    return f"[{text(name)}]({_url(path)})"


def _run_link(run: RunBrief | None) -> str:
    if run is None:
        return ""
    return f"[{text(run.job)} {run.instant.astimezone(UTC):%m-%d %H:%M}]({_url(run_path(run.id, run.instant))})"


def _url(path: str) -> str:
    return re.sub(
        r"[^A-Za-z0-9./_-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode(errors="replace")), path
    )


def _state(state: RunState) -> str:
    return f"{_ICONS[state]} {state}"


def _cause(run: RunBrief) -> str:
    return f"{run.cause_kind} {text(run.cause_name)}"


def _failed(run: RunBrief) -> str:
    more = run.failures - len(run.failed[:_NAMED])
    return ", ".join(text(name) for name in run.failed[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _commit(commit: str | None) -> str:
    return "none" if commit is None else f"`{re.sub(r'[^0-9a-f]', '', commit)[:10]}`"


def _took(run: RunBrief) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    seconds = (run.finished_at - run.started_at).total_seconds()
    return format_duration(timedelta(seconds=round(seconds))) if seconds >= 1 else "under 1s"


def _time(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
