"""A NotificationChannel as a runner needs it: its settings, and what it may open and reach for them. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.catalog import Catalog
from schemas.credential import CredentialSpec

COMMIT_STATUS = "commitStatus"
"""The channel that tells a forge what came of commits. No document can have that name; it is also its type."""
PULL_REQUEST = "pullRequest"
"""The same of the channel that opens pull requests with what scans found."""
OF_PROJECT = frozenset({COMMIT_STATUS, PULL_REQUEST})
"""Channels that have no document of their own: the Project's 'commitStatus' says where they go."""
LATEST_ONLY = OF_PROJECT
"""Types of channels by which only the newest message of an order key is worth sending."""


@dataclass(frozen=True, slots=True)
class PinnedChannel:
    """`spec` is that of the document. `networks` are those of its pool. `refused`: why this version does not use it."""

    spec: Mapping[str, Any]
    credentials: Mapping[str, CredentialSpec] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict)
    """The files of those that are encrypted in place."""
    networks: tuple[str, ...] = ()
    refused: str | None = None
    pool: str | None = None
    """Whose runners deliver by it; None in what an older version kept."""

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        credentials = {
            name: one.model_dump(mode="json", by_alias=True, exclude_none=True)
            for name, one in self.credentials.items()
        }
        return {
            "spec": dict(self.spec),
            "credentials": credentials,
            "sealed": dict(self.sealed),
            "networks": list(self.networks),
            "refused": self.refused,
            "pool": self.pool,
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "PinnedChannel":
        credentials = {name: CredentialSpec.model_validate(one) for name, one in kept["credentials"].items()}
        sealed = kept.get("sealed", {})
        networks = tuple(kept["networks"])
        return cls(kept["spec"], credentials, sealed, networks, kept.get("refused"), kept.get("pool"))


def pinned(catalog: Catalog, name: str) -> PinnedChannel:
    """The channel of that name. Raises KeyError."""
    channel = catalog.channels[name]
    named = channel.spec.credential_ref
    credential = catalog.credentials.get(named) if named is not None else None
    held = (f"NotificationChannel/{name}", f"Credential/{named}")
    return PinnedChannel(
        channel.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        {} if credential is None or named is None else {named: credential.spec},
        catalog.sealed([named] if named is not None else []),
        tuple(_networks(catalog, pool_of(catalog, name))),
        next((catalog.held[one] for one in held if one in catalog.held), None),
        pool_of(catalog, name),
    )


def pool_of(catalog: Catalog, name: str) -> str:
    """Whose runners deliver by the channel. Raises KeyError."""
    return catalog.channels[name].spec.pool or catalog.default_pool


def _networks(catalog: Catalog, pool: str) -> Iterator[str]:
    if pool in catalog.pools:
        yield from catalog.pools[pool].spec.networks
