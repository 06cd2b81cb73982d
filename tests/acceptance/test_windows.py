"""Calendars and windows hold runs back in a real engine, and let them go again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tests.acceptance.site import Site, instant, job, schedule, soon

Make = Callable[..., Site]
QUICK = job("quick", "- run: 'true'")
LONG = job("long", "- {run: sleep 120, timeout: 3m}")


def window(name: str, seconds: float, rest: str, *, begins: float = -60) -> str:
    """A deny window that begins in so many seconds, and ends in so many."""
    return (
        f"apiVersion: opsconductor/v1\nkind: Window\nmetadata: {{name: {name}}}\n"
        f"spec: {{effect: deny, from: {soon(begins)}, until: {soon(seconds)}, {rest}}}\n"
    )


def of_cause(site: Site, name: str) -> list[Any]:
    return [run for run in site.runs() if run["spec"]["cause"]["name"] == name]


def decisions(site: Site, day: datetime) -> list[Any]:
    """The skips of a day, once there are any."""
    path = f"decisions/{day:%Y/%m/%d}.yaml"
    found: list[Any] = yaml.safe_load(site.wait(lambda: site.text(path), what="skips"))["decisions"]
    return found


def test_what_a_window_puts_off_starts_when_it_ends(site: Make) -> None:
    """One that it skips is skipped, and says so."""
    due, end = soon(10), soon(16)
    here = site({
        "quick.yaml": QUICK,
        "defer.yaml": schedule("defer", "quick", f"at: {due}"),
        "w.yaml": window("w", 16, "jobs: {names: [quick]}, blocked: defer"),
        "other.yaml": QUICK.replace("quick", "other"),
        "skip.yaml": schedule("skip", "other", f"at: {due}"),
        "v.yaml": window("v", 60, "jobs: {names: [other]}"),
    })  # fmt: skip
    here.up()
    (run,) = here.ended("quick")
    assert instant(run["spec"]["cause"]["instant"]) == instant(due)
    assert instant(run["status"]["startedAt"]) >= instant(end)
    assert here.runs("other") == []
    (skipped,) = decisions(here, instant(due))
    assert (skipped["schedule"], skipped["reason"]) == ("skip", "window")


def test_a_run_under_way_is_cancelled_where_the_window_says_so(site: Make) -> None:
    """The other goes on, and a request that comes in the window is refused with its end."""
    here = site({"long.yaml": LONG, "quick.yaml": QUICK, "other.yaml": LONG.replace("long", "other")})
    here.up()
    here.in_force()
    for name in ("long", "other"):
        here.request(f"ask-{name}", f"jobRef: {name}")
    here.wait(lambda: [run["status"]["state"] for run in here.runs()] == ["running"] * 2, what="two runs")
    here.commit({
        "definitions/w.yaml": window("w", 600, "jobs: {names: [long, quick]}, requests: deny, running: cancel"),
        "definitions/v.yaml": window("v", 600, "jobs: {names: [other]}, requests: deny, running: finish"),
    })  # fmt: skip
    (run,) = here.ended("long")
    assert (run["status"]["state"], run["status"]["reason"]) == (
        "cancelled",
        "Window/w: no run may go on (running: cancel)",
    )
    here.request("ask-quick", "jobRef: quick")
    answer = here.wait(lambda: here.status("requests/ask-quick.yaml"), what="an answer")
    assert (answer["state"], answer["reason"]) == ("refused", "window")
    assert [run["status"]["state"] for run in here.runs("other")] == ["running"]
    here.request("end-other", f"action: cancel, run: {here.runs('other')[0]['metadata']['name']}")
    here.ended("other")


def test_a_window_that_is_taken_away_lets_go_what_it_held(site: Make) -> None:
    here = site({
        "quick.yaml": QUICK,
        "defer.yaml": schedule("defer", "quick", f"at: {soon(10)}"),
        "w.yaml": window("w", 3600, "blocked: defer"),
    })  # fmt: skip
    here.up()
    (waiting,) = here.wait(lambda: here.runs("quick"), what="a run that waits")
    assert waiting["status"]["state"] == "waiting"
    here.commit({"definitions/w.yaml": None})
    (run,) = here.ended("quick")
    assert run["status"]["state"] == "succeeded"


def test_a_calendar_file_keeps_a_schedule_from_its_days(site: Make) -> None:
    """`next`, `why` and the decisions agree."""
    today = datetime.now(UTC)
    days = "\r\n".join([
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:1",
        f"DTSTART;VALUE=DATE:{today:%Y%m%d}", f"DTEND;VALUE=DATE:{today + timedelta(days=2):%Y%m%d}",
        "END:VEVENT", "END:VCALENDAR", "",
    ])  # fmt: skip
    calendar = (
        "apiVersion: opsconductor/v1\nkind: Calendar\nmetadata: {name: freeze}\nspec: {ics: calendars/days.ics}\n"
    )
    here = site({
        "quick.yaml": QUICK,
        "freeze.yaml": calendar,
        "s.yaml": schedule("s", "quick", "every: 1s, calendars: {except: [freeze]}"),
        "only.yaml": schedule("only", "quick", "every: 2s, calendars: {only: [freeze]}"),
        "calendars/days.ics": days,
    })  # fmt: skip
    here.up()
    here.wait(lambda: of_cause(here, "only"), what="a run on a day of the calendar")
    (skipped,) = decisions(here, today)
    assert (skipped["schedule"], skipped["reason"]) == ("s", "calendar")
    assert of_cause(here, "s") == []
    here.daemons[0].stop()
    here.pulled()
    fires = here.json("next", "--within", "3s", "-o", "json")["fires"]
    assert {(one["schedule"], one["reason"], *one["heldBy"]) for one in fires} == {
        ("s", "calendar", "Calendar/freeze"),
        ("only", None),
    }
    last = here.json("why", "s", "-o", "json")
    assert "its calendars leave this day out: Calendar/freeze" in str(last)


pytestmark = pytest.mark.slow
