"""Windows: when they are open, whom they block, and until when; beside an oracle that looks at each minute."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.schedules.windows import Blocked, Rules, Subject, Windows
from engine.selection import select
from engine.times import recurrence, zones
from engine.times.openings import HORIZON, Opening, Openings
from engine.times.recurrence import TICK, by_cron
from schemas.calendar import Window, WindowSpec
from schemas.job import Job
from schemas.project import Project
from schemas.quantities import parse_instant as at
from schemas.schedule import Dst, Schedule
from schemas.target import Target, TargetGroup

MINUTE = timedelta(minutes=1)
NIGHTLY = {"effect": "deny", "cron": "0 22 * * *", "duration": "8h", "timeZone": "Europe/Berlin"}


def document(kind: Any, name: str, spec: Mapping[str, Any], **labels: str) -> Any:
    metadata = {"name": name, "labels": labels}
    return kind.model_validate(
        {"apiVersion": "opsconductor/v1", "kind": kind.__name__, "metadata": metadata, "spec": spec}
    )


def catalog(**windows: Mapping[str, Any]) -> Catalog:
    """Two jobs, three targets, and these windows."""
    return Catalog(
        "",
        document(Project, "p", {"defaults": {"timeZone": "UTC"}}),
        jobs={
            "web": document(Job, "web", {"targets": {"names": ["a", "b"]}, "steps": [{"uses": "dummy"}]}, team="web"),
            "here": document(Job, "here", {"steps": [{"uses": "dummy"}]}),
        },
        targets={name: document(Target, name, {"host": name}, role=name) for name in ("a", "b", "c")},
        windows={name: document(Window, name, spec) for name, spec in windows.items()},
    )


def spec(**fields: Any) -> WindowSpec:
    return WindowSpec.model_validate(fields)


def between(start: str, end: str, **fields: Any) -> list[Opening]:
    return list(Openings(spec(**fields)).between(at(start), at(end)))


# --- openings ---


def test_a_single_window_starts_inclusive_and_ends_exclusive() -> None:
    openings = Openings(spec(effect="deny", **{"from": "2026-12-24T18:00:00Z", "until": "2026-12-27T06:00:00Z"}))
    assert openings.at(at("2026-12-24T17:59:59Z")) is None
    assert openings.at(at("2026-12-24T18:00:00Z")) == Opening(at("2026-12-24T18:00:00Z"), at("2026-12-27T06:00:00Z"))
    assert openings.at(at("2026-12-27T05:59:59Z")) is not None
    assert openings.at(at("2026-12-27T06:00:00Z")) is None
    assert openings.after(at("2026-12-24T18:00:00Z")) is None


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        # Clocks go forward at 02:00 and back at 03:00 in Berlin: eight hours of elapsed time are eight hours.
        ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", "2026-10-24T20:00:00Z", "2026-10-25T04:00:00Z"),
    ],
)
def test_the_duration_is_elapsed_time(start: str, end: str, first: str, last: str) -> None:
    assert between(start, end, **NIGHTLY) == [Opening(at(first), at(last))]


def test_a_start_that_does_not_exist_is_the_end_of_the_gap() -> None:
    found = between(
        "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z", **{**NIGHTLY, "cron": "30 2 * * *", "duration": "1h"}
    )
    assert found == [Opening(at("2026-03-29T01:00:00Z"), at("2026-03-29T02:00:00Z"))]


def test_what_overlaps_or_touches_is_one_opening() -> None:
    found = between(
        "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z",
        effect="deny", cron="0,30 8-9 * * *", duration="30m", timeZone="UTC",
    )  # fmt: skip
    assert found == [Opening(at("2026-06-01T08:00:00Z"), at("2026-06-01T10:00:00Z"))]


def test_a_day_of_24_hours_leaves_the_25th_hour_of_the_longest_day() -> None:
    fields = {"effect": "deny", "cron": "0 0 * * *", "duration": "24h", "timeZone": "Europe/Berlin"}
    openings = Openings(spec(**fields))
    opening = openings.at(at("2025-11-01T00:00:00Z"))
    assert opening is not None and opening.end == at("2026-10-25T22:00:00Z")
    assert openings.after(opening.start) == Opening(at("2026-10-25T23:00:00Z"), at("2027-10-31T22:00:00Z"))


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "0 0 * * *", "duration": "24h", "timeZone": "UTC"},
        {"cron": "0 0 * * *", "duration": "25h", "timeZone": "Europe/Berlin"},
        {"cron": "0 0 * * *", "duration": "3d", "timeZone": "Europe/Berlin"},
        {"cron": "* * * * *", "duration": "1m", "timeZone": "Europe/Berlin"},
    ],
)
def test_what_never_pauses_has_no_end(fields: dict[str, str]) -> None:
    opening = Openings(spec(effect="deny", **fields)).at(at("2026-06-01T12:00:00Z"))
    assert opening is not None and opening.end is None


COVERING = (
    st.tuples(st.just("{m} {h} * * *"), st.sampled_from((24, 25, 26, 47))),
    st.tuples(st.just("{m} */{h} * * *"), st.sampled_from((8, 12, 13, 23, 24))),
    st.tuples(st.just("*/7 * * * *"), st.sampled_from((1, 2))),
    st.tuples(st.just("0,{m} 0-22 * * {h}"), st.sampled_from((145, 146, 147, 168, 169))),
    st.tuples(st.just("{m} 3 1,15 * *"), st.sampled_from((408, 409, 432))),
    st.tuples(st.just("{m} {h} */2 * 1"), st.sampled_from((47, 48, 49, 72))),
    st.tuples(st.just("{m} 2 28-31 2-12/5 *"), st.sampled_from((24 * 300, 24 * 320))),
)
"""Crons of minute m and hour h, with the hours that such a window is open each time."""
ZONES = ("UTC", "Europe/Chisinau", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "America/Sao_Paulo")


def each_start(text: str, zone: str, duration: timedelta, instant: datetime) -> Iterator[Opening]:
    """The openings from an instant on, by every single start."""
    starts = by_cron(text, zone, Dst(), instant - duration - TICK)
    first = last = next(starts)
    for start in starts:
        if start > last + duration:
            yield Opening(first, last + duration)
            first = start
        elif start - first > HORIZON:
            yield Opening(first, None)
            return
        last = start


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(*COVERING),
    st.integers(0, 59),
    st.integers(1, 5),
    st.sampled_from(ZONES),
    st.integers(0, 70 * 366 * 24),
)
def test_what_only_clocks_interrupt_is_as_if_each_start_were_looked_at(
    clock: tuple[str, int], minute: int, hour: int, zone: str, hours: int
) -> None:
    text, instant = clock[0].format(m=minute, h=hour), at("1970-01-01T00:00:00Z") + timedelta(hours=hours)
    openings = Openings(spec(effect="deny", cron=text, duration=f"{clock[1]}h", timeZone=zone))
    expected = list(islice(each_start(text, zone, timedelta(hours=clock[1]), instant), 3))

    assert openings.at(instant) == next((one for one in expected if one.holds(instant)), None)
    assert openings.after(instant) == next((one for one in expected if one.start > instant), None)


def test_a_window_that_hardly_pauses_is_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pauses once a year: what is looked at is the changes of clocks."""
    looked = 0

    def counted(*given: Any) -> Iterator[datetime]:
        nonlocal looked
        for start in by_cron(*given):
            looked += 1
            yield start

    monkeypatch.setattr(recurrence, "by_cron", counted)
    hardly = Openings(spec(effect="deny", cron="30 2 * * *", duration="24h", timeZone="Europe/Berlin"))
    never = Openings(spec(effect="deny", cron="30 2 * * *", duration="25h", timeZone="Europe/Berlin"))
    instant = at("2025-11-01T00:00:00Z")

    assert hardly.at(instant) == Opening(at("2025-10-31T01:30:00Z"), at("2026-10-26T00:30:00Z"))
    assert never.at(instant) == Opening(at("2025-10-31T01:30:00Z"), None)
    assert looked < 40


