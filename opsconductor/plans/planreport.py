"""A plan as people at a terminal and programs read it; `opsconductor.plans.planmarkdown` makes the comment of it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import tzinfo
from typing import Any

from engine.authority.needwords import permission_text, permissions_of
from engine.changes.plan import Plan
from engine.changes.plan_reach import EVERY_POOL, CredentialGain, TargetsChange
from engine.changes.plan_starts import Start
from engine.changes.plan_times import Cut, Fires, PlannedFire, ScheduleChange
from engine.changes.plan_windows import Block
from engine.schedules.fires import Dropped
from engine.schedules.windows import Blocked
from opsconductor.plans.planpermissions import need_as_data
from opsconductor.plans.plantold import told_as_data, told_text
from opsconductor.report import finding_as_data
from opsconductor.terminal import printable
from schemas.diagnostic import Diagnostic
from schemas.quantities import format_instant

_SHOWN = 50
"""So many lines of one part are shown as text; JSON has them all."""
_FIRES_SHOWN = 5
_WINDOWS_SHOWN = 3
_COMMIT_ID = 40


def as_json(plan: Plan) -> str:
    """The shape of CONTRACT 3, with more keys."""
    return json.dumps(as_data(plan), indent=2, ensure_ascii=False)


def as_data(plan: Plan) -> dict[str, Any]:
    """The same as plain data."""
    documents = plan.documents
    return {
        "base": plan.base,
        "head": plan.head,
        "from": format_instant(plan.start),
        "until": format_instant(plan.end),
        "accepted": plan.accepted,
        "timeZoneData": plan.zones.to_json(),
        "documents": {
            "added": list(documents.added),
            "changed": list(documents.changed),
            "removed": list(documents.removed),
            "renamed": [{"from": one.before, "to": one.after} for one in documents.renamed],
            "fields": {identity: list(paths) for identity, paths in documents.fields.items()},
        },
        "schedules": [_schedule(change) for change in plan.schedules],
        "schedulesCut": [
            {"schedule": one.schedule, "fires": one.fires, "until": format_instant(one.until)} for one in plan.cut
        ],
        "startsAtOnce": [_start(start) for start in plan.starts_at_once],
        "startsLater": [_start(start) for start in plan.starts_later],
        "targets": [one.to_json() for one in plan.targets],
        "credentials": [
            {
                "job": gain.job,
                "credential": gain.credential,
                "pool": gain.pool,
                "ways": [{"target": way.target, "path": way.path} for way in gain.ways],
            }
            for gain in plan.credentials
        ],
        "told": [told_as_data(one) for one in plan.told],
        "blockedBy": [
            {
                "window": one.window,
                "effect": one.effect,
                "cause": one.cause,
                "before": one.before,
                "after": one.after,
                "first": format_instant(one.first),
            }
            for one in plan.blocked_by
        ],
        "permissions": [need_as_data(need) for need in plan.permissions],
        "notComputed": [],
        "notActedOn": list(plan.not_acted_on),
        "findings": [finding_as_data(finding) for finding in plan.findings],
        "baseFindings": [finding_as_data(finding) for finding in plan.base_findings],
    }


def _schedule(change: ScheduleChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "formerName": change.former if change.former != change.name else None,
        "clock": change.clock,
        "before": [_fire(planned) for planned in change.before.listed],
        "moreBefore": change.before.more,
        "after": [_fire(planned) for planned in change.after.listed],
        "moreAfter": change.after.more,
        "held": change.held,
        "dropped": [_dropped(one) for one in change.dropped],
        "nextDue": change.next_due and format_instant(change.next_due),
    }


def _fire(planned: PlannedFire) -> dict[str, Any]:
    fire = planned.fire.to_json()
    del fire["schedule"]
    return fire | {"clockChange": planned.clock_change, "blocked": _blocked(planned.blocked)}


def _blocked(blocked: Blocked | None) -> dict[str, Any] | None:
    if blocked is None:
        return None
    until = blocked.until and format_instant(blocked.until)
    return {"windows": list(blocked.windows), "action": blocked.action, "until": until}


def _dropped(one: Dropped) -> dict[str, Any]:
    dropped = one.to_json()
    del dropped["schedule"]
    return dropped


def _start(start: Start) -> dict[str, Any]:
    return {
        "cause": start.cause,
        "verdict": start.verdict,
        "job": start.job,
        "targets": list(start.targets),
        "startsAt": start.starts_at and format_instant(start.starts_at),
        "reason": start.reason,
        "message": start.message,
        "blocked": _blocked(start.blocked),
    }


def as_text(plan: Plan) -> str:
    """For a terminal. Long parts are cut, and say so."""
    return "\n".join(printable(line.replace("\n", " ")) for line in _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"plan {short(plan.base)} -> {short(plan.head)}, {format_instant(plan.start)} to {format_instant(plan.end)}"
    yield summary(plan)
    yield from verdicts(plan)
    yield from _part("documents", _documents(plan))
    yield from _part("schedules", (line for change in plan.schedules for line in _schedule_lines(change)))
    yield from _part("schedules looked at in part", map(cut_text, plan.cut))
    yield from _part("starts at once", map(_start_line, plan.starts_at_once))
    yield from _part("starts after the time looked at", map(_start_line, plan.starts_later))
    yield from _part("windows that block", (block_text(one, str) for one in plan.blocked_by))
    yield from _part("permissions needed", (permission_text(one, str) for one in permissions_of(plan.permissions)))
    yield from _part("targets", map(_targets_line, plan.targets))
    yield from _part("credentials newly reachable", map(_credential_line, plan.credentials))
    yield from _part("told to others than before", map(told_text, plan.told))
    yield from _part("findings", map(_finding_line, news(plan)))
    if plan.inherited:
        yield ""
        yield inherited(plan)
    yield from _part("findings of the base", map(_finding_line, plan.base_findings))
    yield ""
    yield f"time zone data: {plan.zones.text}"


def news(plan: Plan) -> list[Diagnostic]:
    """The findings that base has not, errors first."""
    return sorted((one for one in plan.findings if one not in plan.inherited), key=lambda one: one.severity != "error")


def inherited(plan: Plan) -> str:
    """How many findings are no news."""
    return f"And {_count(len(plan.inherited), 'warning')} that base has as well; see 'opsconductor validate'."


def _part(title: str, found: Iterable[str]) -> Iterator[str]:
    if lines := list(found):
        yield ""
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:_SHOWN])
        if len(lines) > _SHOWN:
            yield f"  and {len(lines) - _SHOWN} more; --format json has all"


def summary(plan: Plan) -> str:
    """What changes, in one line of numbers."""
    documents = plan.documents
    of_documents = (
        (len(documents.added), "added"),
        (len(documents.changed), "changed"),
        (len(documents.removed), "removed"),
        (len(documents.renamed), "renamed"),
    )
    counts = (
        ("documents", ", ".join(f"{count} {what}" for count, what in of_documents if count)),
        ("schedules", len(plan.schedules)),
        ("runs that start at once", sum(start.verdict == "starts" for start in plan.starts_at_once)),
        ("runs that start later", len(plan.starts_later)),
        ("jobs on other targets", len({one.job for one in plan.targets})),
        ("credentials newly reachable", len(plan.credentials)),
        ("told to others than before", sum(len(one.objects) for one in plan.told)),
        ("windows that block", len({one.window for one in plan.blocked_by})),
        ("permissions needed", len(permissions_of(plan.permissions))),
    )
    return "; ".join(f"{what}: {count}" for what, count in counts if count) or "no document changes"


def verdicts(plan: Plan) -> Iterator[str]:
    """What a reviewer must know before everything else; nothing where all is well."""
    errors = sum(finding.severity == "error" for finding in plan.findings)
    guard = any(finding.code in ("OC340", "OC341") for finding in plan.findings)
    if not plan.accepted and guard:
        yield "Rejected by the prune guard: until a person accepts it by name, the last good commit stays in force."
    elif not plan.accepted:
        yield f"Rejected: {_count(errors, 'error')} in head; nothing changes and the last good commit stays in force."
    elif errors:
        yield f"Accepted, but {_count(errors, 'error')} about acts: those are refused."
    if plan.cut:
        first = min(plan.cut, key=lambda one: one.until)
        yield (
            f"{_count(len(plan.cut), 'schedule')} with more fires than are looked at: from "
            f"{format_instant(first.until)} on not all is compared; a shorter --horizon is seen whole."
        )
    if plan.permissions and plan.not_acted_on:
        yield (
            "The Project of the base says verify: {mode: none}: nobody is held to the permissions, unless the engine "
            "was started with --verify."
        )
    if plan.base_findings:
        yield (
            f"The base has {_count(len(plan.base_findings), 'error')} itself: an earlier commit is in force. "
            "Compared with nothing."
        )


def block_text(block: Block, mark: Callable[[str], str]) -> str:
    """Which runs a window stands in the way of. `mark` displays what documents say."""
    side = "outside it" if block.effect == "allow" else "in it"
    numbers = f"{block.after} of its runs, {block.before} before" if block.cause.startswith("Schedule/") else "its run"
    first = format_instant(block.first)
    return f"{mark(f'Window/{block.window}')} ({block.effect}): {mark(block.cause)} {side}: {numbers}; first {first}"


def cut_text(cut: Cut, mark: Callable[[str], str] = str) -> str:
    """How much of a schedule was looked at."""
    return f"{mark(cut.schedule)}: its first {cut.fires:,} fires, until {format_instant(cut.until)}; not compared after"


def blocked_text(blocked: Blocked, where: tzinfo | None = None) -> str:
    """What blocks a start and what becomes of it; instants in the zone `where`, else in UTC."""
    names = ", ".join(blocked.windows[:_WINDOWS_SHOWN]) + (", ..." if len(blocked.windows) > _WINDOWS_SHOWN else "")
    if blocked.action == "skip":
        then = "skipped"
    elif blocked.until is None:
        then = "deferred without end"
    elif where is None:
        then = f"deferred to {format_instant(blocked.until)}"
    else:
        then = f"deferred to {blocked.until.astimezone(where).isoformat(sep=' ', timespec='seconds')}"
    return f"blocked by {names}: {then}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _documents(plan: Plan) -> Iterator[str]:
    documents = plan.documents
    yield from (f"+ {identity}" for identity in documents.added)
    yield from (f"~ {identity}: {fields(paths)}" for identity, paths in documents.fields.items())
    yield from (f"- {identity}" for identity in documents.removed)
    yield from (f"> {one.before} -> {one.after}" for one in documents.renamed)


def fields(paths: Sequence[str]) -> str:
    """The changed fields of a document, the first few."""
    return ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")


_CLOCKS = {
    "new": "new",
    "restarts": "its clock starts anew; nothing is caught up",
    "kept": "its clock goes on",
    "held": "this version does not act on it",
    "gone": "gone",
}


def schedule_notes(change: ScheduleChange) -> str:
    """What becomes of a schedule's clock."""
    renamed = "" if change.former in (None, change.name) else f"formerly {change.former}, "
    return f"{renamed}{_CLOCKS[change.clock]}"


