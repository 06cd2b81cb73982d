"""The newest runs, whatever they are of."""

from sqlalchemy import Connection

from engine.identity import RunId
from engine.status.yamltext import stamp
from journal import history
from opsconductor.dashboard.pages.briefs import brief_of
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery
from opsconductor.dashboard.sources import Data, Sources

_A_PAGE = 100
_LONGEST = 100
"""Characters of a run's id (CONTRACT 4)."""


async def load(sources: Sources, asked: Asked) -> Data:
    """The newest runs, the newest first. The query has `before`, the run before which the list begins."""
    before = asked.query.get("before")
    if before is not None and len(before) > _LONGEST:
        raise UnfitQuery("'before' is the id of a run")

    def look(conn: Connection) -> list[Data]:
        found = history.listed(conn, limit=_A_PAGE + 1, before=RunId(before) if before else None)
        return [brief_of(one) for one in found]

    runs = await sources.journal.read(look)
    older = runs[_A_PAGE - 1]["run"] if len(runs) > _A_PAGE else None
    return {"at": stamp(sources.clock.now()), "before": before, "runs": runs[:_A_PAGE], "older": older}


PAGE = Page(
    "/runs", "runs", load, asks={"before": "The id of the run before which the list begins."}, gives=("runs", "older")
)
