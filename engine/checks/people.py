"""Users and teams, kinds and documents that are named as text: whoever is named must exist."""

from collections.abc import Iterator
from functools import partial

from engine.checks.scope import OBJECT_KINDS, Path, Scope
from engine.checks.sshkeys import public_key_problem
from schemas.diagnostic import Diagnostic, Related, Rest, Severity
from schemas.guesses import Guesses, Names
from schemas.kinds import MODELS
from schemas.notification import NotificationRule
from schemas.policy import Policy, Rule, User, folded
from schemas.project import Project
from schemas.reader import Authored

_KINDS = Names(MODELS)


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if "owner" in document.metadata.model_fields_set and not document.metadata.owner.strip():
        hint = "name a User or a team, or leave 'owner' out"
        finding = Diagnostic(authored.span("metadata", "owner"), "OC208", "'owner' names nobody", hint, "warning")
        yield finding.resting_on(())
    elif document.metadata.owner and scope.catalog.users:
        yield from unknown_person(authored, document.metadata.owner, ("metadata", "owner"), scope, Guesses(), "warning")
    match document:
        case User():
            yield from _keys(authored, document)
        case Policy():
            yield from _policy(authored, document, scope)
        case NotificationRule():
            yield from _told(authored, document, scope)
            yield from _unreached(authored, document, scope)
        case Project():
            yield from _protected(authored, document, scope)


def check(scope: Scope) -> Iterator[Diagnostic]:
    """Keys and addresses that two Users share: nobody could say who of them signed, or asked."""
    keys: dict[str, tuple[Authored, Path]] = {}
    addresses: dict[str, tuple[Authored, Path]] = {}
    for authored in scope.definitions:
        user = authored.document
        if not isinstance(user, User):
            continue
        for index, key in enumerate(user.spec.signing_keys):
            if public_key_problem(key) is not None:
                continue
            path: Path = ("spec", "signingKeys", index)
            other = keys.setdefault(_key(key), (authored, path))
            if other != (authored, path):
                yield _shared(authored, path, other, "this key", "each User has keys of their own")
        if user.spec.email is not None:
            path = ("spec", "email")
            other = addresses.setdefault(folded(user.spec.email), (authored, path))
            if other != (authored, path):
                hint = "a signature and a commit name a person by address: give each User one of their own"
                yield _shared(authored, path, other, "this address", hint)


def _key(text: str) -> str:
    """Without its comment."""
    return " ".join(text.split()[:2])


def _shared(authored: Authored, path: Path, other: tuple[Authored, Path], what: str, hint: str) -> Diagnostic:
    first, place = other
    message = f"{first.identity} has {what} as well"
    related = (Related(first.span(*place), "the first one"),)
    return Diagnostic(authored.span(*path), "OC321", message, hint, related=related)


def _keys(authored: Authored, user: User) -> Iterator[Diagnostic]:
    for index, key in enumerate(user.spec.signing_keys):
        if (problem := public_key_problem(key)) is not None:
            hint = "write it as in the .pub file of 'ssh-keygen': 'ssh-ed25519 AAAA…'"
            yield Diagnostic(authored.span("spec", "signingKeys", index), "OC602", problem, hint)


def unknown_person(
    authored: Authored, name: str, path: Path, scope: Scope, guesses: Guesses, severity: Severity = "error"
) -> Iterator[Diagnostic]:
    """A finding where nobody has the name, as a User or as a team that a User belongs to."""
    if name in scope.catalog.users or name in scope.teams or scope.may_hold("User", name) or scope.lacks_teams:
        return
    hint = guesses.hint(name, scope.people, "define it: 'kind: User', with spec.teams")
    yield Diagnostic(authored.span(*path), "OC305", f"there is no User or team '{name}'", hint, severity)