def _schedule_lines(change: ScheduleChange) -> Iterator[str]:
    yield f"{change.name}: {schedule_notes(change)}{f': {change.held}' if change.held else ''}"
    yield from (f"  {line}" for line in fire_lines(change, _FIRES_SHOWN))


def fire_lines(change: ScheduleChange, most: int) -> Iterator[str]:
    """The first fires of both sides as a diff: `-` is no longer, `+` is new, a space says that both sides have it.

    At most `most` of each side.
    """
    before = {_fire_key(planned): planned for planned in change.before.listed}
    after = {_fire_key(planned): planned for planned in change.after.listed}
    shown = {*list(before)[:most], *list(after)[:most]}
    for key in sorted(shown, key=lambda key: (key[0], key in after)):
        sign = " " if key in before and key in after else "-" if key in before else "+"
        yield f"{sign} {_fire_line(after.get(key) or before[key])}"
    if max(len(before), len(after)) > most or change.before.more or change.after.more:
        yield f"  and more: {_number(change.before)} before, {_number(change.after)} after"
    yield from (f"! {one.message} ({one.time_zone}, dst.gap: skip)" for one in change.dropped[:most])
    if not change.after.listed and change.clock not in ("gone", "held"):
        yield f"  next due {format_instant(change.next_due)}" if change.next_due else "  never due again"


