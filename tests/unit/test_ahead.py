"""The days ahead: bounded, and with what gets in each other's way."""

from datetime import UTC, datetime, timedelta

from opsconductor.dashboard.ahead import MOST, Change, ahead, collisions, named_days
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
    assert [(one.schedule, one.count) for one in found.frequent] == [("often", 60_480)]


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
