"""The permissions that a plan says are needed, as data and in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.permissions import Grant, Need, shown
from engine.plan import Plan

_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Permission:
    """Documents of which a commit needs the same permission, that the same people have."""

    verb: str
    documents: tuple[str, ...]
    grants: tuple[Grant, ...]
    denied: tuple[str, ...]


def permissions_of(plan: Plan) -> tuple[Permission, ...]:
    """What the commit needs, those that nobody has first."""
    alike: dict[tuple[str, tuple[Grant, ...], tuple[str, ...]], list[str]] = {}
    for need in plan.permissions:
        alike.setdefault((need.verb, need.grants, need.denied), []).append(need.about)
    found = (
        Permission(verb, tuple(dict.fromkeys(documents)), grants, denied)
        for (verb, grants, denied), documents in alike.items()
    )
    return tuple(sorted(found, key=lambda one: (bool(one.grants), one.verb, one.documents)))


def permission_text(one: Permission, mark: Callable[[str], str]) -> str:
    """Who could give it, and on which terms. `mark` displays what documents say."""
    to = _some(one.documents, mark)
    if not one.grants:
        return f"{one.verb} {to}: nobody may" + (f"; denied by {_policies(one, mark)}" if one.denied else "")
    who = "; ".join(f"{_some(grant.users, mark)}{_on_terms(grant)}" for grant in one.grants)
    return f"{one.verb} {to}: {who}" + (f" (denied to others by {_policies(one, mark)})" if one.denied else "")


def _policies(one: Permission, mark: Callable[[str], str]) -> str:
    return _some([f"Policy/{name}" for name in one.denied], mark)


def _on_terms(grant: Grant) -> str:
    terms = [" and ".join(shown(one)) for one in grant.terms]
    return f", {' or '.join(terms)}" if all(terms) else ""


def _some(names: Sequence[str], mark: Callable[[str], str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(map(mark, names[:_NAMES_SHOWN])) + more


def need_as_data(need: Need) -> dict[str, Any]:
    """One of `permissions` in the JSON of a plan."""
    return {
        "document": need.document,
        "verb": need.verb,
        "what": need.what,
        "about": need.about,
        "grants": [
            {
                "users": list(grant.users),
                "terms": [
                    {"signed": one.signed, "approvals": one.approvals, "notRequester": one.not_requester}
                    for one in grant.terms
                ],
            }
            for grant in need.grants
        ],
        "deniedBy": list(need.denied),
    }
