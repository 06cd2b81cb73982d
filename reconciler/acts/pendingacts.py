"""What a waiting request needs between passes: its commit stays in the mirror, and it is weighed anew only where
something has changed that counts."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from engine.authority.trust import Mode
from engine.catalog import Catalog
from reconciler.acts.actgate import OpenAct
from reconciler.repository.objects import Objects

_PREFIX = "act-"


class Keeps(Protocol):
    """Where commits are held by names of ours, whatever becomes of branches. One caller at a time."""

    def keep(self, name: str, commit: str) -> None: ...

    def release(self, name: str) -> None: ...

    def held(self, prefix: str) -> Iterable[str]:
        """The names that begin so."""
        ...


def _unstamped() -> object:
    return None


class PendingActs:
    """Those that wait. One caller at a time; `keeps` None: nothing is held."""

    def __init__(self, objects: Objects, keeps: Keeps | None, stamp: Callable[[], object] = _unstamped) -> None:
        """`stamp` changes when who is trusted does."""
        self._objects = objects
        self._keeps = keeps
        self._stamp = stamp
        self._held: set[str] | None = None
        self._under: tuple[Catalog, Mode, object] | None = None
        self._weighed: dict[str, OpenAct] = {}

    async def hold(self, waiting: Iterable[OpenAct]) -> None:
        """Hold the commits of these in the mirror, and of no other request. Repeating it is harmless."""
        if self._keeps is not None:
            await asyncio.to_thread(self._hold, self._keeps, {_PREFIX + one.digest: one.commit for one in waiting})

    def _hold(self, keeps: Keeps, wanted: Mapping[str, str]) -> None:
        if self._held is None:  # what another life of this engine left
            self._held = set(keeps.held(_PREFIX))
        for name in self._held - wanted.keys():
            keeps.release(name)
        for name, commit in wanted.items():
            if name not in self._held and self._objects.has(commit):
                keeps.keep(name, commit)
                self._held.add(name)
        self._held &= wanted.keys()

    def resting(self, waiting: Mapping[str, OpenAct], catalog: Catalog, mode: Mode, now: datetime) -> frozenset[str]:
        """The names of those that would be judged as they were: nothing was said, nothing changed, no time is over."""
        under = (catalog, mode, self._stamp())
        known = self._under
        if known is None or known[0] is not under[0] or known[1:] != under[1:]:
            self._under, self._weighed = under, {}
        self._weighed = {one.digest: one for one in waiting.values() if self._weighed.get(one.digest) == one}
        return frozenset(
            name
            for name, one in waiting.items()
            if one.digest in self._weighed and one.until is not None and now < one.until
        )

    def weighed(self, act: OpenAct) -> None:
        """It was judged, and waits on as it is here."""
        self._weighed[act.digest] = act
