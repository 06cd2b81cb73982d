"""What becomes of the clocks of schedules when a catalog comes into force: one call and one value."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.catalog import Catalog
from engine.names import NOTHING
from engine.schedules.decide import fingerprint
from journal.schedules import ClockRow
from reconciler.adoption import planned
from tests.catalogs import catalog

JOB = "kind: Job\nmetadata: {name: j}\nspec: {steps: [{uses: dummy}]}\n"
T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)


def of(names: str, rest: str = "every: 1h") -> Catalog:
    return catalog(JOB, f"kind: Schedule\nmetadata: {{{names}}}\nspec: {{jobRef: j, {rest}}}\n")


def clock(definitions: Catalog, name: str, until: datetime = NOW) -> ClockRow:
    return ClockRow(fingerprint(definitions.schedules[name].spec), T0, until)


def test_a_new_schedule_begins_now_and_one_that_is_gone_is_forgotten() -> None:
    before, after = of("name: old"), of("name: new")
    found = planned(after, {"old": clock(before, "old")}, {}, NOW)
    assert found.wanted == found.changed == {"new": ClockRow(clock(after, "new").fingerprint, NOW, NOW)}
    assert (found.gone, found.ahead, list(found.unknown)) == (("old",), (), ["new"])


def test_what_says_the_same_time_goes_on_and_is_not_written_anew() -> None:
    """Also where its params change, or its windows; what says another time begins anew."""
    before = of("name: s")
    stored = {"s": clock(before, "s")}
    same = planned(of("name: s", "every: 1h, priority: 5"), stored, {}, NOW)
    assert (same.wanted, same.changed, same.unknown) == (stored, {}, {})
    other = of("name: s", "every: 2h")
    held = planned(before, stored, {}, NOW).readings
    assert planned(other, stored, held, NOW).changed == {"s": ClockRow(clock(other, "s").fingerprint, NOW, NOW)}


def test_a_renamed_schedule_keeps_its_clock_and_begins_where_it_was_decided() -> None:
    before, after = of("name: old"), of("name: new, previousNames: [old]")
    found = planned(after, {"old": clock(before, "old")}, {}, NOW)
    assert found.wanted == {"new": replace(clock(before, "old"), considered_from=NOW)}
    assert (found.gone, found.unknown) == (("old",), {})


def test_what_was_decided_ahead_of_the_time_is_set_back_where_its_time_changes() -> None:
    """By all names that it has and had; where nobody knows how it was defined, the new time begins after it."""
    ahead = NOW + timedelta(days=1)
    before, after = of("name: old"), of("name: new, previousNames: [old]", "every: 2h")
    stored = {"old": clock(before, "old", ahead)}
    held = planned(before, stored, {}, NOW).readings
    known = planned(after, stored, held, NOW)
    assert known.wanted["new"].considered_until == NOW
    assert [one.names for one in known.ahead] == [("new", "old")]
    unknown = planned(after, stored, {}, NOW)
    assert (unknown.wanted["new"].considered_until, unknown.ahead) == (ahead, ())


def test_what_was_decided_ahead_of_the_time_by_what_is_gone_is_set_back_by_all_of_its_names() -> None:
    """The last document said the last alone. What another has by now is the other's."""
    ledger, ahead = NOTHING, NOW + timedelta(days=1)
    names = ("name: first", "name: second, previousNames: [first]", "name: third, previousNames: [second]")
    for known in map(of, names):
        ledger = known.after(ledger).names
    before = of(names[-1]).after(ledger)
    stored = {"third": clock(before, "third", ahead)}
    held = planned(before, stored, {}, NOW).readings
    gone = planned(catalog(JOB).after(ledger), stored, held, NOW)
    assert [sorted(one.names) for one in gone.ahead] == [["first", "second", "third"]]
    second = "kind: Schedule\nmetadata: {name: second}\nspec: {jobRef: j, every: 1h}\n"
    ledger = catalog(JOB, second, second.replace("second", "third")).after(ledger).names
    other = planned(catalog(JOB, second).after(ledger), stored, held, NOW)
    assert [sorted(one.names) for one in other.ahead] == [["first", "third"]]
