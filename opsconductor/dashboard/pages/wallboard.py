"""For a screen on a wall: whether all is well, in few and large words."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from engine.status.wellness import Troubles, is_behind, said
from journal import heartbeats, letters
from opsconductor.dashboard.pages import now
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.service import health

_MOST = 12
_WELL = "All is well"


async def load(sources: Sources, asked: Asked) -> Data:
    """What the first page says, in short."""
    found = await now.load(sources, asked)
    sync = found["sync"]
    failing = [
        {
            "job": one["job"],
            "workflow": one["last"]["workflow"],
            "failures": one["failures"],
            "since": one["last"]["finishedAt"],
        }
        for one in found["failing"]
    ]
    unreachable, messages = await sources.journal.read(lambda conn: _away(conn, sources))
    troubles = Troubles(
        behind=is_behind(sources.engine.sync()),
        failing=len(failing),
        unreachable=len(unreachable),
        channels=messages.failing,
        dead_letters=messages.dead,
        late=len(found["late"]),
        missed=len(found["missed"]),
        overdue=len(found["overdue"]),
    )
    trouble = await _trouble(sources)
    headline = _headline(troubles, applied=sync["appliedCommit"], ready=trouble is None)
    return {
        "at": found["at"],
        "well": headline == _WELL,
        "headline": headline,
        "notWell": [one.words for one in said(troubles)],
        "trouble": trouble,
        "unreachable": unreachable[:_MOST],
        "failing": failing[:_MOST],
        "more": max(0, len(failing) - _MOST),
        "running": [{"job": one["job"], "since": one["since"], "usual": one["usual"]}
                    for one in found["open"] if one["state"] == "running"][:_MOST],
        "waiting": sum(one["state"] != "running" for one in found["open"]),
        "gates": len(found["gates"]) + len(found["toApprove"]),
        "commit": sync["appliedCommit"],
        "next": [one for one in found["next"] if one["startsAt"]][:3],
    }  # fmt: skip


PAGE = Page(
    "/wallboard", "wallboard", load,
    gives=("well", "headline", "notWell", "trouble", "unreachable", "failing", "more",
           "running", "waiting", "gates", "commit", "next"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Messages:
    """How many channels fail, and how many messages were given up."""

    failing: int
    dead: int


def _away(conn: Connection, sources: Sources) -> tuple[list[str], _Messages]:
    """The targets that are defined and unreachable, and how messages do."""
    catalog = sources.engine.catalog
    names = heartbeats.unreachable(conn).intersection(catalog.targets if catalog is not None else ())
    dead = sum(one.count for one in letters.dead_by_channel(conn))
    return sorted(names), _Messages(len(letters.failing(conn)), dead)


async def _trouble(sources: Sources) -> str | None:
    """Why the engine does not do its work, where it does not; of pages without an engine nothing is said."""
    pulse = sources.engine.pulse()
    if pulse.never_began:
        return None
    return health.in_short(health.ready(pulse, await sources.engine.unwritable()))


def _headline(troubles: Troubles, *, applied: str | None, ready: bool) -> str:
    parts = [] if ready else ["The engine does not do its work"]
    if applied is None:
        parts.append("no commit is in force")
    elif troubles.behind:
        parts.append("the newest commit is not in force")
    if troubles.failing:
        parts.insert(0, f"{troubles.failing} failing")
    parts += [one.words for one in said(replace(troubles, failing=0))]
    if not parts:
        return _WELL
    text = f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 1 else parts[0]
    return text[0].upper() + text[1:]
