"""Who would be told if a job failed now: the rules in force, asked in the way the engine asks them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.notifications import notices
from engine.notifications.notices import Event, Memory
from engine.status.yamltext import stamp
from journal import tallies
from journal.tallies import Key
from opsconductor.dashboard.pages.starts import Subject, schedules_of
from opsconductor.dashboard.sources import Data
from schemas.notification import NotificationRuleSpec
from schemas.quantities import format_duration


@dataclass(frozen=True, slots=True)
class _Asked:
    """A failure that a rule is about; `schedule`: it is so of runs that this schedule starts alone."""

    rule: str
    spec: NotificationRuleSpec
    event: Event
    about: tuple[notices.Subject, ...]
    schedule: str | None = None


def told_of_failure(
    conn: Connection, catalog: Catalog, subject: Subject, usual: float | None, at: datetime
) -> list[Data]:
    """By rule and channel. A rule that is about it and would not tell this failure says why not.

    The run is taken to last as long as usual, and to be asked for by a person; `schedule` is said by rules that tell
    of it only where that schedule starts it.
    """
    kind = "Workflow" if subject.workflow else "Job"
    failures = tallies.failures(conn, kind, subject.name) + 1
    data: dict[str, Any] = {"state": "failed", "failures": failures, "seconds": usual or 0.0}
    event = Event("", "run.failed", at, kind, subject.name, None, data)
    found: list[Data] = []
    for asked in _asked(catalog, subject, event):
        known = tallies.get(conn, Key(asked.rule, kind, subject.name))
        tells, _ = notices.told(asked.spec, asked.event, Memory(known.matched, known.told))
        place = {"rule": asked.rule, "schedule": asked.schedule}
        if tells:
            found += [place | one for one in _recipients(catalog, asked, at)]
        else:
            found.append(place | {"tells": False, "user": None, "because": "; ".join(_why_not(asked.spec, failures))})
    return found


def _asked(catalog: Catalog, subject: Subject, event: Event) -> Iterator[_Asked]:
    """The rules that are about it: however it is started, else by which of its schedules."""
    starts: list[tuple[Event, str | None]] = [(event, None)]
    for one in sorted(schedule.name for schedule in schedules_of(catalog, subject)):
        cause = {"kind": "schedule", "name": one}
        starts.append((replace(event, data={**event.data, "cause": cause}), one))
    for name, rule in sorted(catalog.rules.items()):
        if event.type not in rule.spec.events:
            continue
        for started, schedule in starts:
            about = notices.subjects(started, catalog)
            if notices.selects(rule.spec.select, about):
                yield _Asked(name, rule.spec, started, about, schedule)
                if schedule is None:
                    break


def _recipients(catalog: Catalog, asked: _Asked, at: datetime) -> Iterator[Data]:
    """By channel: one message, whoever shares it. And who is named by the rule, and prefers no channel."""
    users: dict[str, list[str]] = {}
    by_rule = set(asked.spec.channels)
    for channel, user, _ in notices.recipients(asked.spec, asked.event, catalog):
        users.setdefault(channel, []).extend([] if user is None else [user])
    for draft in notices.drafts(asked.rule, asked.spec, asked.event, asked.about, catalog, at):
        yield {
            "tells": True,
            "channel": draft.channel,
            "user": draft.user,
            "users": users[draft.channel],
            "byRule": draft.channel in by_rule,
            "heldUntil": draft.hold_until and stamp(draft.hold_until),
        }
    for name in asked.spec.users:
        if name in catalog.users and not catalog.users[name].spec.notify.channels:
            yield {"tells": False, "user": name, "because": "notify.channels names none"}


def _why_not(rule: NotificationRuleSpec, failures: int) -> Iterator[str]:
    when = rule.when
    if when.consecutive_failures is not None and failures < when.consecutive_failures:
        yield f"it tells from {when.consecutive_failures} failures in a row on, and this would be number {failures}"
    if when.longer_than is not None:
        yield f"it tells of runs that took longer than {format_duration(when.longer_than)}"
    if when.every_nth is not None:
        yield f"it tells one of {when.every_nth}"
