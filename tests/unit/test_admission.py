"""What calendars and windows make of due instants: the engine's decisions beside an oracle that looks at each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.schedules.admission import Admissions
from engine.schedules.decide import ON_TIME, Decided, Due, ScheduleClock, Skips, decide
from engine.schedules.fires import upcoming
from schemas.calendar import Calendar, Window
from schemas.job import Job
from schemas.project import Project
from schemas.quantities import parse_instant as at
from schemas.schedule import Schedule
from schemas.workflow import Workflow

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def document(kind: Any, name: str, spec: Any) -> Any:
    return kind.model_validate(
        {"apiVersion": "opsconductor/v1", "kind": kind.__name__, "metadata": {"name": name}, "spec": spec}
    )


def catalog(
    spec: dict[str, Any],
    *,
    calendars: dict[str, Any] | None = None,
    windows: dict[str, Any] | None = None,
    workflows: dict[str, Any] | None = None,
) -> Catalog:
    """One schedule `s` of job `web`."""
    return Catalog(
        "",
        document(Project, "p", {}),
        jobs={"web": document(Job, "web", {"steps": [{"uses": "dummy"}]})},
        schedules={"s": document(Schedule, "s", {"jobRef": "web", **spec})},
        calendars={name: document(Calendar, name, one) for name, one in (calendars or {}).items()},
        windows={name: document(Window, name, one) for name, one in (windows or {}).items()},
        workflows={name: document(Workflow, name, one) for name, one in (workflows or {}).items()},
    )


def look(found: Catalog, considered: datetime, now: datetime) -> Decided:
    return decide("s", found.schedules["s"].spec, ScheduleClock(considered), now, admission=Admissions(found).of("s"))


def told(found: Decided) -> list[str]:
    """`run 12:00`, `run 12:00 at 13:00`, `window 09:00-11:00 x3`, by time."""
    lines = [
        (due.instant, f"run {due.instant:%H:%M}" + (f" at {due.starts_at:%H:%M}" if due.starts_at else ""))
        for due in found.runs
    ]
    lines += [(s.first, f"{s.reason} {s.first:%H:%M}-{s.last:%H:%M} x{s.count}") for s in found.skips]
    return [line for _, line in sorted(lines)]


HOURLY = {"cron": "0 * * * *", "timeZone": "UTC"}
TODAY = "2026-11-21T{}Z"


def single(effect: str, begin: str, end: str, **more: str) -> dict[str, str]:
    return {"effect": effect, "from": TODAY.format(begin), "until": TODAY.format(end), **more}


TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str, str, list[str]]] = [
    ("a deny window skips", {}, {"no": single("deny", "11:30:00", "12:30:00")}, "11:59:00", "12:00:00",
     ["window 12:00-12:00 x1"]),
    ("a deny window defers", {}, {"no": single("deny", "11:30:00", "12:30:00", blocked="defer")}, "11:59:00",
     "12:00:00", ["run 12:00 at 12:30"]),
    ("its end is free, its start is not", {}, {"no": single("deny", "11:00:00", "12:00:00")}, "10:59:59", "12:00:00",
     ["window 11:00-11:00 x1", "run 12:00"]),
    ("outside an allow window nothing starts", {}, {"yes": single("allow", "12:30:00", "13:30:00", blocked="defer")},
     "11:59:00", "12:00:00", ["run 12:00 at 12:30"]),
    ("a deferred start that another window takes over", {},
     {"a": single("deny", "11:30:00", "12:30:00", blocked="defer"), "b": single("deny", "12:10:00", "14:00:00")},
     "11:59:00", "12:00:00", ["run 12:00 at 14:00"]),
    ("one that skips is stronger", {},
     {"a": single("deny", "11:30:00", "12:30:00", blocked="defer"), "b": single("deny", "11:50:00", "14:00:00")},
     "11:59:00", "12:00:00", ["window 12:00-12:00 x1"]),
    ("window goes before missed", {"catchUp": {"policy": "none"}}, {"no": single("deny", "08:30:00", "10:30:00")},
     "07:30:00", "12:00:10", ["missed 08:00-08:00 x1", "window 09:00-10:00 x2", "missed 11:00-11:00 x1", "run 12:00"]),
    ("what is caught up may not start in a window that has begun since", {},
     {"no": single("deny", "12:05:00", "12:30:00")}, "11:30:00", "12:10:00", ["window 12:00-12:00 x1"]),
    ("or starts when that ends", {}, {"no": single("deny", "12:05:00", "12:30:00", blocked="defer")}, "11:30:00",
     "12:10:00", ["run 12:00 at 12:30"]),
    ("on time is on time, though the window begins before the look", {},
     {"no": single("deny", "12:00:01", "13:00:00")}, "11:30:00", "12:00:05", ["run 12:00"]),
    ("what was deferred and missed together is caught up and starts at once", {},
     {"no": single("deny", "11:30:00", "12:30:00", blocked="defer")}, "11:59:00", "12:45:00", ["run 12:00"]),
    ("an instant kept out is not the latest", {}, {"no": single("deny", "11:30:00", "12:20:00")}, "10:30:00",
     "12:30:00", ["missed 11:00-11:00 x1", "window 12:00-12:00 x1"]),
    ("suspended goes before window", {"suspend": {"until": "2026-11-21T11:30:00Z"}},
     {"no": single("deny", "10:30:00", "12:30:00")}, "10:30:00", "12:00:00",
     ["suspended 11:00-11:00 x1", "window 12:00-12:00 x1"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("title", "fields", "windows", "considered", "now", "expected"), TABLE, ids=[row[0] for row in TABLE]
)
def test_windows_decide(
    title: str, fields: dict[str, Any], windows: dict[str, Any], considered: str, now: str, expected: list[str]
) -> None:
    found = look(catalog(HOURLY | fields, windows=windows), at(TODAY.format(considered)), at(TODAY.format(now)))
    assert told(found) == expected


def test_calendars_go_by_the_local_day() -> None:
    """At 23:00 in UTC it is the next day in Berlin."""
    spec = {"cron": "0 0 * * *", "timeZone": "Europe/Berlin", "calendars": {"except": ["free"]}}
    found = catalog(spec, calendars={"free": {"dates": ["2026-12-25"]}})
    fires = upcoming(found, at("2026-12-23T00:00:00Z"), at("2026-12-27T00:00:00Z"))
    assert [(fire.local.isoformat(), fire.reason, fire.held_by) for fire in fires] == [
        ("2026-12-24T00:00:00+01:00", None, ()),
        ("2026-12-25T00:00:00+01:00", "calendar", ("Calendar/free",)),
        ("2026-12-26T00:00:00+01:00", None, ()),
        ("2026-12-27T00:00:00+01:00", None, ()),
    ]


def test_calendar_goes_before_window_and_missed() -> None:
    spec = HOURLY | {"calendars": {"only": ["working"]}, "catchUp": {"policy": "none"}}
    found = catalog(
        spec,
        calendars={"working": {"dates": ["2026-11-20"]}},
        windows={"no": {"effect": "deny", "from": "2026-11-20T22:30:00Z", "until": "2026-11-21T06:00:00Z"}},
    )
    decided = look(found, at("2026-11-20T21:30:00Z"), at("2026-11-21T03:10:00Z"))
    assert told(decided) == ["missed 22:00-22:00 x1", "window 23:00-23:00 x1", "calendar 00:00-03:00 x4"]


def test_any_calendar_of_only_is_enough_and_one_of_except_too() -> None:
    calendars = {
        "fridays": {"rrules": ["FREQ=WEEKLY;BYDAY=FR"]},
        "first": {"dates": ["2026-12-01"]},
        "german": {"holidays": {"country": "DE", "subdivision": "BY"}},
    }
    spec = {"cron": "0 6 * * *", "timeZone": "Europe/Berlin", "calendars": {"only": ["fridays", "first"]}}
    spec["calendars"] = {"only": ["fridays", "first"], "except": ["german"]}
    fires = upcoming(catalog(spec, calendars=calendars), at("2026-12-01T00:00:00Z"), at("2027-01-09T00:00:00Z"))
    ran = [f"{fire.local:%m-%d}" for fire in fires if fire.decision == "run"]
    assert ran == ["12-01", "12-04", "12-11", "12-18", "01-08"]  # neither Christmas nor New Year, both on Fridays
    held = {fire.held_by for fire in fires if f"{fire.local:%m-%d}" in ("12-25", "01-01")}
    assert held == {("Calendar/german",)}


def test_a_workflow_starts_when_all_of_its_jobs_may() -> None:
    found = catalog(
        {**HOURLY, "jobRef": None, "workflowRef": "flow"},
        workflows={"flow": {"jobs": {"first": {"wait": "1m"}, "then": {"jobRef": "web", "needs": ["first"]}}}},
        windows={
            "web": {**single("deny", "11:30:00", "12:30:00", blocked="defer"), "jobs": {"names": ["web"]}},
            "other": {**single("deny", "11:30:00", "18:30:00"), "jobs": {"names": ["other"]}},
        },
    )
    assert told(look(found, at(TODAY.format("11:59:00")), NOON)) == ["run 12:00 at 12:30"]


def test_ten_days_of_seconds_among_windows_and_calendars_are_a_few_values() -> None:
    found = catalog(
        {"every": "1s", "calendars": {"except": ["weekend"]}, "catchUp": {"policy": "all", "max": 3}},
        calendars={"weekend": {"rrules": ["FREQ=WEEKLY;BYDAY=SA,SU"]}},
        windows={"no": {"effect": "deny", "cron": "0 22 * * *", "duration": "1h", "timeZone": "UTC"}},
    )
    now = at("2026-11-20T12:00:00Z")
    decided = look(found, now - timedelta(days=10), now)
    assert len(decided.runs) == 3 + 31
    assert len(decided.skips) < 40
    assert len(decided.runs) + sum(skip.count for skip in decided.skips) == 10 * 86_400


# --- an oracle that looks at each instant ---


@dataclass(frozen=True)
class Stretch:
    """A window by minutes after NOON."""

    effect: str
    begin: int
    end: int
    blocked: str

    def holds(self, minute: int) -> bool:
        return self.begin <= minute < self.end

    def written(self) -> dict[str, str]:
        times = {"from": NOON + self.begin * MINUTE, "until": NOON + self.end * MINUTE}
        return {"effect": self.effect, "blocked": self.blocked} | {
            name: moment.isoformat() for name, moment in times.items()
        }


def blocking(minute: int, stretches: Sequence[Stretch]) -> list[Stretch]:
    allowing = [one for one in stretches if one.effect == "allow"]
    closed = bool(allowing) and not any(one.holds(minute) for one in allowing)
    return [one for one in stretches if (closed if one.effect == "allow" else one.holds(minute))]


def start_of(minute: int, stretches: Sequence[Stretch]) -> int | None:
    """When a run starts that would start then; None: it does not."""
    held = blocking(minute, stretches)
    if any(one.blocked == "skip" for one in held):
        return None
    later = range(minute, 2_000)
    return next((one for one in later if not blocking(one, stretches)), None) if held else minute


def expected(
    instants: Sequence[int], stretches: Sequence[Stretch], free: set[date], policy: dict[str, Any], now: int
) -> tuple[dict[int, int | None], dict[int, str]]:
    """The starts of those that run (None: at once), and the reasons of the others, looked at together at `now`."""
    runs: dict[int, int | None] = {}
    reasons: dict[int, str] = {}
    candidates: list[int] = []
    for minute in instants:
        if (NOON + minute * MINUTE).date() in free:
            reasons[minute] = "calendar"
        elif (start := start_of(minute, stretches)) is None:
            reasons[minute] = "window"
        elif (now - minute) * MINUTE <= ON_TIME:
            runs[minute] = start if start > minute else None
        else:
            candidates.append(minute)
    within = [one for one in candidates if now - one <= policy["window"]]
    most = {"none": 0, "latest": 1, "all": policy["max"]}[policy["policy"]]
    caught = within[len(within) - most :] if most < len(within) else within if most else []
    for minute in candidates:
        start = start_of(max(start_of(minute, stretches) or 0, now), stretches)
        if minute not in caught:
            beyond = minute in within and policy["policy"] == "all"
            reasons[minute] = "catchUpMax" if beyond else "missed"
        elif start is None:
            reasons[minute] = "window"
        else:
            runs[minute] = start if start > now else None
    return runs, reasons


stretches = st.builds(
    lambda effect, begin, length, blocked: Stretch(effect, begin, begin + length, blocked),
    st.sampled_from(["deny", "deny", "allow"]),
    st.integers(-100, 1_200),
    st.integers(1, 400),
    st.sampled_from(["skip", "defer"]),
)
policies = st.fixed_dictionaries(
    {"policy": st.sampled_from(["none", "latest", "all"]), "window": st.integers(1, 600), "max": st.integers(1, 4)}
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 90),
    st.lists(stretches, max_size=4),
    st.booleans(),
    policies,
    st.lists(st.integers(1, 1_400), min_size=1, max_size=4, unique=True),
)
def test_every_instant_is_decided_once_and_as_the_words_of_the_definitions_say(
    every: int, drawn: list[Stretch], free_day: bool, policy: dict[str, Any], looks: list[int]
) -> None:
    free = {date(2026, 11, 22)} if free_day else set()
    found = catalog(
        {
            "every": f"{every}m",
            "startAt": NOON.isoformat(),
            "catchUp": {**policy, "window": f"{policy['window']}m"},
            "calendars": {"except": ["free"]} if free else {},
        },
        calendars={"free": {"dates": [day.isoformat() for day in free]}} if free else {},
        windows={f"w{number}": one.written() for number, one in enumerate(drawn)},
    )
    admission = Admissions(found).of("s")
    clock = ScheduleClock(NOON - MINUTE)
    before = -1
    for now in sorted(looks):
        decided = decide("s", found.schedules["s"].spec, clock, NOON + now * MINUTE, admission=admission)
        due = [minute for minute in range(0, now + 1, every) if minute > before]
        runs, reasons = expected(due, drawn, free, policy, now)
        assert decided.runs == tuple(
            Due("s", NOON + minute * MINUTE, None if start is None else NOON + start * MINUTE)
            for minute, start in sorted(runs.items())
        )
        assert each(decided.skips, every) == reasons
        assert all(not one_record(one, other, runs) for one, other in pairwise(decided.skips))
        clock, before = ScheduleClock(decided.considered_until), now


def each(skips: Sequence[Skips], every: int) -> dict[int, str]:
    """The reason of each skipped minute; consecutive ones have one record, and no instant has two."""
    found: dict[int, str] = {}
    for skip in skips:
        first, last = ((moment - NOON) // MINUTE for moment in (skip.first, skip.last))
        minutes = range(first, last + 1, every)
        assert len(minutes) == skip.count
        assert not found.keys() & set(minutes)
        found |= dict.fromkeys(minutes, str(skip.reason))
    return found


def one_record(one: Skips, other: Skips, runs: dict[int, int | None]) -> bool:
    """Whether two records should have been one."""
    between = any(one.last < NOON + minute * MINUTE < other.first for minute in runs)
    return one.reason == other.reason and not between


JITTERED = {"every": "5s", "jitter": "1h"}
BUSY = {"no": {"effect": "deny", "cron": "0 * * * *", "duration": "10m", "timeZone": "UTC"}}


def test_an_outage_in_which_every_instant_has_its_own_verdict_costs_a_bounded_number_of_looks() -> None:
    """With jitter as long as windows are apart, 172,800 instants would be asked about one by one."""
    found = catalog(JITTERED, windows=BUSY)
    asked: dict[int, int] = {}
    for days in (1, 10, 100):
        admission = Admissions(found).of("s")
        decided = decide(
            "s", found.schedules["s"].spec, ScheduleClock(NOON - timedelta(days=days)), NOON, admission=admission
        )
        asked[days] = admission.windows.asked
        assert len(decided.skips) < 2_000
        assert len(decided.runs) + sum(skip.count for skip in decided.skips) == days * 86_400 // 5
        late = [due for due in decided.runs if due.instant < NOON - ON_TIME]
        assert len(late) == 1, "the latest that no window keeps out is caught up"
        assert decided.skips[0].first == NOON - timedelta(days=days) + timedelta(seconds=5)
        assert decided.skips[0].reason == "missed", "what is older than the looks reach"
    assert asked[100] == asked[10] == asked[1]
    assert asked[100] < 10_000


def test_of_what_is_late_the_newest_is_as_if_each_was_looked_at() -> None:
    """The bound changes what is said of old instants alone."""
    found = catalog(JITTERED | {"catchUp": {"policy": "all", "max": 50}}, windows=BUSY)
    now = NOON + 20 * MINUTE
    short, long = look(found, now - timedelta(minutes=60), now), look(found, now - timedelta(days=10), now)
    assert short.runs == long.runs
    first = short.runs[0].instant
    assert [skip for skip in short.skips if skip.first > first] == [skip for skip in long.skips if skip.first > first]