def test_answers_do_not_depend_on_the_order_of_questions() -> None:
    instants = [at("2026-01-01T00:00:00Z") + timedelta(hours=7 * n) for n in range(400)]
    forwards, backwards = Openings(spec(**NIGHTLY)), Openings(spec(**NIGHTLY))
    found = [forwards.at(instant) for instant in instants]
    assert found == [backwards.at(instant) for instant in reversed(instants)][::-1]
    assert found == [Openings(spec(**NIGHTLY)).at(instant) for instant in instants]


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "0002-06-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_no_trouble(instant: str) -> None:
    openings = Openings(spec(**{**NIGHTLY, "duration": "3650d"}))
    now, later = openings.at(at(instant)), openings.after(at(instant))
    assert now is None or now.holds(at(instant))
    assert later is None or later.start > at(instant)


# --- rules ---

WEB = Subject("web", {"team": "web"}, frozenset({"a", "b"}))
DAY = {"from": "2026-06-01T06:00:00Z", "until": "2026-06-01T18:00:00Z"}
NOON, NIGHT = at("2026-06-01T12:00:00Z"), at("2026-06-01T22:00:00Z")


def blocked(instant: datetime, subject: Subject = WEB, **windows: Mapping[str, Any]) -> Blocked | None:
    return Windows(catalog(**windows)).of(subject).at(instant)


