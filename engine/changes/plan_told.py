"""Who is told of what, before and after a change: the rules of both sides asked about each object of head. Pure.

Quiet hours, groups, words and `when` change how and when, not who: they are among the changed fields of documents.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.catalog import Catalog
from engine.changes.plan_documents import Documents
from engine.notifications import notices
from engine.notifications.notices import Event
from schemas.notification import NotificationRuleSpec

_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "Job": ("run.started", "run.late", *sorted(notices.LASTING)),
    "Workflow": ("run.started", "run.late", "run.waitingApproval", *sorted(notices.LASTING)),
    "Schedule": ("run.missed", "run.noTargets"),
    "Target": ("target.unreachable", "target.recovered"),
    "Credential": ("credential.expiring",),
    "Discovery": ("discovery.changed", "run.started", "run.late", *sorted(notices.LASTING)),
    "RunnerPool": ("runner.lost",),
    "NotificationChannel": ("notification.dead",),
    "Project": ("sync.failed", "sync.recovered"),
}
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """An event that is told by a channel; `user`: to one who prefers it, None where the rule names the channel."""

    event: str
    channel: str
    user: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"event": self.event, "channel": self.channel, "user": self.user}


@dataclass(frozen=True, slots=True)
class ToldChange:
    """What is told otherwise of some objects of head (`Kind/name`, sorted). Of a new one all is gained."""

    objects: tuple[str, ...]
    gained: tuple[Told, ...]
    lost: tuple[Told, ...]


def changes(base: Catalog, head: Catalog, documents: Documents) -> tuple[ToldChange, ...]:
    """By object; those with the same change are one."""
    former = {one.after: one.before for one in documents.renamed}
    found: dict[tuple[frozenset[Told], frozenset[Told]], list[str]] = {}
    same_rules = _rules(base) == _rules(head)
    for kind, name in _objects(head):
        identity = f"{kind}/{name}"
        known = former.get(identity, identity).partition("/")[2]
        if same_rules and _is_as_it_was(base, head, kind, known, name):
            continue
        before, after = _told(base, kind, known) if _has(base, kind, known) else frozenset(), _told(head, kind, name)
        if before != after:
            found.setdefault((after - before, before - after), []).append(identity)
    told = (ToldChange(tuple(sorted(of)), _sorted(gained), _sorted(lost)) for (gained, lost), of in found.items())
    return tuple(sorted(told, key=lambda one: one.objects))


def _sorted(told: frozenset[Told]) -> tuple[Told, ...]:
    return tuple(sorted(told, key=lambda one: (one.event, one.channel, one.user or "")))


def _rules(catalog: Catalog) -> Any:
    """All that decides who is told, but for the labels of objects."""
    rules = {name: rule.spec for name, rule in catalog.rules.items()}
    return rules, {name: user.spec.notify for name, user in catalog.users.items()}, frozenset(catalog.channels)


def _objects(catalog: Catalog) -> Iterator[tuple[str, str]]:
    for kind in _OF_KIND:
        yield from ((kind, name) for name in sorted(catalog.by_kind.get(kind, {})))
    yield "Project", catalog.project.metadata.name


def _has(catalog: Catalog, kind: str, name: str) -> bool:
    return bool(catalog.commit) if kind == "Project" else name in catalog.by_kind.get(kind, {})


def _is_as_it_was(base: Catalog, head: Catalog, kind: str, before: str, after: str) -> bool:
    """Whether rules cannot tell the object from what it was."""
    if kind == "Project":
        return before == after and base.project.metadata.labels == head.project.metadata.labels
    if before != after or not _has(base, kind, before):
        return False
    old, new = base.by_kind[kind][before], head.by_kind[kind][after]
    # A schedule's events are those of what it starts as well.
    return old.metadata.labels == new.metadata.labels and kind != "Schedule"


def _told(catalog: Catalog, kind: str, name: str) -> frozenset[Told]:
    found: set[Told] = set()
    about = notices.subjects(_event("run.missed", kind, name), catalog)
    for rule in catalog.rules.values():
        if notices.selects(rule.spec.select, about):
            found |= {told for event in _OF_KIND[kind] for told in _by(rule.spec, _event(event, kind, name), catalog)}
    return frozenset(found)


def _event(event: Any, kind: str, name: str) -> Event:
    return Event("", event, _SOME_TIME, kind, name)


def _by(rule: NotificationRuleSpec, event: Event, catalog: Catalog) -> Iterator[Told]:
    also = rule.when.recovered and event.type in notices.RECOVERIES
    succeeds = event.type == "run.recovered" and "run.succeeded" in rule.events
    if event.type not in rule.events and not also and not succeeds:
        return
    for channel, user, _ in notices.recipients(rule, event, catalog):
        if channel in catalog.channels and not notices.about_itself(event, channel):
            yield Told(event.type, channel, user)