def short(revision: str) -> str:
    """A commit id as people read it; other names stay."""
    return revision[:12] if len(revision) == _COMMIT_ID else revision


def _fire_key(planned: PlannedFire) -> tuple[Any, ...]:
    fire = planned.fire
    blocked = blocked_text(planned.blocked) if planned.blocked else ""
    return (fire.instant, fire.local.isoformat(), fire.time_zone, fire.decision, fire.reason or "", blocked)


def _number(fires: Fires) -> str:
    return f"{len(fires.listed)}{'+' if fires.more else ''}"


_CLOCK_CHANGES = {
    "gap": "clocks go forward: moved to the end of the missing hour",
    "fold": "clocks go back: this time comes twice",
    "offset": "clocks have changed",
}


def _fire_line(planned: PlannedFire) -> str:
    fire = planned.fire
    local = fire.local.isoformat(sep=" ", timespec="seconds")
    by = f" ({', '.join(fire.held_by)})" if fire.held_by else ""
    skipped = f"  skipped: {fire.reason}{by}" if fire.decision == "skipped" else ""
    changed = f"  ! {_CLOCK_CHANGES[planned.clock_change]}" if planned.clock_change else ""
    put_off = planned.blocked if fire.decision == "run" else None
    blocked = f"  ! {blocked_text(put_off, fire.local.tzinfo)}" if put_off else ""
    spread = put_off is None and fire.starts_at is not None and fire.starts_at != fire.instant
    starts = f"  starts {format_instant(fire.starts_at)}" if spread and fire.starts_at is not None else ""
    return f"{local} {fire.time_zone}  {format_instant(fire.instant)}{starts}{skipped}{changed}{blocked}"


