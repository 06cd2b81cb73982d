"""The agenda is a sorted list that is never sorted: it says the same as one that is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.agenda import Agenda

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
names = st.sampled_from(["a", "b", "c", "d", "e"])
instants = st.none() | st.integers(-3, 3).map(lambda hours: NOON + timedelta(hours=hours))


def _due(kept: dict[str, datetime | None], now: datetime) -> tuple[str, ...]:
    found = sorted((instant, name) for name, instant in kept.items() if instant is not None and instant <= now)
    return tuple(name for _, name in found)


@settings(deadline=None)
@given(st.dictionaries(names, instants), st.lists(st.tuples(names, instants)))
def test_it_tells_what_is_due_however_often_it_was_set(begin: dict[str, datetime | None], changes: list) -> None:  # type: ignore[type-arg]
    agenda, kept = Agenda(begin), dict(begin)
    for name, instant in [*changes, *changes]:
        assert agenda.until(NOON) == agenda.until(NOON) == _due(kept, NOON)
        assert agenda.earliest == min((one for one in kept.values() if one is not None), default=None)
        agenda.set(name, instant)
        kept[name] = instant

    assert agenda.until(NOON + timedelta(days=1)) == _due(kept, NOON + timedelta(days=1))


def test_what_is_due_stays_until_it_is_set() -> None:
    agenda = Agenda({"late": NOON, "early": NOON - timedelta(hours=1), "never": None})

    assert agenda.until(NOON) == ("early", "late")
    agenda.set("early", NOON + timedelta(days=1))
    assert agenda.until(NOON) == ("late",)
    agenda.set("late", None)
    assert agenda.until(NOON) == ()
    assert agenda.earliest == NOON + timedelta(days=1)
