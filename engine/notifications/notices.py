"""What the rules of a commit make of an event: whom it is told, by which channel, when, and together with what. Pure.

An event is told by a rule where the rule names it, selects one of its objects, and `when` lets it pass. Nothing is
ever lost to quiet hours: it is held until they end, and what was held for one of them is one message.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine.catalog import Catalog
from engine.identity import scan_name
from engine.selection import matches
from engine.times.openings import Openings
from schemas.calendar import WindowSpec
from schemas.notification import EventName, NotificationRuleSpec, ObjectSelection, Quiet, When

SUCCESSES: frozenset[str] = frozenset({"run.succeeded", "run.recovered"})
RECOVERIES: frozenset[str] = frozenset({"run.recovered", "target.recovered", "sync.recovered"})
FAILURES: frozenset[str] = frozenset({"run.failed", "run.timedOut", "run.unknown", "target.unreachable", "sync.failed"})
LASTING: frozenset[str] = frozenset(
    {"run.succeeded", "run.failed", "run.recovered", "run.unknown", "run.cancelled", "run.timedOut"}
)
"""Events of runs that have ended, which took some time."""
_OF_RUNS = frozenset({"Job", "Workflow", "Schedule", "Discovery"})
_OF_PAST = frozenset({"Job", "Workflow"})
"""Whose names runs are known by."""
ABOUT: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("run.started", "run.late", *sorted(LASTING)), _OF_RUNS),
    **dict.fromkeys(("run.missed", "run.noTargets"), _OF_RUNS),
    "run.waitingApproval": frozenset({"Workflow"}),
    **dict.fromkeys(("target.unreachable", "target.recovered"), frozenset({"Target"})),
    **dict.fromkeys(("sync.failed", "sync.recovered"), frozenset({"Project"})),
    "credential.expiring": frozenset({"Credential"}),
    "discovery.changed": frozenset({"Discovery"}),
    "runner.lost": frozenset({"RunnerPool"}),
    "notification.dead": frozenset({"NotificationChannel"}),
}
"""The kinds of the objects that `subjects` may give for an event."""
OF_TARGETS_WAIT = timedelta(seconds=30)
"""So long events of targets are collected by a rule that does not say: a network that is away is one message."""
OF_DEAD_WAIT = timedelta(minutes=5)
"""The same of messages of one channel that could not be delivered: a channel that refuses them refuses all."""
_MOST_QUIETS = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that an event is about. `labels` are empty where it is not defined (any more)."""

    kind: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `data` is as its notice has it; `id` tells it from all others."""

    id: str
    type: EventName
    at: datetime
    kind: str
    name: str
    run: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    today: str | None = None
    """Of a run's event: what its job or workflow is called today; None where that is not known."""
    naming: int | None = None
    """Of a run's event: the generation of names that its cause is written in; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a rule remembers of an object: how many events counted, for every nth, and whether a failure was told.

    A recovery begins both anew, but for a rule that counts more than failures.
    """

    matched: int = 0
    told: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be written: what happened is told by one rule, by one channel.

    `group`: while it is held, events of the same group are added to it. `id` is the same whenever it is worked out.
    """

    id: str
    rule: str
    channel: str
    user: str | None
    order_key: str
    hold_until: datetime | None = None
    group: str | None = None


def subjects(event: Event, catalog: Catalog) -> tuple[Subject, ...]:
    """What the event is about, the nearest first: the object itself, and of a run or a schedule what belongs to it.

    By the names that they have now: a run keeps the name that its job had when it began.
    """
    name = event.name if event.today is None or event.kind not in _OF_PAST else event.today
    found = [(event.kind, name)]
    schedule = catalog.schedules.get(catalog.name_now("Schedule", event.name))
    if event.kind == "Schedule" and schedule is not None:
        spec = schedule.spec
        named = (("Job", spec.job_ref), ("Workflow", spec.workflow_ref), ("Discovery", spec.discovery_ref))
        found += [(kind, name) for kind, name in named if name is not None]
    if event.kind == "Job" and event.name not in catalog.jobs:
        scanned = event.name.removeprefix(scan_name(""))
        discovery = catalog.name_now("Discovery", scanned, event.naming)
        found += [("Discovery", discovery)] if scanned != event.name and discovery in catalog.discoveries else []
    cause = event.data.get("cause")
    if isinstance(cause, Mapping) and cause.get("kind") == "schedule":
        found.append(("Schedule", catalog.name_now("Schedule", str(cause.get("name")), event.naming)))
    by_now = ((kind, catalog.name_now(kind, name)) for kind, name in found)
    return tuple(Subject(kind, name, _labels(catalog, kind, name)) for kind, name in by_now)


def _labels(catalog: Catalog, kind: str, name: str) -> Mapping[str, str]:
    if kind == "Project":
        return catalog.project.metadata.labels
    document = catalog.by_kind.get(kind, {}).get(name)
    return {} if document is None else document.metadata.labels


def selects(select: ObjectSelection, about: Iterable[Subject]) -> bool:
    """Whether a rule selects one of what an event is about. Where it names no kinds, any of them may fit."""
    return any(_fits(select, one) for one in about)


def _fits(select: ObjectSelection, one: Subject) -> bool:
    by_kind = not select.kinds or one.kind in select.kinds
    by_name = not select.names or one.name in select.names
    return by_kind and by_name and (select.selector is None or matches(select.selector, one.labels))


def told(rule: NotificationRuleSpec, event: Event, memory: Memory) -> tuple[bool, Memory]:
    """Whether the rule tells an event that it selects, and what it remembers then."""
    when = rule.when
    if event.type in RECOVERIES or event.type == "run.succeeded":
        return _well(rule, event, memory)
    if event.type not in rule.events or not _long_enough(when, event) or not _in_a_row(when, event, memory):
        return False, memory
    matched = memory.matched + 1 if when.every_nth is not None else 0
    tells = _nth(when, matched)
    return tells, Memory(matched, told=memory.told or (tells and event.type in FAILURES))


def _well(rule: NotificationRuleSpec, event: Event, memory: Memory) -> tuple[bool, Memory]:
    when = rule.when
    every = when.every_nth if _counts_on(rule) else None
    after = Memory() if every is None else Memory(memory.matched)
    if event.type in RECOVERIES and when.recovered and memory.told:
        return True, after
    asked = event.type in rule.events or (event.type == "run.recovered" and "run.succeeded" in rule.events)
    if not asked or not _long_enough(when, event):
        return False, after
    if every is not None and (event.type == "run.succeeded" or event.type not in rule.events):
        matched = memory.matched + 1
        return matched % every == 0, Memory(matched)
    # Of a failure that nobody was told of, nobody needs to hear that it is over.
    of_silence = event.type in RECOVERIES and when.consecutive_failures is not None and not memory.told
    return not of_silence or "run.succeeded" in rule.events, after


def _counts_on(rule: NotificationRuleSpec) -> bool:
    """Whether good news does not begin the count of every nth anew: what has no end cannot be over."""
    return rule.when.consecutive_failures is None and not set(rule.events) <= FAILURES | RECOVERIES


def _long_enough(when: When, event: Event) -> bool:
    if when.longer_than is None or not event.type.startswith("run."):
        return True
    seconds = event.data.get("seconds")
    return isinstance(seconds, int | float) and timedelta(seconds=seconds) > when.longer_than


def _in_a_row(when: When, event: Event, memory: Memory) -> bool:
    """A target that stays away is told once: each run says it again. What nobody counts passes: `sync.failed` does."""
    failures = event.data.get("failures")
    if event.type not in FAILURES or failures is None:
        return True
    if event.type == "target.unreachable" and when.every_nth is None and memory.told:
        return False
    return bool(failures >= (when.consecutive_failures or 1))


def _nth(when: When, matched: int) -> bool:
    """Only every nth; of failures in a row the first that is enough, and every nth from there."""
    if when.every_nth is None:
        return True
    return (matched - 1 if when.consecutive_failures else matched) % when.every_nth == 0


def drafts(
    name: str, rule: NotificationRuleSpec, event: Event, about: tuple[Subject, ...], catalog: Catalog, now: datetime
) -> tuple[Draft, ...]:
    """The messages by which a rule tells an event: one a channel. Who prefers other channels or hours has them.

    A channel that several share tells as early as one of them wants to hear: nobody sleeps for the others.
    """
    found: dict[str, Draft] = {}
    for channel, user, quiets in recipients(rule, event, catalog):
        if channel not in catalog.channels or about_itself(event, channel):
            continue
        made = _draft(name, rule, event, about, channel, user, quiets, now)
        if channel not in found or (made.hold_until or now) < (found[channel].hold_until or now):
            found[channel] = made
    return tuple(found.values())


def about_itself(event: Event, channel: str) -> bool:
    """A channel that does not work is not told so by itself."""
    return event.kind == "NotificationChannel" and event.name == channel


def recipients(
    rule: NotificationRuleSpec, event: Event, catalog: Catalog
) -> Iterator[tuple[str, str | None, tuple[Quiet, ...]]]:
    """The channels by which a rule tells an event: each with the user who prefers it, if any, and the quiet hours."""
    own = () if rule.quiet is None else (rule.quiet,)
    for channel in rule.channels:
        yield channel, None, own
    for name in rule.users:
        if (user := catalog.users.get(name)) is None:
            continue
        wishes = user.spec.notify
        asked_for = event.type == "run.recovered" and ("run.recovered" in rule.events or rule.when.recovered)
        if event.type in SUCCESSES and not wishes.on_success and not asked_for:
            continue
        quiets = own if wishes.quiet is None else (*own, wishes.quiet)
        for channel in wishes.channels:
            yield channel, name, quiets


def _draft(
    name: str,
    rule: NotificationRuleSpec,
    event: Event,
    about: tuple[Subject, ...],
    channel: str,
    user: str | None,
    quiets: tuple[Quiet, ...],
    now: datetime,
) -> Draft:
    place = (name, channel, user or "")
    group, wait = _group(rule, event, about)
    sent_at = now + wait
    until = after_quiet(quiets, sent_at)
    if group is None and until > sent_at:
        group = ("quiet",)
    key = None if group is None else _digest(*place, *group)
    line = _order(name, rule, event, about, user, group)
    made = Draft(_digest(*place, key or "", event.id), name, channel, user, line)
    return replace(made, group=key, hold_until=until if until > now else None)


def _order(
    name: str,
    rule: NotificationRuleSpec,
    event: Event,
    about: tuple[Subject, ...],
    user: str | None,
    group: tuple[str, ...] | None,
) -> str:
    """What leaves by a channel in its order: all of one job, over its runs and whichever rules tell it; of targets,
    that they are away and that they are back; of what a rule groups by the event, too, what else it has in common."""
    if group is None:
        return f"{about[0].kind}/{about[0].name}"
    match group[0]:
        case "targets":
            return f"{name}/targets"
        case "dead":
            return f"{about[0].kind}/{about[0].name}"
        case "quiet":
            return line_of(name, user)
        case _:
            by = () if rule.group is None else (each for each in rule.group.by if each != "event")
            return f"{name}/group {_digest(user or '', *(_value(each, event, about) for each in by))}"


def line_of(rule: str, user: str | None) -> str:
    """The order of what a rule tells of any objects together: in quiet hours, and of a crowd."""
    return f"{rule}/several {user or ''}".rstrip()


def _group(
    rule: NotificationRuleSpec, event: Event, about: tuple[Subject, ...]
) -> tuple[tuple[str, ...] | None, timedelta]:
    if rule.group is not None:
        return ("group", *(_value(by, event, about) for by in rule.group.by)), rule.group.wait
    if event.kind == "Target":
        return ("targets", event.type), OF_TARGETS_WAIT
    if event.type == "notification.dead":
        return ("dead", event.kind, event.name), OF_DEAD_WAIT
    return None, timedelta(0)


def _value(by: str, event: Event, about: tuple[Subject, ...]) -> str:
    kinds = {"job": ("Job", "Workflow"), "target": ("Target",), "schedule": ("Schedule",)}.get(by)
    if kinds is None:
        return event.type
    return next((f"{one.kind}/{one.name}" for one in about if one.kind in kinds), "")


def crowded(draft: Draft, now: datetime, wait: timedelta) -> Draft:
    """The same, where the rule has said so much by the channel lately that what comes now is told together."""
    key = _digest(draft.rule, draft.channel, draft.user or "", "crowd")
    return replace(draft, group=key, hold_until=now + wait, order_key=line_of(draft.rule, draft.user))


def after_quiet(quiets: tuple[Quiet, ...], instant: datetime) -> datetime:
    """The first instant from this one on that lies in none of them. Hours that never end keep nobody from hearing."""
    until = instant
    for _ in range(_MOST_QUIETS):
        ends = [end for quiet in quiets if (end := _end_of(quiet, until)) is not None]
        if not ends:
            return until
        until = max(ends)
    return instant


def _end_of(quiet: Quiet, instant: datetime) -> datetime | None:
    opening = _openings(quiet).at(instant)
    return None if opening is None else opening.end


def _openings(quiet: Quiet) -> Openings:
    # Not kept: whoever asks may be another thread, and what Openings keep is changed by every question.
    spec = WindowSpec.model_construct(
        effect="deny", cron=quiet.cron, duration=quiet.duration, time_zone=quiet.time_zone
    )
    return Openings(spec)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