def start_text(start: Start, mark: Callable[[str], str], targets: Callable[[Sequence[str]], str]) -> str:
    """What comes of an act or of what is due at once. `mark` displays what documents say, `targets` their names."""
    cause = mark(start.cause)
    match start.verdict:
        case "starts":
            on = f" on {targets(start.targets)}" if start.targets else ""
            when = f"at {format_instant(start.starts_at)}" if start.starts_at else "at once"
            blocked = f"; {mark(blocked_text(start.blocked))}" if start.blocked else ""
            then = f"; {mark(start.message)}" if start.message else ""
            return f"{cause} starts {mark(start.job or '')}{on} {when}{blocked}{then}"
        case "waits":
            return f"{cause}: the run of {mark(start.job or '')} {mark(start.message or 'waits')}"
        case "refused":
            what = "is skipped" if start.cause.startswith("Schedule/") else "is refused"
            return f"{cause} {what}: {mark(start.message or start.reason or '')}"
        case "acts":
            return f"{cause}: {mark(start.message or 'acts')}"


def _start_line(start: Start) -> str:
    return start_text(start, str, lambda targets: _count(len(targets), "target"))


def _targets_line(change: TargetsChange) -> str:
    by = f" by {' -> '.join(change.starts)}" if change.starts else ""
    parts = [
        f"{sign} {', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
        for sign, names in (("+", change.gained), ("-", change.lost))
        if names
    ]
    return f"{change.job}{by}: {'  '.join(parts)}"


def _credential_line(gain: CredentialGain) -> str:
    first = gain.ways[0]
    more = f" and {len(gain.ways) - 1} more ways" if len(gain.ways) > 1 else ""
    said = f"Credential/{gain.credential} {by_way(gain, way_text(first.target, first.path))}{more}"
    return said if gain.job is None else f"Job/{gain.job} -> {said}"


def by_way(gain: CredentialGain, way: str, name: Callable[[str], str] = str) -> str:
    """How a credential comes to be reachable: the way as it is shown, and the pool where that is what is new."""
    if gain.pool is None:
        return f"by {way}"
    pool = "every pool" if gain.pool == EVERY_POOL else f"pool {name(gain.pool)}"
    return f"opened by runners of {pool} too, by {way}" if gain.job is None else f"now in {pool}, by {way}"


def _finding_line(finding: Diagnostic) -> str:
    return f"{finding.span}: {finding.code} {finding.severity}: {finding.message}"


def way_text(target: str | None, path: str) -> str:
    """Where a credential is named."""
    return f"Target/{target} {path}" if target else path
