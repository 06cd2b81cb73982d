"""Rules of notifications: events that a rule names and can never tell."""

from collections.abc import Iterator

from engine.checks.scope import Scope
from engine.notifications.notices import ABOUT, LASTING, SUCCESSES
from schemas.diagnostic import Diagnostic
from schemas.notification import EventName, NotificationRule
from schemas.reader import Authored


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    rule = authored.document
    if not isinstance(rule, NotificationRule):
        return
    for index, event in enumerate(rule.spec.events):
        if (found := _never(rule, event)) is not None:
            message, hint = found
            yield Diagnostic(authored.span("spec", "events", index), "OC328", message, hint, "warning")
    yield from _unwanted(authored, rule, scope)


def _never(rule: NotificationRule, event: EventName) -> tuple[str, str] | None:
    """Why a rule never tells an event, and what to do."""
    kinds, alone = rule.spec.select.kinds, f"take it out, or make a rule of its own for {event}"
    if kinds and ABOUT[event].isdisjoint(kinds):
        these = " or a ".join(sorted(ABOUT[event]))
        return f"'{event}' is about a {these}, and 'select' takes only {', '.join(kinds)}: it is never told", alone
    if rule.spec.when.longer_than is not None and event.startswith("run.") and event not in LASTING:
        return f"'{event}' is of no run that has ended: with 'longerThan' it is never told", alone
    return None


def _unwanted(authored: Authored, rule: NotificationRule, scope: Scope) -> Iterator[Diagnostic]:
    """Successes alone, for users who want to hear of none."""
    if rule.spec.channels or not SUCCESSES - {"run.recovered"} >= set(rule.spec.events):
        return
    known = [scope.catalog.users.get(name) for name in rule.spec.users]
    if not any(user is None or user.spec.notify.on_success for user in known):
        message = "these users want to hear of no successes: nothing is ever told"
        hint = "give one of them spec.notify.onSuccess, or name a channel in the rule's 'channels'"
        yield Diagnostic(authored.span("spec", "users"), "OC328", message, hint, "warning")
