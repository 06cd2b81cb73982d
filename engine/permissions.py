"""Who may do what, by the Policies in force. Pure, and the one place that says so.

With no Policy at all, whoever can push may do everything. From the first Policy on, only what a rule allows: a person
may do something when an `allow` rule names them (or a team of theirs), the verb and the document, and no `deny` rule
does. A deny holds whatever its conditions say. Of several rules that allow, one is enough; of its conditions all must
hold. A change is judged on both of its sides: the document as it was and where it stood, and as it is to be; so
nothing gets out of a rule's reach by a new label, name or file.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from engine.catalog import Catalog
from engine.globs import matches as path_matches
from engine.plan_documents import Documents
from engine.selection import matches
from schemas.act import Approval, RunRequest
from schemas.policy import Conditions, Policy, Rule, User, Verb
from schemas.reader import Authored

What = Literal["added", "changed", "moved", "removed", "renamed", "asked"]


@dataclass(frozen=True, slots=True)
class Thing:
    """What a rule is asked about: a document, and the file it stands in."""

    kind: str
    name: str
    file: str
    labels: Mapping[str, str]

    @classmethod
    def of(cls, authored: Authored) -> "Thing":
        document = authored.document
        return cls(document.kind, document.name, authored.file, document.metadata.labels)


@dataclass(frozen=True, slots=True, order=True)
class Terms:
    """What must hold besides: how many others must approve, whether signed, whether the requester does not count."""

    approvals: int = 0
    signed: bool = False
    not_requester: bool = False

    def with_(self, other: "Terms") -> "Terms":
        """Both."""
        return Terms(
            max(self.approvals, other.approvals),
            self.signed or other.signed,
            self.not_requester or other.not_requester,
        )

    def asks_no_less(self, other: "Terms") -> bool:
        return self.with_(other) == self


@dataclass(frozen=True, slots=True)
class Allowed:
    """`terms` are alternatives, none of which asks for all that another does and more."""

    terms: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """`policies` are the names of those with a rule that denies it; none where no rule allows it."""

    policies: tuple[str, ...] = ()


Answer = Allowed | Denied
ANYHOW = Allowed((Terms(),))


@dataclass(frozen=True, slots=True)
class Grant:
    """People who may, and on which terms: any one of them is enough. Names of Users, sorted."""

    users: tuple[str, ...]
    terms: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that a commit needs. `grants` are empty where nobody has it."""

    document: str
    """`Kind/name`: as it is to be, or what is gone."""
    verb: Verb
    what: What
    about: str
    """What the verb is done to: the document itself, or the job that a request starts."""
    grants: tuple[Grant, ...]
    denied: tuple[str, ...] = ()
    """Policies that deny it to somebody."""


@dataclass(frozen=True)
class Permissions:
    """The Policies and Users of one commit."""

    policies: Mapping[str, Policy]
    users: Mapping[str, User]

    @cached_property
    def _rules(self) -> tuple[tuple[str, Rule], ...]:
        return tuple((name, rule) for name, policy in sorted(self.policies.items()) for rule in policy.spec.rules)

    def may(self, user: str, verb: Verb, thing: Thing) -> Answer:
        """Whether a User may do something to a document. Who is no User is allowed nothing once there is a Policy."""
        return self._answer(user, self._about(verb, thing)) if self.policies else ANYHOW

    def grants(self, verb: Verb, things: tuple[Thing, ...]) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
        """Everybody who may do it to each of the things, by terms; and the Policies that deny it to somebody."""
        about = tuple(self._about(verb, thing) for thing in things)
        return self._granted(about)

    def _about(self, verb: Verb, thing: Thing) -> tuple[int, ...]:
        """The rules, by number, that speak of it."""
        return tuple(number for number, (_, rule) in enumerate(self._rules) if _speaks_of(rule, verb, thing))

    def _answer(self, user: str, numbers: tuple[int, ...]) -> Answer:
        known = self.users.get(user)
        names = {user, *known.spec.teams} if known is not None else set()
        mine = [self._rules[number] for number in numbers if names.intersection(self._rules[number][1].subjects)]
        if denying := tuple(dict.fromkeys(policy for policy, rule in mine if rule.effect == "deny")):
            return Denied(denying)
        allowing = [_terms(rule.conditions) for _, rule in mine]
        return Allowed(_least(allowing)) if allowing else Denied()

    @cached_property
    def _known(self) -> dict[tuple[tuple[int, ...], ...], tuple[tuple[Grant, ...], tuple[str, ...]]]:
        return {}

    def _granted(self, about: tuple[tuple[int, ...], ...]) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
        """Asked once for each set of rules: most documents of a commit are alike."""
        if about not in self._known:
            by_terms: dict[tuple[Terms, ...], list[str]] = {}
            denied: set[str] = set()
            for user in sorted(self.users):
                match _all([self._answer(user, numbers) for numbers in about]):
                    case Allowed(terms=terms):
                        by_terms.setdefault(terms, []).append(user)
                    case Denied(policies=policies):
                        denied.update(policies)
            grants = tuple(Grant(tuple(users), terms) for terms, users in sorted(by_terms.items()))
            self._known[about] = grants, tuple(sorted(denied))
        return self._known[about]