def test_no_window_blocks_nothing() -> None:
    assert blocked(NOON) is None


def test_a_deny_window_blocks_inside() -> None:
    deny = {"effect": "deny", **DAY}
    assert blocked(NOON, deny=deny) == Blocked(("deny",), "skip", "finish", at("2026-06-01T18:00:00Z"))
    assert blocked(NIGHT, deny=deny) is None


def test_an_allow_window_blocks_outside() -> None:
    allow = {"effect": "allow", "cron": "0 6 * * *", "duration": "12h", "timeZone": "UTC", "blocked": "defer"}
    assert blocked(NOON, allow=allow) is None
    assert blocked(NIGHT, allow=allow) == Blocked(("allow",), "defer", "finish", at("2026-06-02T06:00:00Z"))


def test_allow_windows_unite_and_deny_wins() -> None:
    early = {"effect": "allow", "cron": "0 6 * * *", "duration": "4h", "timeZone": "UTC"}
    late = {"effect": "allow", "cron": "0 9 * * *", "duration": "4h", "timeZone": "UTC"}
    deny = {"effect": "deny", "from": "2026-06-01T11:30:00Z", "until": "2026-06-02T09:30:00Z"}
    assert blocked(NOON, early=early, late=late) is None
    found = blocked(NOON, early=early, late=late, deny=deny)
    assert found == Blocked(("deny",), "skip", "finish", at("2026-06-02T09:30:00Z"))


def test_the_end_is_when_nothing_blocks_any_more() -> None:
    one = {"effect": "deny", "from": "2026-06-01T10:00:00Z", "until": "2026-06-01T14:00:00Z", "blocked": "defer"}
    next_one = {"effect": "deny", "from": "2026-06-01T14:00:00Z", "until": "2026-06-01T15:00:00Z"}
    found = blocked(NOON, one=one, next=next_one)
    assert found == Blocked(("one",), "defer", "finish", at("2026-06-01T15:00:00Z"))


def test_an_allow_window_that_is_over_blocks_for_ever() -> None:
    found = blocked(NIGHT, allow={"effect": "allow", **DAY})
    assert found == Blocked(("allow",), "skip", "finish", None)


def test_one_that_skips_is_stronger_than_one_that_defers_and_one_that_cancels_counts() -> None:
    found = blocked(
        NOON, x={"effect": "deny", **DAY, "blocked": "defer"}, y={"effect": "deny", **DAY, "running": "cancel"}
    )
    assert found == Blocked(("x", "y"), "skip", "cancel", at("2026-06-01T18:00:00Z"))


@pytest.mark.parametrize(
    ("fields", "concerned"),
    [
        ({}, True),
        ({"jobs": {"names": ["web"]}}, True),
        ({"jobs": {"selector": {"matchLabels": {"team": "web"}}}}, True),
        ({"jobs": {"names": ["here"]}}, False),
        ({"jobs": {}}, False),
        ({"targets": {"names": ["a"]}}, True),
        ({"targets": {"names": ["c"]}}, False),
        ({"targets": {"selector": {"matchLabels": {"role": "b"}}}, "jobs": {"names": ["web"]}}, True),
    ],
)
def test_a_deny_window_concerns_its_jobs_and_targets(fields: dict[str, Any], concerned: bool) -> None:
    """One of the targets is enough: a run starts as a whole."""
    assert (blocked(NOON, deny={"effect": "deny", **DAY, **fields}) is not None) is concerned


def test_a_job_on_the_runner_has_no_targets_that_a_window_could_mean() -> None:
    here = Subject("here")
    assert blocked(NOON, here, deny={"effect": "deny", **DAY, "targets": {"exclude": {"names": ["a"]}}}) is None
    assert blocked(NOON, here, deny={"effect": "deny", **DAY}) is not None


