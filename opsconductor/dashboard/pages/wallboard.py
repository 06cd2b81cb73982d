"""For a screen on a wall: whether all is well, in few and large words."""

from opsconductor.dashboard.pages import now
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Sources

_MOST = 12


async def load(sources: Sources, asked: Asked) -> Data:
    """What the first page says, in short."""
    found = await now.load(sources, asked)
    sync = found["sync"]
    failing = [{"job": one["job"], "failures": one["failures"], "since": one["last"]["finishedAt"]}
               for one in found["failing"]]  # fmt: skip
    stale = not sync["appliedCommit"] or sync["observedCommit"] != sync["appliedCommit"]
    return {
        "at": found["at"],
        "well": not failing and not stale,
        "headline": _headline(len(failing), stale=stale, applied=sync["appliedCommit"]),
        "failing": failing[:_MOST],
        "more": max(0, len(failing) - _MOST),
        "running": [{"job": one["job"], "since": one["since"], "usual": one["usual"]}
                    for one in found["open"] if one["state"] == "running"][:_MOST],
        "waiting": sum(one["state"] != "running" for one in found["open"]),
        "gates": len(found["gates"]),
        "commit": sync["appliedCommit"],
        "next": [one for one in found["next"] if one["startsAt"]][:3],
    }  # fmt: skip


PAGE = Page(
    "/wallboard", "wallboard", load,
    gives=("well", "headline", "failing", "more", "running", "waiting", "gates", "commit", "next"),
)  # fmt: skip


def _headline(failing: int, *, stale: bool, applied: str | None) -> str:
    if failing:
        return f"{failing} failing{', and the newest commit is not in force' if stale else ''}"
    if stale:
        return "The newest commit is not in force" if applied else "No commit is in force"
    return "All is well"
