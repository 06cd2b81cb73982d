"""Cron text: what is read, and what is said about the rest."""

import pytest

from engine.times.cron import CronError, idle_steps, parse

REFUSED = [
    ("", 0, "empty", "five fields"),
    ("   ", 0, "empty", "five fields"),
    ("@daily", 0, "macro", '"0 0 * * *"'),
    ("@reboot", 0, "macro", "'at'"),
    ("0 0 2 * * *", 10, "six fields", "every: 30s"),
    ("0 0 * *", 0, "4 fields", "minute, hour"),
    ("0 0 * * * * *", 10, "7 fields", "minute, hour"),
    ("CRON_TZ=UTC 0 0 * * *", 0, "setting", "timeZone"),
    ("0 22-6 * * *", 2, "backward", "22-23,0-6"),
    ("5,50-10 * * * *", 2, "backward", "50-59,0-10"),
    ("0 0 * * FRI-SUN", 8, "backward", "5-7"),
    ("0 0 * NOV-FEB *", 6, "backward", "11-12,1-2"),
    ("60 * * * *", 0, "out of range", "0 to 59"),
    ("0 0 0 * *", 4, "out of range", "1 to 31"),
    ("0 0 * * 8", 8, "out of range", "0 to 7"),
    ("*/0 * * * *", 0, "step", "*/15"),
    ("*/x * * * *", 0, "step", "*/15"),
    ("0 0 L * *", 4, "not cron", "rrule"),
    ("0 0 15W * *", 4, "not cron", "rrule"),
    ("0 0 * * 5L", 8, "not cron", "rrule"),
    ("0 0 * * MON#2", 8, "not cron", "rrule"),
    ("0 0 ? * *", 4, "not cron", "write *"),
    ("H 0 * * *", 0, "not cron", "jitter"),
    ("0 0 * * Monday", 8, "not a name", "MON"),
    ("1,,2 * * * *", 2, "empty minute", "comma"),
    ("*-5 * * * *", 0, "no range", "1-5"),
    ("a * * * *", 0, "means nothing", "0 to 59"),
    ("-1 * * * *", 0, "means nothing", "0 to 59"),
    ("0 0 * * *\n", 8, "means nothing", "SUN"),
    ("٣ * * * *", 0, "means nothing", "0 to 59"),
    ("1" * 600, 0, "600 characters", "512"),
    ("9999999999 * * * *", 0, "means nothing", "0 to 59"),
]


@pytest.mark.parametrize(("text", "offset", "message", "hint"), REFUSED)
def test_what_is_not_five_field_cron_is_refused_with_a_hint(text: str, offset: int, message: str, hint: str) -> None:
    with pytest.raises(CronError) as found:
        parse(text)
    assert message in found.value.message
    assert hint in found.value.hint
    assert found.value.offset == offset


def test_fields_are_read() -> None:
    read = parse(" 5-15/5,40  9-17 1,15\tjan-MAR Mon-fri ")
    assert (read.minutes, read.hours, read.days) == ((5, 10, 15, 40), tuple(range(9, 18)), (1, 15))
    assert (read.months, read.weekdays) == ((1, 2, 3), (1, 2, 3, 4, 5))
    assert not read.elapsed
    assert parse("0 */2 * * 0,7").elapsed
    assert parse("0 */2 * * 0,7").weekdays == (0,)
    assert parse("10/20 0 * * *").minutes == (10, 30, 50)


def test_only_a_bare_star_leaves_a_day_field_open() -> None:
    assert (parse("0 0 * * 1").days, parse("0 0 1 * *").weekdays) == (None, None)
    assert parse("0 0 */1 * 1").days == tuple(range(1, 32))
    assert parse("0 0 1 * *,1").weekdays == tuple(range(7))


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("*/100 * * * *", [("*/100", 0, 0)]),
        ("5,10/50 */24 * * *", [("10/50", 2, 10), ("*/24", 8, 0)]),
        ("0 0 */31 JAN-MAR/3 */7", [("*/31", 4, 1), ("JAN-MAR/3", 9, 1), ("*/7", 19, 0)]),
        ("*/59 */23 */30 */11 */6", []),
        ("59/1 0-0/1 * * 0-6/6", []),
    ],
)
def test_steps_that_are_never_taken_are_found(text: str, idle: list[tuple[str, int, int]]) -> None:
    assert [(step.item, step.offset, step.value) for step in idle_steps(text)] == idle