def test_each_target_needs_an_allow_window_of_those_that_concern_it() -> None:
    for_a = {"effect": "allow", **DAY, "targets": {"names": ["a"]}}
    for_b = {"effect": "allow", "from": NIGHT.isoformat(), "until": "2026-06-02T00:00:00Z", "targets": {"names": ["b"]}}
    assert blocked(NOON, Subject("web", {}, frozenset({"a"})), a=for_a, b=for_b) is None
    found = blocked(NOON, a=for_a, b=for_b)
    assert found is not None and (found.windows, found.until) == (("b",), None)


@pytest.mark.parametrize(("requests", "expected"), [("allow", False), ("deny", True)])
def test_what_people_ask_for_may_start_where_the_window_says_so(requests: str, expected: bool) -> None:
    asked = Subject("web", {}, frozenset({"a"}), requested=True)
    assert (blocked(NOON, asked, w={"effect": "deny", **DAY, "requests": requests}) is not None) is expected
    assert (blocked(NIGHT, asked, w={"effect": "allow", **DAY, "requests": requests}) is not None) is expected


def test_a_person_may_whatever_the_clock_may() -> None:
    """An opening of an allow window counts for requests too, whatever it says of those outside of it."""
    asked = Subject("web", {}, frozenset({"a"}), requested=True)
    open_, strict = {"effect": "allow", **DAY}, {"effect": "allow", **DAY, "requests": "deny"}
    strict = {**strict, "from": "2026-06-01T00:00:00Z", "until": "2026-06-01T01:00:00Z"}
    assert blocked(NOON, asked, open=open_, strict=strict) is None
    found = blocked(NIGHT, asked, open=open_, strict=strict)
    assert found is not None and found.windows == ("strict",)


def test_a_schedule_starts_its_job_on_what_its_limit_leaves() -> None:
    windows = Windows(catalog(deny={"effect": "deny", **DAY, "targets": {"names": ["b"]}}))
    fields = {"jobRef": "web", "every": "1h"}
    whole, limited = (
        document(Schedule, "s", fields | more) for more in ({}, {"limit": {"names": ["a", "c"]}})
    )  # fmt: skip
    assert windows.of_schedule(whole).at(NOON) is not None
    assert windows.started_by(limited) == Subject("web", {"team": "web"}, frozenset({"a"}))
    assert windows.of_schedule(limited).at(NOON) is None


def test_something_that_is_no_job_is_concerned_by_windows_for_all() -> None:
    windows = Windows(
        catalog(deny={"effect": "deny", **DAY}, jobs={"effect": "deny", **DAY, "jobs": {"names": ["web"]}})
    )
    assert windows.of_schedule(document(Schedule, "s", {"workflowRef": "w", "every": "1h"})).windows == ("deny",)


# --- whom they concern: beside an oracle that looks at each place of each subject, and at sets of names ---

NOT_IN_ROLE = {"key": "role", "operator": "NotIn"}
SOME = st.sets(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=3).map(sorted)
chosen = st.fixed_dictionaries(
    {},
    optional={
        "names": SOME,
        "groups": st.sampled_from([["few"], ["most"], ["few", "most"]]),
        "selector": st.one_of(
            st.sampled_from(["a", "b"]).map(lambda value: {"matchLabels": {"half": value}}),
            SOME.map(lambda names: {"matchExpressions": [{**NOT_IN_ROLE, "values": names or ["z"]}]}),
        ),
        "exclude": SOME.map(lambda names: {"names": names}),
    },
)
concerning = st.fixed_dictionaries(
    {"effect": st.sampled_from(["deny", "allow", "allow"])},
    optional={
        "targets": chosen,
        "jobs": st.sampled_from([{"names": ["web"]}, {"selector": {"matchLabels": {"team": "web"}}}]),
    },
)


def who(rules: Rules) -> tuple[set[str], set[frozenset[str]]]:
    return {one.name for one in rules.denying}, {frozenset(one.name for one in group) for group in rules.allowing}


def concerned_by_each_place(known: Catalog, subject: Subject) -> tuple[set[str], set[frozenset[str]]]:
    denying: set[str] = set()
    allowing: set[frozenset[str]] = set()
    for place in subject.targets or [None]:
        names = {
            name for name, window in known.windows.items()
            if (window.spec.jobs is None or subject.job == "web")
            and (window.spec.targets is None or place in select(window.spec.targets, known.targets, known.groups))
        }  # fmt: skip
        denying |= {name for name in names if known.windows[name].spec.effect == "deny"}
        allowing.add(frozenset(names - denying))
    return denying, allowing - {frozenset()}


