"""The permissions that a plan says are needed, as data; `engine.authority.needwords` says them in words."""

from typing import Any

from engine.authority.needs import Need


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
        "uses": need.by,
        "approvers": list(need.approvers),
    }
