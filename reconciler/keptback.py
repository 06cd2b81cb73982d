"""What calendars and windows would make of what is due next, for those who only look."""

from datetime import datetime

from engine.catalog import Catalog
from engine.schedules.admission import Admissions, Admitted, KeptOut
from engine.status.views import KeptBack


class KeptBacks:
    """Of the newest catalog that was asked about; one thread at a time.

    Not those admissions that decide: windows keep what they worked out, and who draws pages does so in another thread.
    """

    def __init__(self) -> None:
        self._known: tuple[Catalog, Admissions] | None = None

    def of(self, catalog: Catalog, name: str, due: datetime) -> KeptBack | None:
        """None where the schedule starts something when it is due, or as much later as jitter says."""
        known = self._known
        if known is None or known[0] is not catalog:
            known = self._known = (catalog, Admissions(catalog))
        admission = known[1].of(name)
        if admission.is_open:
            return None
        match admission.at(due):
            case Admitted(starts_at=starts_at, deferred_by=blocked):
                windows = () if blocked is None else blocked.windows
                return KeptBack(tuple(f"Window/{one}" for one in windows), starts_at) if windows else None
            case KeptOut(reason=reason, names=names):
                kind = "Window" if reason == "window" else "Calendar"
                return KeptBack(tuple(f"{kind}/{one}" for one in names))
