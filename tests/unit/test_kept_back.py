"""What is due next is looked at as it would be decided."""

from datetime import UTC, datetime

from engine.status.views import KeptBack
from reconciler.keptback import KeptBacks
from tests.catalogs import catalog, job, local_target

JOB = job("a", spec="  targets: {names: [here]}\n")
DUE = datetime(2026, 11, 23, 2, tzinfo=UTC)


def window(name: str, more: str) -> str:
    return f"kind: Window\nmetadata: {{name: {name}}}\nspec: {{effect: deny, timeZone: UTC, {more}}}\n"


def schedule(more: str = "") -> str:
    spec = f"{{jobRef: a, cron: '0 2 * * *', timeZone: UTC{more}}}"
    return f"kind: Schedule\nmetadata: {{name: nightly}}\nspec: {spec}\n"


def kept(*documents: str) -> KeptBack | None:
    return KeptBacks().of(catalog(local_target("here"), JOB, *documents), "nightly", DUE)


def test_what_nothing_keeps_out_starts() -> None:
    assert kept(schedule()) is None
    assert kept(schedule(), window("other", "cron: '0 9 * * *', duration: 1h")) is None


def test_windows_and_calendars_are_named() -> None:
    freeze = window("freeze", "cron: '0 1 * * *', duration: 3h")
    assert kept(schedule(), freeze) == KeptBack(("Window/freeze",))
    night = window("night", "cron: '0 1 * * *', duration: 3h, blocked: defer")
    assert kept(schedule(), night) == KeptBack(("Window/night",), datetime(2026, 11, 23, 4, tzinfo=UTC))
    party = "kind: Calendar\nmetadata: {name: party}\nspec: {dates: ['2026-11-23']}\n"
    assert kept(schedule(", calendars: {except: [party]}"), party) == KeptBack(("Calendar/party",))


def test_another_catalog_is_asked_anew() -> None:
    freeze = window("freeze", "cron: '0 1 * * *', duration: 3h")
    backs, documents = KeptBacks(), (local_target("here"), JOB, schedule())
    assert backs.of(catalog(*documents), "nightly", DUE) is None
    assert backs.of(catalog(*documents, freeze), "nightly", DUE) is not None
