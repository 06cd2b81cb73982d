"""What webhooks set off, for a runner that has no definitions: who leads puts it into the journal."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from journal import facts
from journal.errors import Unavailable
from journal.store import Journal
from schemas.credential import CredentialSpec

if TYPE_CHECKING:  # only who receives webhooks loads what that needs
    from runners.listener.receiver import Hook

log = structlog.get_logger(__name__)

_HOOKS = "hooks"
_POLL = 5.0


def pin(tx: Connection, catalog: Catalog) -> None:
    """Have the journal say what these definitions do."""
    from runners.listener.receiver import hooks

    values = {name: _to_json(hook) for name, hook in sorted(hooks(catalog).items())}
    if facts.get(tx, _HOOKS, {}) != values:
        facts.put(tx, _HOOKS, values)


class PinnedHooks:
    """`keep_up` until it is cancelled; `known` is for the pools that this runner serves."""

    def __init__(self, journal: Journal, pools: Collection[str]) -> None:
        self._journal = journal
        self._pools = frozenset(pools)
        self._known: Mapping[str, Hook] = {}

    def known(self) -> "Mapping[str, Hook]":
        """Those in force, by name and former name."""
        return self._known

    async def keep_up(self) -> None:
        """Know what the journal says."""
        watch = self._journal.watch()
        seen: Any = None
        try:
            while True:
                try:
                    found = await self._journal.read(lambda conn: facts.get(conn, _HOOKS, {}))
                except Unavailable as error:
                    log.warning("what webhooks set off is not known", error=error.message)
                else:
                    if found != seen:
                        seen = found
                        each = {name: _from_json(value) for name, value in found.items()}
                        self._known = {name: hook for name, hook in each.items() if hook.pool in self._pools}
                await watch.changed(_POLL)
        finally:
            watch.close()


def _to_json(hook: "Hook") -> dict[str, Any]:
    return {
        "trigger": hook.trigger,
        "provider": hook.provider,
        "credential": hook.credential,
        "spec": hook.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "labels": dict(hook.labels),
        "pool": hook.pool,
        "sealed": hook.sealed,
    }


def _from_json(value: Mapping[str, Any]) -> "Hook":
    from runners.listener.receiver import Hook

    return Hook(**{**value, "spec": CredentialSpec.model_validate(value["spec"])})