@settings(max_examples=200, deadline=None)
@given(st.lists(concerning, max_size=6), st.data())
def test_windows_concern_whom_they_concern_place_by_place(drawn: list[dict[str, Any]], data: st.DataObject) -> None:
    """Sets of bits say what names say: also of targets that are gone, and of what is nowhere but on the runner."""
    targets = {
        name: document(Target, name, {"host": name}, role=name, half="a" if name < "c" else "b") for name in "abcde"
    }
    groups = {
        "few": document(TargetGroup, "few", {"names": ["e"]}),
        "most": document(TargetGroup, "most", {"groups": ["few"], "selector": {"matchLabels": {"half": "a"}}}),
    }
    web = document(Job, "web", {"targets": data.draw(chosen), "steps": [{"uses": "dummy"}]}, team="web")
    known = replace(
        catalog(**{f"w{number}": {**DAY, **fields} for number, fields in enumerate(drawn)}),
        jobs={"web": web}, targets=targets, groups=groups,
    )  # fmt: skip
    windows = Windows(known)
    for job, labels in (("web", {"team": "web"}), ("here", {})):
        subject = Subject(job, labels, frozenset(data.draw(st.sets(st.sampled_from([*targets, "gone"])))))
        assert who(windows.of(subject)) == concerned_by_each_place(known, subject)
    for more in ({}, {}, {"limit": data.draw(chosen)}):
        schedule = document(Schedule, "s", {"jobRef": "web", "every": "1h", **more})
        names = select(web.spec.targets, targets, groups)
        if more:
            names &= select(schedule.spec.limit, targets, groups)
        started = Subject("web", {"team": "web"}, frozenset(names))
        assert windows.started_by(schedule) == started
        assert who(windows.of_schedule(schedule)) == concerned_by_each_place(known, started)


# --- the oracle: it knows what the clock shows at each minute, and the words of the definitions ---

ZONES = [
    ("Europe/Berlin", "2026-03-28"), ("Europe/Berlin", "2026-10-24"), ("Australia/Lord_Howe", "2026-04-03"),
    ("Australia/Lord_Howe", "2026-10-02"), ("Africa/Cairo", "2026-04-23"), ("America/Nuuk", "2026-03-27"),
    ("America/Santiago", "2026-04-03"), ("Pacific/Apia", "2011-12-29"), ("Europe/Dublin", "2026-10-24"),
    ("UTC", "2026-06-01"),
]  # fmt: skip
DAYS = 4


@dataclass(frozen=True)
class Minutes:
    """What the clock of a zone shows at each minute from `start` on."""

    start: datetime
    shown: Sequence[datetime]

    @classmethod
    def of(cls, zone: str, start: datetime, count: int) -> "Minutes":
        where = zones.zone(zone)
        return cls(start, [(start + n * MINUTE).astimezone(where).replace(tzinfo=None) for n in range(count)])

    def starts(self, minutes: Sequence[int], hours: Sequence[int], weekdays: Sequence[int], elapsed: bool) -> set[int]:
        """The minutes at which a cron starts something, counted from `start`."""

        def fits(wall: datetime) -> bool:
            return wall.minute in minutes and wall.hour in hours and wall.isoweekday() % 7 in weekdays

        if elapsed:
            return {number for number, wall in enumerate(self.shown) if fits(wall)}
        found: set[int] = set()
        seen = self.shown[0]
        for number, wall in enumerate(self.shown):
            while (
                seen < wall
            ):  # those in between were skipped by the clock: the first minute after the gap stands for them
                seen += MINUTE
                if fits(seen):
                    found.add(number)
        return found


crons = st.tuples(
    st.lists(st.sampled_from([0, 15, 30, 59]), min_size=1, max_size=2, unique=True),
    st.one_of(st.just("*"), st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True)),
    st.one_of(st.just("*"), st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True)),
)
durations = st.sampled_from([1, 30, 60, 90, 8 * 60, 24 * 60, 25 * 60, 30 * 60])
window_fields = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(["deny", "deny", "allow"]),
        "cron": crons,
        "duration": durations,
        "targets": st.sampled_from([None, None, ("a",), ("b",), ("c",)]),
        "jobs": st.sampled_from([None, None, ("web",), ("here",)]),
        "requests": st.sampled_from(["allow", "deny"]),
        "blocked": st.sampled_from(["skip", "defer"]),
    }
)


