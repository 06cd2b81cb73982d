"""Who may do what, by the Policies in force. Pure, and the one place that says so.

With no Policy at all, whoever can push may do everything. From the first Policy on, only what a rule allows: a person
may do something when an `allow` rule names them (or a team of theirs), the verb and the document, and no `deny` rule
does. A deny holds whatever its conditions say. Of several rules that allow, one is enough; of its conditions all must
hold. `engine.authority.needs` says which permissions a change or an act needs, `engine.authority.permits` whether they
are there.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from engine.catalog import Catalog
from engine.globs import matches as path_matches
from engine.selection import matches
from schemas.policy import Conditions, Policy, Rule, User, Verb
from schemas.reader import Authored


@dataclass(frozen=True, slots=True)
class Thing:
    """What a rule is asked about: a document, and the file it stands in.

    `file` and `labels` are None of what has none that its author could not choose freely, as a job within a request:
    no rule that asks for them allows it, and each that denies does.
    """

    kind: str
    name: str
    file: str | None
    labels: Mapping[str, str] | None

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
        return self._granted(tuple(self._about(verb, thing) for thing in things))

    def kept_from(self, file: str) -> tuple[tuple[Grant, ...], tuple[str, ...]] | None:
        """Everybody who may change a file that is no document, where a rule over `paths` denies it to somebody; None
        where none does. Nobody has to be allowed to: it is free unless a document uses it."""
        about = tuple(number for number, (_, rule) in enumerate(self._rules) if _keeps(rule, file))
        if not about:
            return None
        denied = {user: self._answer(user, about) for user in sorted(self.users)}
        free = tuple(user for user, answer in denied.items() if answer == Denied())
        policies = {policy for answer in denied.values() if isinstance(answer, Denied) for policy in answer.policies}
        return ((Grant(free, (Terms(),)),) if free else ()), tuple(sorted(policies))

    @property
    def over_paths(self) -> bool:
        """Whether it matters to any rule where a document stands."""
        return any(rule.objects.paths for _, rule in self._rules)

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
                match together(self._answer(user, numbers) for numbers in about):
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


def among(documents: Iterable[Authored]) -> Permissions:
    """Those of a tree, whether or not its other documents are valid."""
    policies: dict[str, Policy] = {}
    users: dict[str, User] = {}
    for authored in documents:
        match authored.document:
            case Policy() as policy:
                policies.setdefault(policy.name, policy)
            case User() as user:
                users.setdefault(user.name, user)
    return Permissions(policies, users)


def _speaks_of(rule: Rule, verb: Verb, thing: Thing) -> bool:
    """What is not known of a thing fits a rule that denies, and no rule that allows."""
    objects, denies = rule.objects, rule.effect == "deny"
    return (
        verb in rule.verbs
        and (not objects.kinds or thing.kind in objects.kinds)
        and (not objects.paths or (denies if thing.file is None else _stands_in(objects.paths, thing.file, denies)))
        and (objects.selector is None or (denies if thing.labels is None else matches(objects.selector, thing.labels)))
    )


def _keeps(rule: Rule, file: str) -> bool:
    objects = rule.objects
    if rule.effect != "deny" or "change" not in rule.verbs or objects.kinds or objects.selector is not None:
        return False
    return bool(objects.paths) and _stands_in(objects.paths, file, denies=True)


def _stands_in(globs: Iterable[str], file: str, denies: bool) -> bool:
    # What looks like a folder that is denied is denied: `Prod/` is another folder than `prod/`, but not to a reader.
    if denies:
        return any(path_matches(_folded(glob), _folded(file)) for glob in globs)
    return any(path_matches(glob, file) for glob in globs)


@lru_cache(maxsize=4096)
def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold()


def _terms(conditions: Conditions) -> Terms:
    # Whose approvals do not count says nothing where none are asked for.
    return Terms(conditions.approvals, conditions.signed, conditions.not_requester and conditions.approvals > 0)


def together(answers: Iterable[Answer]) -> Answer:
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