def _policy(authored: Authored, policy: Policy, scope: Scope) -> Iterator[Diagnostic]:
    guesses = Guesses()
    for number, rule in enumerate(policy.spec.rules):
        path: Path = ("spec", "rules", number)
        for index, subject in enumerate(rule.subjects):
            yield from unknown_person(authored, subject, (*path, "subjects", index), scope, guesses)
        for index, kind in enumerate(rule.objects.kinds):
            if kind not in MODELS:
                hint = guesses.hint(kind, _KINDS)
                span = authored.span(*path, "objects", "kinds", index)
                yield Diagnostic(span, "OC206", f"'{kind[:80]}' is not a kind", hint)
        yield from _conditions(authored, rule, path)


def _conditions(authored: Authored, rule: Rule, path: Path) -> Iterator[Diagnostic]:
    """Conditions that can never hold, and those that change nothing."""
    conditions, rests = rule.conditions, [Rest((*path, field)) for field in ("verbs", "effect", "conditions")]
    span = partial(authored.span, *path, "conditions")
    if rule.effect == "deny":
        if conditions.model_fields_set:
            message = "a rule that denies has no conditions: it denies always"
            hint = "take them out; to let somebody on conditions, allow it with them"
            yield Diagnostic(span(key=True), "OC613", message, hint, "warning").resting_on(rests)
    elif conditions.approvals and "approve" in rule.verbs:
        # Whose approval of the approval, and so on without end.
        message = "an approval cannot wait for approvals: this rule would allow nobody to approve"
        hint = "give 'approve' a rule of its own, without approvals"
        yield Diagnostic(span("approvals"), "OC613", message, hint).resting_on(rests)
    elif conditions.not_requester and not conditions.approvals:
        message = "'notRequester' says whose approvals do not count, and this rule asks for none"
        hint = "write 'approvals: 1' beside it"
        yield Diagnostic(span("notRequester", key=True), "OC613", message, hint, "warning").resting_on(rests)


def _told(authored: Authored, rule: NotificationRule, scope: Scope) -> Iterator[Diagnostic]:
    kinds = rule.spec.select.kinds or OBJECT_KINDS
    by_kind, guesses = scope.catalog.by_kind, Guesses()
    for index, name in enumerate(rule.spec.select.names):
        if any(name in by_kind[kind] or scope.may_hold(kind, name) for kind in kinds):
            continue
        hint = guesses.hint(name, scope.names(*kinds), "define it, or remove it here")
        span = authored.span("spec", "select", "names", index)
        what = " or ".join(rule.spec.select.kinds) or "object with the name"
        missing = Diagnostic(span, "OC305", f"there is no {what} '{name}'", hint)
        yield missing.resting_on((Rest(("kind",)), Rest(("spec", "select", "kinds"))))


def _unreached(authored: Authored, rule: NotificationRule, scope: Scope) -> Iterator[Diagnostic]:
    """Users whom the rule would tell, and who have no channel: they would hear of nothing."""
    for index, name in enumerate(rule.spec.users):
        user = scope.catalog.users.get(name)
        if user is not None and not user.spec.notify.channels:
            span = authored.span("spec", "users", index)
            place = Related(scope.authored("User", name).span("metadata", "name"), f"user '{name}'")
            hint = "give the User spec.notify.channels, or name a channel in the rule's 'channels'"
            yield Diagnostic(span, "OC327", f"no channel reaches '{name}'", hint, "warning", related=(place,))


def _protected(authored: Authored, project: Project, scope: Scope) -> Iterator[Diagnostic]:
    origin, guesses = scope.catalog.origin, Guesses()
    for index, identity in enumerate(project.spec.prune.protect):
        kind, _, name = identity.partition("/")
        if identity in origin or scope.may_hold(kind, name):
            continue
        span = authored.span("spec", "prune", "protect", index)
        if not name or kind not in MODELS:
            hint = "write Kind/name, as in Job/backup"
            yield Diagnostic(span, "OC305", f"'{identity[:80]}' names no document", hint, "warning")
        else:
            near = guesses.near(name, scope.names(kind)) if kind in scope.catalog.by_kind else None
            hint = f"did you mean '{kind}/{near}'?" if near else "nothing is like it; remove it here"
            yield Diagnostic(span, "OC305", f"there is no {identity} to protect", hint, "warning")
