"""The pull request of a proposal after scans, as a forge is told of it. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.catalog import Catalog
from engine.discovery.proposal import Outcome
from engine.discovery.telling import body, title
from engine.notifications.channels import PULL_REQUEST, PinnedChannel
from schemas.quantities import format_instant


def wanted(catalog: Catalog, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether any Discovery of the branch has one opened."""
    found = (catalog.discoveries.get(name) for name in outcomes)
    return any(one.spec.propose.pull_request for one in found if one is not None)


def pinned(status: PinnedChannel) -> PinnedChannel:
    """What a runner needs to open one: the same forge and token by which commits get their statuses."""
    return replace(status, spec={**status.spec, "type": PULL_REQUEST})


def message_id(branch: str, commit: str) -> str:
    """Of what is told of a branch at a commit: the same each time."""
    return hashlib.sha256("\0".join((PULL_REQUEST, branch, commit)).encode()).hexdigest()[:32]


def context_of(project: str, branch: str, commit: str, outcomes: Mapping[str, Outcome], at: datetime) -> dict[str, Any]:
    """The message's context, as of any other (`engine.notifications.noticecontext`)."""
    data = {"branch": branch, "commit": commit, "title": title(outcomes), "body": body(outcomes)}
    event = {
        "id": message_id(branch, commit),
        "type": "discovery.proposed",
        "time": format_instant(at),
        "kind": "Project",
        "name": project,
        "data": data,
    }
    return {"event": event, "run": None, "job": None, "targets": [], "links": {}, "events": [], "count": 1}
