"""Facts that runs of Jobs gathered, taken as if the Discoveries that name those Jobs had scanned."""

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.discovery import seen
from engine.discovery.seen import Scan
from engine.identity import RunId
from engine.runs.pinned import RUNNER
from journal import discoveries, history, runs
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.fence import Fence
from journal.store import Journal

log = structlog.get_logger(__name__)


class Gathering:
    """Takes facts from the newest runs. One Discovery whose runs cannot be read costs itself alone."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tripped: dict[str, str] = {}
        """What was told of a Discovery that cannot be read, so that it is told once."""

    async def work(self, catalog: Catalog) -> None:
        """What the newest runs of Jobs say that Discoveries take facts from.

        Raises Unavailable where the store is away: then it is done later; and Refused where a person must see to it.
        """
        for name, discovery in catalog.discoveries.items():
            if discovery.spec.from_ is None or (job := discovery.spec.from_.job_ref) is None:
                continue
            try:
                await self._take(name, job)
            except (Unavailable, Refused, LeadershipLost):
                raise
            except Exception as error:  # what a run put out, or the journal has of it, must keep no other waiting
                if self._tripped.get(name) != (words := f"{type(error).__name__}: {error}"):
                    log.exception("a bug of ours: what a run gathered cannot be read", discovery=name, job=job)
                self._tripped[name] = words
            else:
                self._tripped.pop(name, None)

    async def _take(self, name: str, job: str) -> None:
        scan = await self._journal.read(lambda conn: gathered(conn, name, job))
        if scan is not None:
            fence, data = Fence(RunId(scan.run), 0), seen.to_json(scan)
            await self._journal.write(lambda tx: discoveries.scanned(tx, fence, name, data, scan.finished_at))


def gathered(conn: Connection, name: str, job: str) -> Scan | None:
    """The facts of the newest run of a job, as what a Discovery saw; None where it has seen them, or there are none."""
    last, known = history.last_of(conn, job), discoveries.get(conn, name)
    if last is None or last.finished_at is None or (known is not None and known.run == last.id):
        return None
    view = runs.get_all(conn, [last.id])[last.id]
    facts_by_target = {one.name: one.outputs for one in view.results if one.outputs and one.name != RUNNER}
    if not facts_by_target:  # it says nothing, and takes nothing back that an earlier one said
        return None
    began = last.started_at or last.finished_at
    return Scan(name, last.id, began, last.finished_at, len(facts_by_target), (), facts=facts_by_target)
