"""Documents may name any year from 1 to 9999: what decides or shows what is due trips over none of them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.changes.plan import plan
from engine.compile import Compiled
from engine.identity import Cause, compact, run_id
from engine.schedules.admission import Admissions
from engine.schedules.decide import ScheduleClock, decide
from engine.schedules.fires import dropped, upcoming
from engine.schedules.standing import opens
from engine.schedules.why import Definition, Known, answer
from engine.status.readmodel import run_path
from engine.times import calendarfile, recurrence
from runners.logs import reference
from schemas.quantities import parse_instant
from tests.catalogs import PROJECT
from tests.planned import schedule, tree

WORK = "kind: Job\nmetadata: {name: work}\nspec: {steps: [{uses: dummy}]}\n"
CALENDARS = (
    'kind: Calendar\nmetadata: {name: dates}\nspec: {dates: ["0001-01-01", "2028-01-01", "9999-12-31"]}\n',
    "kind: Calendar\nmetadata: {name: rules}\nspec: {rrules: ['FREQ=YEARLY;BYMONTHDAY=1,-1']}\n",
    "kind: Calendar\nmetadata: {name: holidays}\nspec: {holidays: {country: DE}}\n",
)
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
INSTANTS = (
    FIRST, "0001-01-02T12:00:00Z", "0019-12-31T23:59:59Z", "0020-01-01T00:00:00Z", "0030-06-01T00:00:00Z",
    "1000-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "9969-06-01T00:00:00Z", "9979-12-31T23:59:59Z",
    "9980-01-01T00:00:00Z", "9990-01-01T00:00:00Z", LAST, "9999-12-31T23:59:59.999999Z",
)  # fmt: skip
ZONES = ("UTC", "Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago")
CLOCKS = (
    'cron: "0 3 * * *"', 'cron: "0 0 29 2 *"', 'cron: "30 */2 1 1 *"', 'rrule: "FREQ=DAILY"', 'rrule: "FREQ=YEARLY"',
    'rrule: "FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=MO,SU;BYSETPOS=1"', 'rrule: "FREQ=YEARLY;BYWEEKNO=1,53,-1;WKST=SU"',
    'rrule: "FREQ=MONTHLY;BYMONTHDAY=-1"', 'rrule: "FREQ=HOURLY;INTERVAL=7"', 'rrule: "FREQ=DAILY;COUNT=5"',
    'rrule: "FREQ=DAILY;UNTIL=00010101T000000Z"', 'rrule: "FREQ=DAILY;UNTIL=00010101"',
    'rrule: "FREQ=DAILY;UNTIL=99991231"',
    'rrule: "FREQ=DAILY\\nEXDATE:00010101,99991231,00010101T000000Z,99991231T235959Z"',
)  # fmt: skip
instants = st.sampled_from(INSTANTS)
clocks = st.one_of(
    st.builds("{}, timeZone: {}".format, st.sampled_from(CLOCKS), st.sampled_from(ZONES)),
    st.sampled_from(["every: 1h", "every: 3660d"]),
    st.builds('at: "{}"'.format, instants),
)
extras = st.lists(
    st.one_of(
        st.builds('startAt: "{}"'.format, instants),
        st.builds('endAt: "{}"'.format, instants),
        st.builds('suspend: {{until: "{}"}}'.format, instants),
        st.builds("calendars: {{{}: [{}]}}".format, st.sampled_from(["only", "except"]),
                  st.sampled_from(["dates", "rules", "holidays"])),
        st.sampled_from(["jitter: 3660d", "jitter: 1h", "catchUp: {policy: all, window: 3660d}",
                         "dst: {gap: skip, fold: both}"]),
    ),
    max_size=4,
    unique_by=lambda text: text.partition(":")[0],
).map(", ".join)  # fmt: skip
opened = st.one_of(
    st.tuples(instants, instants)
    .filter(lambda pair: parse_instant(pair[0]) < parse_instant(pair[1]))
    .map(lambda pair: f'from: "{pair[0]}", until: "{pair[1]}"'),
    st.builds('cron: "0 3 1 1 *", duration: {}, timeZone: {}'.format, st.sampled_from(["1d", "3660d"]),
              st.sampled_from(ZONES)),
)  # fmt: skip
windows = st.lists(
    st.builds("effect: {}, {}, blocked: {}".format, st.sampled_from(["deny", "allow"]), opened,
              st.sampled_from(["skip", "defer"])),
    max_size=2,
)  # fmt: skip


def window(name: str, spec: str) -> str:
    return f"kind: Window\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def asked(compiled: Compiled, now: datetime) -> None:
    """All that is asked about a schedule at an instant; that it is answered at all is the promise."""
    catalog = compiled.catalog
    assert catalog is not None, compiled.findings
    spec, admissions, hour = catalog.schedules["s"].spec, Admissions(catalog), timedelta(hours=1)
    end = now if now > parse_instant("9999-01-01T00:00:00Z") else now + hour
    for fire in upcoming(catalog, now, end):
        assert recurrence.is_within(fire.instant)
    dropped(catalog, now, end)
    definition = Definition(catalog.schedules["s"], "c", admission=admissions.of("s"))
    answer(Known("s", now, definition, published=False), now)
    recurrence.next_due(spec, now)
    admissions.windows.of_schedule(catalog.schedules["s"]).change_after(now)
    if recurrence.is_within(now):  # what a machine's clock can show
        plan(tree(WORK, *CALENDARS), compiled, now, hour, names=("a", "b"))
        opens(admissions.windows.of_schedule(catalog.schedules["s"]), now)
        for since in (now - 3 * hour, now - 1_000 * hour):
            decide("s", spec, ScheduleClock(since), now, admission=admissions.of("s"))


@settings(max_examples=70, deadline=None, derandomize=True)
@given(clocks, extras, windows, instants, st.sampled_from(ZONES))
def test_whatever_years_the_documents_name_what_is_due_is_told(
    clock: str, extra: str, drawn: list[str], now: str, zone: str
) -> None:
    shut = (window(f"w{number}", spec) for number, spec in enumerate(drawn))
    text = schedule("s", "work", f"{clock}, {extra}" if extra else clock)
    project = PROJECT.replace("spec: {}", f"spec: {{defaults: {{timeZone: {zone}}}}}")
    asked(tree(WORK, text, *shut, *CALENDARS, project=project), parse_instant(now))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_start_in_the_first_year_is_one_that_was_long_ago(clock: str, zone: str) -> None:
    for ends in (f', startAt: "{FIRST}"', f', startAt: "{LAST}"', f', endAt: "{FIRST}"', f', endAt: "{LAST}"'):
        compiled = tree(WORK, schedule("s", "work", f"{clock}, timeZone: {zone}{ends}"), *CALENDARS)
        assert compiled.catalog is not None


def test_a_window_over_all_years_shuts_everything_out_and_says_so() -> None:
    compiled = tree(
        WORK, schedule("s", "work", "every: 1h"), window("w", f'effect: deny, from: "{FIRST}", until: "{LAST}"')
    )
    assert compiled.catalog is not None
    assert [found.code for found in compiled.findings] == ["OC506"]
    start = parse_instant("2028-01-01T00:00:00Z")
    assert {fire.reason for fire in upcoming(compiled.catalog, start, start + timedelta(hours=3))} == {"window"}


@pytest.mark.parametrize(
    "when", [f'at: "{LAST}"', f'at: "{FIRST}"', f'every: 1h, startAt: "{LAST}"', f'every: 1h, endAt: "{FIRST}"']
)
def test_a_schedule_in_years_in_which_nothing_is_due_is_told_so(when: str) -> None:
    (found,) = tree(WORK, schedule("s", "work", when)).findings
    assert (found.code, found.severity) == ("OC504", "warning")
    assert found.message == "schedules are due in the years 20 to 9979 only: this one never fires"


def test_the_weeks_of_the_first_year_are_those_of_a_calendar_that_repeats_after_400_years() -> None:
    text = "FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=SU,MO;WKST=SU"

    def found(year: int) -> list[date]:
        first, last = datetime(year, 1, 1), datetime(year, 12, 31)  # noqa: DTZ001 -- wall times
        return [wall.date() for wall in recurrence.rulewalls.walls_of(text, first).after(first, last)]

    assert [day.replace(year=401) for day in found(1)] == found(401)


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("until", ["00010101T000000Z", "99991231T235959Z"])
def test_an_icalendar_file_may_name_any_year(zone: str, until: str) -> None:
    lines = f"DTSTART;TZID={zone}:00010101T000000", f"RRULE:FREQ=DAILY;UNTIL={until}"
    text = "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", "END:VCALENDAR", ""])
    assert calendarfile.read(text.encode()).holds(date(2028, 1, 1), "UTC") == until.startswith("9999")


def test_the_names_of_runs_and_files_have_years_of_four_digits() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    run = run_id("job", Cause("request", "act", first))
    assert compact(first) == "00010101T000000Z"
    assert run_path(run, first) == f"runs/0001/01/01/{run}.yaml"
    assert reference(run, first, "web", "steps", "one", 1).startswith(f"0001/01/01/{run}/")
