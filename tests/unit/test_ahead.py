"""The days ahead: bounded, and with what gets in each other's way."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.schedules.fires import upcoming
from opsconductor.dashboard.ahead import MOST, Change, Frequent, ahead, collisions, named_days
from tests.catalogs import catalog, local_target

WEEK = timedelta(days=7)
AUTUMN = datetime(2026, 10, 24, tzinfo=UTC)
TARGET = local_target("here")


def a_job(name: str, concurrency: str = "{}") -> str:
    spec = f"{{targets: {{names: [here]}}, concurrency: {concurrency}, steps: [{{run: 'true'}}]}}"
    return f"kind: Job\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def a_schedule(name: str, job: str, when: str) -> str:
    return f"kind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: {job}, {when}}}\n"


def test_what_is_due_too_often_is_counted() -> None:
    found = ahead(
        catalog(TARGET, a_job("a"), a_schedule("often", "a", "every: 10s"), a_schedule("daily", "a", "every: 1d")),
        AUTUMN,
        AUTUMN + WEEK,
    )
    assert [fire.schedule for fire in found.fires] == ["daily"] * 7
    assert found.frequent == (Frequent("often", 60_480, 60_480),)


@settings(deadline=None, max_examples=20)
@given(
    every=st.sampled_from(["4m", "217s"]),
    jitter=st.sampled_from(["0s", "90s", "10m"]),
    suspend=st.sampled_from(["false", "true", "{reason: rest, until: 2026-10-26T03:30:00Z}"]),
    window=st.sampled_from(
        [
            'effect: allow, cron: "15 */5 * * *", timeZone: UTC, duration: 47m',
            'effect: deny, cron: "0 3 * * 1-5", timeZone: Europe/Berlin, duration: 20h, blocked: defer',
            'effect: deny, cron: "*/7 * * * *", timeZone: UTC, duration: 2m',
        ]
    ),
    more=st.sampled_from(["", ", calendars: {except: [party]}"]),
)
def test_what_is_counted_is_what_would_be_found_one_by_one(
    every: str, jitter: str, suspend: str, window: str, more: str
) -> None:
    given_ = catalog(
        TARGET,
        a_job("a"),
        a_schedule("often", "a", f"every: {every}, jitter: {jitter}, suspend: {suspend}{more}"),
        f"kind: Window\nmetadata: {{name: w}}\nspec: {{{window}}}\n",
        "kind: Calendar\nmetadata: {name: party}\nspec: {dates: ['2026-10-26']}\n",
    )
    (found,) = ahead(given_, AUTUMN, AUTUMN + WEEK + timedelta(hours=1)).frequent
    every_one = upcoming(given_, AUTUMN, AUTUMN + WEEK)
    assert found.count == len(every_one)
    assert found.runs in (None, sum(one.decision == "run" for one in every_one))


def test_all_together_are_bounded_too() -> None:
    many = [a_schedule(f"s{number}", "a", "every: 5m") for number in range(4)]
    found = ahead(catalog(TARGET, a_job("a"), *many), AUTUMN, AUTUMN + WEEK)
    assert len(found.fires) <= MOST
    assert [one.schedule for one in found.frequent] == ["s2", "s3"]


def test_a_change_of_clocks_is_found_to_the_minute() -> None:
    berlin = a_schedule("berlin", "a", 'cron: "0 2 * * *", timeZone: Europe/Berlin')
    found = ahead(catalog(TARGET, a_job("a"), berlin), AUTUMN, AUTUMN + WEEK)
    assert found.changes == (Change("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), -60),)
    assert ahead(catalog(TARGET, a_job("a"), berlin), AUTUMN + WEEK, AUTUMN + 2 * WEEK).changes == ()


def test_a_group_with_room_is_no_collision() -> None:
    def clashes(concurrency: str, crowd: int = 10) -> list[tuple[str | None, int]]:
        documents = (a_job("a", concurrency), a_schedule("x", "a", "every: 1d"), a_schedule("y", "a", "every: 1d"))
        given = catalog(TARGET, *documents)
        found = ahead(given, AUTUMN, AUTUMN + timedelta(days=1))
        return [(one.group, len(one.schedules)) for one in collisions(given, found, crowd)]

    assert clashes("{group: g}") == [("g", 2)]
    assert clashes("{group: g, limit: 2}") == []
    assert clashes("{group: g, onConflict: allow}") == []
    assert clashes("{group: g, limit: 2}", crowd=1) == [(None, 2)]


def test_days_have_the_names_of_their_calendars() -> None:
    given = catalog("kind: Calendar\nmetadata: {name: party}\nspec: {dates: ['2026-10-26']}\n")
    found = named_days(given, AUTUMN.date(), 3, "UTC")
    assert list(found.values()) == [(), (), ("party",)]
