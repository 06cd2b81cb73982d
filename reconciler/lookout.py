"""Looking at the source, apart from deciding: a remote that hangs must not delay a schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from journal.errors import Refused, Unavailable
from journal.points import reach
from reconciler.repository.mirror import Mirror

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the source had at one look: the commit of each branch that could be brought into the mirror.

    `trouble` says why the source could not be asked; `troubles` why a branch of it could not be brought. A branch with
    trouble of its own has no entry in `heads`, and keeps no other branch from being seen.
    """

    heads: Mapping[str, str | None] = field(default_factory=dict)
    trouble: str | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)


class Lookout:
    """Asks the source which commits its branches are at, and fetches those that are new."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._seen: dict[str, str | None] = {}

    async def look(self, refs: Sequence[str]) -> Sighting:
        """One look. Trouble with the source is an answer, not an exception."""
        try:
            heads = await self._mirror.poll(refs)
        except (Unavailable, Refused) as error:
            log.warning("the source cannot be read", error=str(error))
            return Sighting(trouble=str(error))
        news = [ref for ref in refs if heads[ref] is not None and heads[ref] != self._seen.get(ref)]
        troubles = await self._fetch(news)
        here = {ref: heads[ref] for ref in refs if ref not in troubles}
        self._seen.update(here)
        return Sighting(here, troubles=troubles)

    async def _fetch(self, news: Sequence[str]) -> dict[str, str]:
        """Bring the branches into the mirror, all at once, or where that fails each alone; gives who failed and why."""
        if not news:
            return {}
        reach("definitions.seen")
        try:
            await self._mirror.fetch(news)
        except (Unavailable, Refused) as error:
            log.warning("cannot fetch", refs=list(news), error=str(error))
            if len(news) == 1:
                return {news[0]: str(error)}
            # One bad object on one branch must not hide what the others say.
            return {ref: why for alone in news for ref, why in (await self._fetch([alone])).items()}
        return {}
