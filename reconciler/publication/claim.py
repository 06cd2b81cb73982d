"""Whose the status branch is, as `sync.yaml` on it says, and what that means for an engine that starts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from engine.status import readmodel
from engine.status.views import EngineView, SyncView
from schemas.guard import load
from schemas.quantities import format_instant

SYNC_FILE = "sync.yaml"


@dataclass(frozen=True, slots=True)
class Proceed:
    """Nobody else writes the branch: push the claim, then decide."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Another's open claim is taken over: push ours, give the other two intervals to notice, take in what it wrote."""

    other: EngineView


@dataclass(frozen=True, slots=True)
class Refuse:
    """Another engine owns the branch: start nothing."""

    other: EngineView

    @property
    def message(self) -> str:
        """What to tell the user: who it is, and both ways on."""
        return (
            f"the status branch belongs to engine {named(self.other)}, which has not closed its claim; stop it with "
            "SIGTERM, or, if it is gone for good, start this one with --take-over"
        )


def judge(claim_on_branch: EngineView | None, own_id: str, take_over: bool) -> Proceed | Wait | Refuse:
    """What an engine may do about the branch it finds (CONTRACT 4, "One owner").

    Its own open claim is one that it left behind when it was killed: the lock on the state folder has shown that no
    other process has this id.
    """
    if claim_on_branch is None or claim_on_branch.id == own_id or claim_on_branch.closed is not None:
        return Proceed()
    return Wait(claim_on_branch) if take_over else Refuse(claim_on_branch)


def supplants(found: EngineView | None, own_id: str, own: EngineView | None) -> bool:
    """Whether a claim met on the branch means that we no longer own it.

    A branch without a readable claim is a person's doing, not an engine's. A later claim by our own id is ours from
    another process, which could only start because the state folder was deleted under us.
    """
    if found is None:
        return False
    return found.id != own_id or (own is not None and found.since > own.since)


def named(claim: EngineView) -> str:
    """How a claim reads in a message."""
    return f"{claim.id} on {claim.host} (since {format_instant(claim.since)})"


def engine_id(machine: str, state: str) -> str:
    """12 hex that a deleted store does not change: from the machine's id and the absolute path of the state folder."""
    return hashlib.sha256(f"{machine}\n{state}".encode()).hexdigest()[:12]


def claim_in(sync: bytes | None) -> EngineView | None:
    """The claim in a `sync.yaml`; None where there is none, or where the file is not what an engine writes."""
    engine = _mapping(_mapping(_document(sync).get("status")).get("engine"))
    since, identity = _instant(engine.get("since")), engine.get("id")
    if since is None or not isinstance(identity, str) or not identity:
        return None
    return EngineView(identity, str(engine.get("host") or "unknown"), since, _instant(engine.get("closed")))


def with_claim(sync: bytes | None, claim: EngineView) -> bytes:
    """The `sync.yaml` found on the branch with another claim in it; all else that an engine wrote stays as it is."""
    try:
        before = readmodel.parse_sync_file(sync) if sync is not None else SyncView()
    except readmodel.Unreadable:
        before = SyncView()
    return readmodel.to_yaml(readmodel.sync_file(replace(before, engine=claim))).encode()


def _document(sync: bytes | None) -> Mapping[str, Any]:
    """The branch is foreign ground: what the guard refuses counts as nothing."""
    loaded = load(sync, SYNC_FILE).documents if sync is not None else ()
    return _mapping(loaded[0]) if loaded else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
