"""What a forge is told of a commit: one status, which goes from pending to success or failure. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from engine.catalog import Catalog
from engine.notifications.channels import COMMIT_STATUS, PinnedChannel
from engine.notifications.forges import Place, Unplaced, place_of
from schemas.project import CommitStatus
from schemas.quantities import format_instant

State = Literal["pending", "success", "failure"]
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Status:
    """What is said of a commit. `description` is one line of plain text, made of a public document's own words.

    `occurrence` tells it from the same words at another time; by default the time does.
    """

    commit: str
    state: State
    description: str
    at: datetime
    occurrence: str | None = None

    @property
    def id(self) -> str:
        """The same wherever the same end of the same look is told."""
        occurrence = self.occurrence or format_instant(self.at)
        said = "\0".join((COMMIT_STATUS, self.commit, self.state, self.description, occurrence))
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def pending(commit: str, at: datetime) -> Status:
    """It was seen, and is being judged."""
    return Status(commit, "pending", "being judged", at)


def judged(commit: str, verdict: str, detail: Mapping[str, Any], at: datetime) -> Status:
    """What came of it; `detail` as `reconciler.judged` writes it."""
    match verdict:
        case "accepted":
            return Status(commit, "success", _line(_in_force(detail)), at)
        case "rejected":
            return Status(commit, "failure", _line(_errors(detail)), at)
        case _:
            return Status(commit, "failure", _line(f"not in force: {detail.get('reason') or verdict}"), at)


def behind(head: str, stopped: str, reason: str, at: datetime) -> Status:
    """A commit that does not come into force because of one before it. Looked at again it is no news."""
    return Status(head, "failure", _line(f"not in force: {reason}"), at, occurrence=stopped)


def _in_force(detail: Mapping[str, Any]) -> str:
    changes = detail.get("changes") or {}
    parts = [f"{changes[name]['count']} {name}" for name in ("added", "changed", "removed") if _count(changes, name)]
    if detail.get("warnings"):
        parts.append(_of(detail["warnings"], "warning"))
    return f"in force: {', '.join(parts)}" if parts else "in force"


def _count(changes: Mapping[str, Any], name: str) -> int:
    return int((changes.get(name) or {}).get("count", 0))


def _errors(detail: Mapping[str, Any]) -> str:
    first = next((one for one in detail.get("findings") or () if one.get("severity") == "error"), None)
    if first is None:
        return "not in force"
    place = f"{first.get('file')}:{first.get('line')}:{first.get('column')}"
    count = int(detail.get("errors") or 1)
    more = f" (1 of {count} errors)" if count > 1 else ""
    return f"not in force{more}: {place} {first.get('code')} {first.get('message')}"


def _of(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _line(text: str) -> str:
    """On one line, nothing in it that a terminal or a page could take for more than a letter."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:_LONGEST]


def place(catalog: Catalog, source: str) -> Place | Unplaced | None:
    """Where the Project has statuses go; None: nowhere. `source` is the address that definitions come from."""
    found = catalog.project.spec.commit_status
    return None if found is None else place_of(found.provider, source, found.url, found.repository)


def pool_of(catalog: Catalog, status: CommitStatus) -> str:
    """Whose runners tell the forge."""
    return status.pool or catalog.default_pool


def pinned(catalog: Catalog, status: CommitStatus, at: Place, branch: str) -> PinnedChannel:
    """What a runner needs to tell the forge. `branch` is that of the definitions."""
    spec: dict[str, Any] = {
        "type": COMMIT_STATUS,
        "provider": status.provider,
        "credentialRef": status.credential_ref,
        "api": at.api,
        "repository": at.repository,
        "context": status.context,
        "branch": branch,
    }
    if status.ca_cert is not None:
        spec["caCert"] = status.ca_cert
    name = status.credential_ref
    credential = catalog.credentials.get(name)
    pool = catalog.pools.get(pool_of(catalog, status))
    return PinnedChannel(
        spec,
        credentials={} if credential is None else {name: credential.spec},
        sealed=catalog.sealed([name]),
        networks=() if pool is None else tuple(pool.spec.networks),
        refused=catalog.held.get(f"Credential/{name}"),
    )


def context_of(status: Status, project: str, link: str | None) -> dict[str, Any]:
    """The message's context, as of any other (`engine.notifications.noticecontext`)."""
    data = {"commit": status.commit, "state": status.state, "description": status.description, "link": link}
    event = {
        "id": status.id,
        "type": f"commit.{status.state}",
        "time": format_instant(status.at),
        "kind": "Project",
        "name": project,
        "data": data,
    }
    links = {} if link is None else {"sync": link}
    return {"event": event, "run": None, "job": None, "targets": [], "links": links, "events": [], "count": 1}
