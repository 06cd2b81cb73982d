"""Looking at the source, apart from deciding: a remote that hangs must not delay a schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from journal.errors import Refused, Unavailable
from journal.points import reach
from reconciler.mirror import Mirror

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the source had at one look: each branch's commit, all of it in the mirror; or why it could not be seen."""

    heads: Mapping[str, str | None] = field(default_factory=dict)
    trouble: str | None = None


class Lookout:
    """Asks the source which commits its branches are at, and fetches those that are new."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._seen: dict[str, str | None] = {}

    async def look(self, refs: Sequence[str]) -> Sighting:
        """One look. Trouble with the source is an answer, not an exception."""
        try:
            heads = await self._mirror.poll(refs)
            news = [ref for ref in refs if heads[ref] is not None and heads[ref] != self._seen.get(ref)]
            if news:
                reach("definitions.seen")
                await self._mirror.fetch(news)
        except (Unavailable, Refused) as error:
            log.warning("the source cannot be read", error=str(error))
            return Sighting(trouble=str(error))
        self._seen.update({ref: heads[ref] for ref in refs})
        return Sighting(dict(heads))
