"""Who would be told if a job failed now: the rules in force, asked in the way the engine asks them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.notifications import notices
from engine.notifications.notices import Event, Memory
from engine.status.yamltext import stamp
from journal import tallies
from journal.tallies import Key
from opsconductor.dashboard.pages.starts import Subject
from opsconductor.dashboard.sources import Data
from schemas.notification import NotificationRuleSpec
from schemas.quantities import format_duration


def told_of_failure(
    conn: Connection, catalog: Catalog, subject: Subject, usual: float | None, at: datetime
) -> list[Data]:
    """By rule and channel. A rule that is about it and would not tell this failure says why not.

    The run is taken to be asked for by a person, and to last as long as usual.
    """
    kind = "Workflow" if subject.workflow else "Job"
    failures = tallies.failures(conn, kind, subject.name) + 1
    data: dict[str, Any] = {"state": "failed", "failures": failures, "seconds": usual or 0.0}
    event = Event("", "run.failed", at, kind, subject.name, None, data)
    about = notices.subjects(event, catalog)
    found: list[Data] = []
    for name, rule in sorted(catalog.rules.items()):
        if event.type not in rule.spec.events or not notices.selects(rule.spec.select, about):
            continue
        known = tallies.get(conn, Key(name, kind, subject.name))
        tells, _ = notices.told(rule.spec, event, Memory(known.matched, known.told))
        if not tells:
            found.append({"rule": name, "tells": False, "because": "; ".join(_why_not(rule.spec, failures))})
            continue
        for draft in notices.drafts(name, rule.spec, event, about, catalog, at):
            found.append(
                {
                    "rule": name,
                    "tells": True,
                    "channel": draft.channel,
                    "user": draft.user,
                    "heldUntil": draft.hold_until and stamp(draft.hold_until),
                }
            )
    return found


def _why_not(rule: NotificationRuleSpec, failures: int) -> Iterator[str]:
    when = rule.when
    if when.consecutive_failures is not None and failures < when.consecutive_failures:
        yield f"it tells from {when.consecutive_failures} failures in a row on, and this would be number {failures}"
    if when.longer_than is not None:
        yield f"it tells of runs that took longer than {format_duration(when.longer_than)}"
    if when.every_nth is not None:
        yield f"it tells one of {when.every_nth}"
