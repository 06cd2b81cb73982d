"""Permissions in words, for people: the same before a merge, in a plan, and after it, in a refusal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.authority.needs import Need
from engine.authority.permissions import Grant, shown

_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Permission:
    """Documents of which a commit needs the same permission, that the same people have."""

    verb: str
    documents: tuple[str, ...]
    grants: tuple[Grant, ...]
    denied: tuple[str, ...]
    approvers: tuple[str, ...] = ()


def permissions_of(needs: Iterable[Need]) -> tuple[Permission, ...]:
    """What a commit needs, those that nobody has first."""
    alike: dict[tuple[str, tuple[Grant, ...], tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for need in needs:
        alike.setdefault((need.verb, need.grants, need.denied, need.approvers), []).append(_about(need))
    found = (
        Permission(verb, tuple(dict.fromkeys(documents)), grants, denied, approvers)
        for (verb, grants, denied, approvers), documents in alike.items()
    )
    return tuple(sorted(found, key=lambda one: (bool(one.grants), one.verb, one.documents)))


def _about(need: Need) -> str:
    if need.what == "starts":
        return f"{need.about} (which {need.document} starts)"
    return f"{need.about} (which uses {need.by})" if need.by is not None else need.about


def permission_text(one: Permission, mark: Callable[[str], str] = str) -> str:
    """Who could give it, and on which terms. `mark` displays what documents say."""
    return f"{one.verb} {some(one.documents, mark)}: {who_may(one, mark)}"


def who_may(one: Permission, mark: Callable[[str], str] = str) -> str:
    """The people, their terms, and the Policies that deny it to others."""
    if not one.grants:
        return "nobody may" + (f"; denied by {_policies(one, mark)}" if one.denied else "")
    who = "; ".join(f"{some(grant.users, mark)}{_on_terms(grant)}" for grant in one.grants)
    asks = any(terms.approvals for grant in one.grants for terms in grant.terms)
    able = f" (may approve: {some(one.approvers, mark) or 'nobody'})" if asks else ""
    return f"{who}{able}" + (f" (denied to others by {_policies(one, mark)})" if one.denied else "")


def some(names: Sequence[str], mark: Callable[[str], str] = str) -> str:
    """The first of many names."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(map(mark, names[:_NAMES_SHOWN])) + more


def _policies(one: Permission, mark: Callable[[str], str]) -> str:
    return some([f"Policy/{name}" for name in one.denied], mark)


def _on_terms(grant: Grant) -> str:
    terms = [" and ".join(shown(one)) for one in grant.terms]
    return f", {' or '.join(terms)}" if all(terms) else ""