def written(fields: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """As a document has it."""
    minutes, hours, weekdays = (part if part == "*" else ",".join(map(str, part)) for part in fields["cron"])
    spec: dict[str, Any] = {
        "effect": fields["effect"], "cron": f"{minutes} {hours} * * {weekdays}", "duration": f"{fields['duration']}m",
        "timeZone": zone, "requests": fields["requests"], "blocked": fields["blocked"],
    }  # fmt: skip
    return spec | {key: {"names": list(fields[key])} for key in ("targets", "jobs") if fields[key] is not None}


def open_minutes(fields: Mapping[str, Any], clock: Minutes) -> set[int]:
    minutes, hours, weekdays = fields["cron"]
    starts = clock.starts(
        minutes, range(24) if hours == "*" else hours, range(7) if weekdays == "*" else weekdays, hours == "*"
    )
    return {start + n for start in starts for n in range(fields["duration"])}


def blocking(
    windows: Mapping[str, Mapping[str, Any]], opened: Mapping[str, set[int]], subject: Subject, minute: int
) -> set[str]:
    """The names of the windows that block, by the words of the definitions."""
    found: set[str] = set()
    for place in subject.targets or {None}:
        concerned = {
            name: window for name, window in windows.items()
            if (window["jobs"] is None or subject.job in window["jobs"])
            and (window["targets"] is None or place in window["targets"])
        }  # fmt: skip
        strict = {name for name, window in concerned.items() if not subject.requested or window["requests"] == "deny"}
        found |= {name for name in strict if windows[name]["effect"] == "deny" and minute in opened[name]}
        allow = {name for name, window in concerned.items() if window["effect"] == "allow"}
        if allow and not any(minute in opened[name] for name in allow):
            found |= allow & strict
    return found


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_it_blocks_as_the_words_of_the_definitions_say(data: st.DataObject) -> None:
    zone, day = data.draw(st.sampled_from(ZONES))
    drawn = data.draw(st.lists(window_fields, min_size=1, max_size=3))
    windows = {f"w{number}": fields for number, fields in enumerate(drawn)}
    subject = data.draw(
        st.sampled_from(
            [WEB, Subject("here"), Subject("web", {}, frozenset("a")), Subject("web", {}, frozenset("ab"), True)]
        )
    )
    begin = at(f"{day}T00:00:00Z")
    clock = Minutes.of(zone, begin - timedelta(days=3), (DAYS + 3) * 1440)
    opened = {name: open_minutes(fields, clock) for name, fields in windows.items()}
    rules = Windows(catalog(**{name: written(fields, zone) for name, fields in windows.items()})).of(subject)
    minutes = range(3 * 1440, (DAYS + 3) * 1440)
    expected = {minute: blocking(windows, opened, subject, minute) for minute in minutes}
    free_from: dict[int, int | None] = {minutes.stop: None}
    for minute in reversed(minutes):
        free_from[minute] = free_from[minute + 1] if expected[minute] else minute
    for minute in minutes[:: data.draw(st.sampled_from([7, 29, 60]))]:
        instant = clock.start + minute * MINUTE
        found = rules.at(instant)
        assert set(found.windows if found else ()) == expected[minute], instant
        if found is not None:
            if (free := free_from[minute]) is not None:
                assert found.until == clock.start + free * MINUTE, instant
            else:
                assert found.until is None or found.until >= clock.start + minutes.stop * MINUTE
            skips = any(windows[name]["blocked"] == "skip" for name in expected[minute])
            assert found.action == ("skip" if skips else "defer")


def test_a_year_of_questions_is_answered_quickly_enough_to_ask_for_every_fire() -> None:
    """Cost is per opening, not per question: nothing is worked out twice."""
    rules = Windows(catalog(night=NIGHTLY)).of(WEB)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = [rules.at(start + timedelta(minutes=10) * n) for n in range(52_560)]
    assert sum(one is not None for one in found) == 365 * 48


def test_an_end_that_is_too_far_to_be_found_is_found_from_later_on() -> None:
    """By turns they are open for two days, each for a minute; what is asked at first must not answer for ever."""
    days = {"effect": "deny", "duration": "1m", "timeZone": "UTC"}
    turns = catalog(even={**days, "cron": "*/2 * 21,22 11 *"}, odd={**days, "cron": "1-59/2 * 21,22 11 *"})
    rules = Windows(turns).of(Subject("here"))
    first, later = rules.at(at("2026-11-21T00:00:30Z")), rules.at(at("2026-11-22T23:00:30Z"))
    assert first is not None
    assert later is not None
    assert (first.until, later.until) == (None, at("2026-11-23T00:00:00Z"))
