"""Why the program stops, and with which exit code."""

from dataclasses import dataclass

import structlog

from journal.errors import Refused
from opsconductor import exits
from reconciler.publication.publish import OtherOwner

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """`bug`: an error that nobody foresaw, to be raised once all has stopped in order."""

    code: int = exits.OK
    reason: str = ""
    bug: BaseException | None = None


def of(error: BaseException) -> Ending:
    """What the failure of a part means for the whole."""
    match error:
        case OtherOwner():
            return Ending(exits.FINDINGS, str(error))
        case Refused():
            return Ending(exits.FINDINGS, error.message)
        case _:
            log.error("a bug of ours: stopping in order", error=f"{type(error).__name__}: {error}")
            return Ending(bug=error)