def of(catalog: Catalog) -> Permissions:
    """Those that are in force where a commit is."""
    return Permissions(catalog.policies, catalog.users)


def needed(
    in_force: Permissions, base: Iterable[Authored], head: Iterable[Authored], documents: Documents
) -> tuple[Need, ...]:
    """The permissions to change what a commit changes, by document; none where there is no Policy.

    `documents` is what became of them. Written otherwise (order, comments) is no change; moved to another file is one
    where a Policy has rules about `paths`, and none where that is the same to all of them.
    """
    if not in_force.policies:
        return ()
    old, new = _by_identity(base), _by_identity(head)
    renamed = {one.after: one.before for one in documents.renamed}
    changed = frozenset(documents.changed)
    by_path = any(rule.objects.paths for one in in_force.policies.values() for rule in one.spec.rules)
    found = []
    for identity, authored in new.items():
        before = old.get(renamed.get(identity, identity))
        what = _what(before, authored, renamed=identity in renamed, changed=identity in changed)
        if what is not None and (what != "moved" or by_path):
            found.append(_need(in_force, identity, what, *([before] if before is not None else []), authored))
    gone = old.keys() - new.keys() - set(renamed.values())
    found += (_need(in_force, identity, "removed", old[identity]) for identity in gone)
    return tuple(sorted(found, key=lambda need: need.document))


def asked(in_force: Permissions, acts: Iterable[Authored], catalog: Catalog) -> tuple[Need, ...]:
    """The permissions that new acts need: to run or cancel a job, or to approve. None where there is no Policy."""
    if not in_force.policies:
        return ()
    return tuple(need for authored in acts if (need := _asked(in_force, authored, catalog)) is not None)


def _asked(in_force: Permissions, authored: Authored, catalog: Catalog) -> Need | None:
    act = authored.document
    verb: Verb
    match act:
        case RunRequest():
            verb, about = "cancel" if act.spec.action == "cancel" else "run", _started(act)
        case Approval():
            verb, about = "approve", None
        case _:
            return None
    origin = catalog.origin.get(about or "", authored)
    grants, denied = in_force.grants(verb, (Thing.of(origin),))
    return Need(act.identity, verb, "asked", origin.identity, grants, denied)


def _started(request: RunRequest) -> str | None:
    spec = request.spec
    references = (("Job", spec.job_ref), ("Workflow", spec.workflow_ref), ("Discovery", spec.discovery_ref))
    return next((f"{kind}/{name}" for kind, name in references if name is not None), None)


def _need(in_force: Permissions, identity: str, what: What, *sides: Authored) -> Need:
    grants, denied = in_force.grants("change", tuple(map(Thing.of, sides)))
    return Need(identity, "change", what, identity, grants, denied)


def _what(before: Authored | None, after: Authored, *, renamed: bool, changed: bool) -> What | None:
    if before is None:
        return "added"
    if renamed:
        return "renamed"
    if changed:
        return "changed"
    return "moved" if before.file != after.file else None


def _by_identity(documents: Iterable[Authored]) -> dict[str, Authored]:
    first: dict[str, Authored] = {}
    for authored in documents:
        first.setdefault(authored.identity, authored)
    return first


def _speaks_of(rule: Rule, verb: Verb, thing: Thing) -> bool:
    objects = rule.objects
    return (
        verb in rule.verbs
        and (not objects.kinds or thing.kind in objects.kinds)
        and (not objects.paths or any(path_matches(glob, thing.file) for glob in objects.paths))
        and (objects.selector is None or matches(objects.selector, thing.labels))
    )


def _terms(conditions: Conditions) -> Terms:
    # Whose approvals do not count says nothing where none are asked for.
    return Terms(conditions.approvals, conditions.signed, conditions.not_requester and conditions.approvals > 0)


def _all(answers: list[Answer]) -> Answer:
    """Allowed where each is, on all of their terms."""
    together: Answer = ANYHOW
    denied: list[str] = []
    refused = False
    for answer in answers:
        if isinstance(answer, Denied):
            refused = True
            denied += answer.policies
        elif isinstance(together, Allowed):
            together = Allowed(_least(one.with_(other) for one in together.terms for other in answer.terms))
    return Denied(tuple(dict.fromkeys(denied))) if refused else together


def _least(terms: Iterable[Terms]) -> tuple[Terms, ...]:
    every = sorted(set(terms))
    return tuple(one for one in every if not any(one != other and one.asks_no_less(other) for other in every))


def shown(terms: Terms) -> Iterator[str]:
    """The terms in words, for people."""
    if terms.signed:
        yield "signed"
    if terms.approvals:
        others = " of others than the requester" if terms.not_requester else ""
        yield f"{terms.approvals} approval{'s' * (terms.approvals != 1)}{others}"
