"""The pages of jobs, over HTTP: what a job did, what starts it, when; one engine serves them all."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.site import HERE, Site, job, prepared, schedule, soon
from tests.acceptance.test_dashboard import Pages, pages_of

NASTY = job("nasty", "- {id: talk, run: 'echo \"<b>no\" >&2; exit 3'}", "params: {who: {type: string, default: a}}")
GREET = job("greet", "- {id: greet, run: 'echo hello; echo world'}", "concurrency: {group: greetings}")
YEARLY = schedule("yearly", "greet", 'cron: "0 2 1 1 *", timeZone: Europe/Berlin')
TIDY = job("tidy", "- {id: tidy, run: 'true'}", "concurrency: {group: greetings}")
# From tomorrow on: no run of theirs may come between.
TOMORROW = soon(86_400)
HOURLY = schedule("hourly", "tidy", f'cron: "59 * * * *", timeZone: Europe/Berlin, startAt: {TOMORROW}')
TOO = schedule("hourly-too", "tidy", f'cron: "59 * * * *", timeZone: UTC, startAt: {TOMORROW}')
OFTEN = schedule("often", "tidy", f"every: 1m, startAt: {TOMORROW}")
CLOSED = """
    apiVersion: opsconductor/v1
    kind: Window
    metadata: {name: closed}
    spec: {effect: deny, cron: "0 3 * * *", duration: 2h, timeZone: Europe/Berlin, jobs: {names: [nasty, tidy]}}
"""
CHATTY = job(
    "chatty",
    """
    - id: talk
      run: 'i=0; while [ $i -lt 40 ]; do echo "line $i"; i=$((i+1)); done; echo; echo "failed: $$"; [ -f "$T/go" ]'
      env: {T: "${{ params.folder }}"}
      retry: {maxAttempts: 100, delay: 1s}
    """,
    "params: {folder: {type: string, required: true}}",
)
TOLD = """
    apiVersion: opsconductor/v1
    kind: NotificationChannel
    metadata: {name: chat}
    spec: {type: slack, url: "https://chat.example.org/hook"}
    ---
    apiVersion: opsconductor/v1
    kind: NotificationRule
    metadata: {name: third}
    spec: {events: [run.failed], select: {names: [nasty]}, when: {consecutiveFailures: 9}, channels: [chat]}
    ---
    apiVersion: opsconductor/v1
    kind: NotificationRule
    metadata: {name: web}
    spec: {events: [run.failed], select: {selector: {matchLabels: {team: web}}}, channels: [chat]}
"""
AFTER = """
    apiVersion: opsconductor/v1
    kind: Trigger
    metadata: {name: after-nasty}
    spec: {event: {run: {jobs: [nasty], states: [timedOut]}}, jobRef: greet}
"""
FLOW = """
    apiVersion: opsconductor/v1
    kind: Workflow
    metadata: {name: flow, labels: {team: web}}
    spec: {jobs: {one: {jobRef: greet}, two: {jobRef: greet, needs: [one]}}}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("pages")) as site:
        documents = {"here.yaml": HERE, "nasty.yaml": NASTY, "greet.yaml": GREET, "yearly.yaml": YEARLY}
        documents |= {
            "tidy.yaml": TIDY,
            "hourly.yaml": HOURLY,
            "too.yaml": TOO,
            "often.yaml": OFTEN,
            "closed.yaml": CLOSED,
        }
        site.create({**documents, "after.yaml": AFTER, "flow.yaml": FLOW, "chatty.yaml": CHATTY, "told.yaml": TOLD})
        site.up("--dashboard", "127.0.0.1:0")
        site.asked("first", "jobRef: greet")
        site.asked("second", "jobRef: nasty")
        site.commit({"greet.yaml": GREET.replace("echo world", "echo moon")})
        site.in_force()
        site.asked("third", "jobRef: greet")
        site.asked("fourth", "workflowRef: flow")
        site.asked("fifth", "jobRef: nasty, params: {who: b}")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def test_a_job_says_how_it_did_and_what_starts_it(here: Site, pages: Pages) -> None:
    found, page = pages.data("/api/v1/jobs/greet"), pages.page("/jobs/greet")

    assert found["inARow"]["count"] == 4
    assert found["sentence"].startswith("It succeeded the last 4 times, usually it takes ")
    assert [rate["share"] for rate in found["rates"]] == [1.0, 1.0, 1.0]
    assert [bar["changed"] for bar in found["trend"]["bars"]] == [False, True, False, False]
    assert [one["schedule"] for one in found["schedules"]] == ["yearly"]
    assert [one["on"] for one in found["triggers"]] == ["a run of nasty that ended timedOut"]
    assert found["workflows"] == ["flow"]
    assert found["next"][0]["local"].endswith("-01-01T02:00:00+01:00")
    assert (found["group"]["name"], found["group"]["limit"], found["group"]["open"]) == ("greetings", 1, [])
    assert found["definition"]["commit"] == here.head("main")
    assert any("echo moon" in line["text"] for line in found["definition"]["lines"])
    for shown in ("yearly", "echo moon", 'href="/workflows/flow"', *(one["run"] for one in found["runs"])):
        assert shown in page


def test_a_job_that_fails_says_where(here: Site, pages: Pages) -> None:
    found = pages.data("/api/v1/jobs/nasty")

    assert found["sentence"].startswith("It failed the last 2 times")
    assert [(one["target"], one["step"], one["error"]) for one in found["failures"]] == [
        ("here", "talk", "exit code 3")
    ] * 2
    assert "talk on here: exit code 3" in pages.page("/jobs/nasty")
    assert "&lt;b&gt;no" in pages.page("/jobs/nasty")
    assert {one["why"] for one in found["runs"]} == {"talk on here: exit code 3"}


def test_a_target_says_why_runs_did_not_end_well_on_it(here: Site, pages: Pages) -> None:
    whys = {one["why"] for one in pages.data("/api/v1/targets/here")["beats"] if one["job"] == "nasty"}
    assert whys == {"talk: exit code 3"}
    assert "talk: exit code 3" in pages.page("/targets/here")


def test_a_job_says_who_would_be_told_if_it_failed_now(here: Site, pages: Pages) -> None:
    assert pages.data("/api/v1/jobs/greet")["told"] == []
    (flow,) = pages.data("/api/v1/workflows/flow")["told"]
    assert flow == {
        "rule": "web", "schedule": None, "tells": True, "channel": "chat", "user": None, "users": [], "byRule": True,
        "heldUntil": None,
    }  # fmt: skip
    (nasty,) = pages.data("/api/v1/jobs/nasty")["told"]
    assert (nasty["rule"], nasty["tells"]) == ("third", False)
    assert nasty["because"] == "it tells from 9 failures in a row on, and this would be number 3"
    assert 'href="/kinds/NotificationChannel/chat"' in pages.page("/workflows/flow")


def test_a_workflow_has_such_a_page_too(here: Site, pages: Pages) -> None:
    found = pages.data("/api/v1/workflows/flow")
    assert (found["workflow"], found["inARow"]["count"], found["labels"]) == (True, 1, {"team": "web"})
    assert [(node["id"], node["needs"], node["href"]) for node in found["graph"]] == [
        ("one", [], "/jobs/greet"),
        ("two", ["one"], "/jobs/greet"),
    ]
    page = pages.page("/workflows/flow")
    assert '<svg class="graph"' in page and page.count('<a href="/jobs/greet">') == 4
    assert pages.data("/api/v1/jobs/greet")["graph"] == [] and '<svg class="graph"' not in pages.page("/jobs/greet")
    assert pages.ask("/jobs/flow")[0] == 404
    assert pages.ask("/workflows/greet")[0] == 404


def test_the_list_of_runs_goes_on_before_a_run(here: Site, pages: Pages) -> None:
    runs = [one["run"] for one in pages.data("/api/v1/jobs/greet")["runs"]]
    older = pages.data(f"/api/v1/jobs/greet?before={runs[0]}")
    assert [one["run"] for one in older["runs"]] == runs[1:]
    assert pages.data("/api/v1/jobs/greet?before=nosuch")["runs"] == []


def grid(pages: Pages, query: str = "") -> dict[str, Any]:
    return {row["job"]: row for row in pages.data(f"/api/v1/grid{query}")["rows"]}


def test_the_grid_has_a_mark_for_each_run(here: Site, pages: Pages) -> None:
    rows, page = grid(pages), pages.page("/grid")

    assert {name: row["last"] for name, row in rows.items()} == {
        "flow": "succeeded",
        "greet": "succeeded",
        "nasty": "failed",
    }
    assert [cell["changed"] for cell in rows["greet"]["cells"]] == [False, True, False, False]
    assert [cell["x"] for cell in rows["greet"]["cells"]] == sorted(cell["x"] for cell in rows["greet"]["cells"])
    assert "1 of the 3 jobs that ran in these 24h failed the last time: nasty." in page
    for row in rows.values():
        for cell in row["cells"]:
            assert len(re.findall(f'href="/runs/{cell["run"]}"', page)) == 2, "in the drawing and in the table"


def test_the_grid_is_filtered_by_its_address(here: Site, pages: Pages) -> None:
    assert set(grid(pages, "?name=GREE")) == {"greet"}
    assert set(grid(pages, "?label=team=web")) == {"flow"}
    assert set(grid(pages, "?label=team=db")) == set()
    assert set(grid(pages, "?state=failed")) == {"nasty"}
    assert set(grid(pages, "?range=6h&until=2026-01-01T00:00:00Z")) == set()
    before = pages.data("/api/v1/grid?range=6h&until=2026-01-01T00:00:00Z")
    assert {one["job"] for one in before["quiet"]} == {"chatty", "flow", "greet", "nasty", "tidy"}


@pytest.mark.parametrize(
    "query",
    [
        "range=1h",
        "state=green",
        "page=0",
        "page=x",
        "until=now",
        "until=0001-01-01T00:00:00Z",
        "until=9999",
        "until=9999-12-31T23:59:59Z",
        "until=2500-01-01T00:00:00Z",
    ],
)
def test_a_query_that_means_nothing_is_told(pages: Pages, query: str) -> None:
    status, _, text = pages.ask(f"/grid?{query}")
    assert status == 400
    assert f"'{query.partition('=')[0]}' is" in text


@pytest.mark.parametrize("at", ["9999", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2500-01-01T00:00:00Z"])
def test_no_list_begins_after_all_that_is_looked_ahead_to(here: Site, pages: Pages, at: str) -> None:
    for base in ("", "/api/v1"):
        status, _, text = pages.ask(f"{base}/schedule?from={at}", Accept="text/html")
        assert (status, "'from' is an instant" in text.replace("&#39;", "'")) == (400, True), text
    assert pages.ask("/schedule?from=2001-01-01T00:00:00Z")[0] == 200


def test_the_week_ahead_is_a_map_and_a_list(here: Site, pages: Pages) -> None:
    found, page, after = None, "", pages.data("/api/v1/schedule?zone=Europe/Berlin")
    while found is None or found["at"][:16] != after["at"][:16]:  # both of one minute: the week begins with it
        found, page = after, pages.page("/schedule?zone=Europe/Berlin")
        after = pages.data("/api/v1/schedule?zone=Europe/Berlin")

    assert len(found["week"]) in (7, 8), "a week that does not begin at midnight touches eight days"
    assert all([one["hour"] for one in day["hours"]] == list(range(24)) for day in found["week"])
    hourly = [one for one in found["fires"] if one["schedule"] == "hourly"]
    assert hourly and all(one["starts"] == {"kind": "job", "name": "tidy"} for one in hourly)
    counted = sum(one["runs"] + one["skipped"] for day in found["week"] for one in day["hours"])
    assert 7 * 24 - 24 <= counted == found["count"], "the map has what the list has"
    (often,) = found["frequent"]
    assert (often["schedule"], 7 * 24 * 60 - often["count"] - 24 * 60 <= 60) == ("often", True)  # it starts tomorrow
    assert 5 * 120 <= often["count"] - often["runs"] <= 6 * 120 + 60  # a window keeps out two hours of each day
    runs, skipped = map(int, re.findall(r"(\d+) (?:runs|instants) are", found["sentence"]))
    assert runs + skipped == found["count"] + often["count"]
    assert (
        f"often</a> ({often['count']} times in a week, of which {often['count'] - often['runs']} are skipped)" in page
    )
    until = datetime.fromisoformat(found["at"]) + timedelta(days=7)
    begin = datetime.fromisoformat(TOMORROW)
    first = begin.replace(minute=59, second=0) + timedelta(hours=begin.minute == 59 and begin.second > 0)
    assert found["count"] == 2 * -((first - until) // timedelta(hours=1)), "two an hour, in what is left of the week"
    assert all(datetime.fromisoformat(one["instant"]) < until for one in hourly)
    assert found["collisions"][0] | {"minute": ""} == {
        "minute": "",
        "group": "greetings",
        "places": 1,
        "schedules": ["hourly", "hourly-too"],
        "count": 2,
    }
    assert any("closed" in one["windows"] for day in found["week"] for one in day["hours"])
    assert "often" in page and "hourly" in page and "which has 1 place" in page


def test_the_week_ahead_is_narrowed_by_its_address(here: Site, pages: Pages) -> None:
    narrowed = pages.data("/api/v1/schedule?name=TOO")
    assert {one["schedule"] for one in narrowed["fires"]} == {"hourly-too"} and narrowed["frequent"] == []
    all_ = pages.data("/api/v1/schedule")
    later = pages.data(f"/api/v1/schedule?from={all_['later']}")
    assert later["fires"][0]["instant"] == all_["later"]
    assert pages.ask("/schedule?zone=Mars/Olympus")[0] == 400
    assert pages.ask("/schedule?crowd=0")[0] == 400


def test_the_week_ahead_as_a_calendar_file(here: Site, pages: Pages) -> None:
    status, headers, text = pages.ask("/schedule.ics?name=too")
    assert (status, headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert text.startswith("BEGIN:VCALENDAR\r\n") and text.endswith("END:VCALENDAR\r\n")
    assert text.count("BEGIN:VEVENT") == text.count("SUMMARY:tidy\r\n") > 100
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "CALDESC" not in text  # nothing is missing
    # A calendar that takes it in again knows each entry by its UID: the schedule and the instant, and nothing else.
    fires = [one for one in pages.data("/api/v1/schedule?name=too")["fires"] if one["decision"] == "run"]
    uids = [uid for entry in _unfolded(text).split("BEGIN:VEVENT")[1:] for uid in re.findall("UID:(.*)\r\n", entry)]
    assert len(set(uids)) == len(uids)
    due = {f"hourly-too-{re.sub('[-:]', '', one['instant'])}@opsconductor" for one in fires}
    assert len(due - set(uids)) <= 1, "the hour may have changed between the two"
    whole = _unfolded(pages.ask("/schedule.ics")[2])
    assert whole.count("SUMMARY:Not in this calendar\r\n") == 1
    assert "X-WR-CALDESC:Without entries\\, as there are too many: schedule often: due " in whole


def test_a_run_says_what_is_new_about_it(here: Site, pages: Pages) -> None:
    first, third = (run["metadata"]["name"] for run in here.runs("greet")[:2])
    found = pages.data(f"/api/v1/runs/{third}")["shown"]
    new = found["difference"]
    assert (new["run"], new["changed"], new["added"], new["params"]) == (first, ["greet"], [], [])
    assert new["commit"]["now"] == here.head("main")
    assert pages.data(f"/api/v1/runs/{first}")["shown"]["difference"] is None

    fifth = here.runs("nasty")[-1]["metadata"]["name"]
    assert pages.data(f"/api/v1/runs/{fifth}")["shown"]["difference"]["params"] == [
        {"name": "who", "before": "a", "now": "b"}
    ]
    assert "param who" in pages.page(f"/runs/{fifth}")


def test_a_run_shows_the_definition_of_its_own_commit(here: Site, pages: Pages) -> None:
    first, third = (run["metadata"]["name"] for run in here.runs("greet")[:2])
    old, new = (pages.data(f"/api/v1/runs/{name}")["shown"]["definition"] for name in (first, third))
    assert (old["same"], new["same"]) == (False, True)
    assert any("echo world" in line["text"] for line in old["lines"])
    assert "today it reads otherwise" in pages.page(f"/runs/{first}")


def test_a_run_is_drawn_over_time_and_by_targets(here: Site, pages: Pages) -> None:
    name = here.runs("nasty")[-1]["metadata"]["name"]
    found = pages.data(f"/api/v1/runs/{name}")["shown"]
    (bar,) = found["timeline"]["rows"]["here"]["bars"]
    assert (bar["step"], bar["attempt"], bar["state"]) == ("talk", 1, "failed")
    assert 0 <= found["timeline"]["waited"] <= bar["x"] <= bar["x"] + bar["width"] <= 101
    assert found["matrix"] == {
        "steps": ["talk"],
        "rows": [{"name": "here", "state": "failed", "states": ["failed"]}],
        "more": 0,
    }
    assert "echo" in found["given"]["text"] and found["given"]["place"] == "here"
    assert [place["name"] for place in pages.data(f"/api/v1/runs/{name}?only=failed")["shown"]["places"]] == ["here"]
    assert pages.data(f"/api/v1/runs/{name}?target=nosuch")["shown"]["places"] == []
    good = here.runs("greet")[0]["metadata"]["name"]
    assert pages.data(f"/api/v1/runs/{good}?only=failed")["shown"]["places"] == []
    assert pages.ask(f"/runs/{name}?only=green")[0] == 400


def test_a_workflows_run_is_drawn_as_its_graph(here: Site, pages: Pages) -> None:
    name = here.runs("flow")[-1]["metadata"]["name"]
    nodes = pages.data(f"/api/v1/runs/{name}")["shown"]["nodes"]
    page = pages.page(f"/runs/{name}")
    assert [(node["id"], node["needs"], node["state"]) for node in nodes] == [
        ("one", [], "succeeded"),
        ("two", ["one"], "succeeded"),
    ]
    assert '<svg class="graph"' in page
    for node in nodes:
        assert f'<a href="/runs/{node["runs"][0]}">' in page


def test_a_log_has_its_attempts_and_groups_and_is_followed_while_it_grows(here: Site, pages: Pages) -> None:
    """The API gives what comes from a line on, which is what the page asks for until the run has ended."""
    here.request("chatty", f"jobRef: chatty, params: {{folder: {here.effects}}}")
    name = here.answered("chatty", "accepted", "done")["run"]
    log = f"/runs/{name}/log?target=here&step=talk"

    def begun() -> Any:
        status, _, text = pages.ask(f"/api/v1{log}")
        return status == 200 and len(json.loads(text)["attempts"]) >= 2

    here.wait(begun, what="a second attempt")
    page = pages.page(log)
    assert "data-follows=" in page and "/static/log.js" in page
    first = pages.data(f"/api/v1{log}&attempt=1")
    assert (first["window"]["total"], first["window"]["error"], len(first["groups"])) == (42, 42, 2)
    assert "41 lines from 1" in pages.page(f"{log}&attempt=1")
    from_there = pages.data(f"/api/v1{log}&attempt=1&line=41")["window"]["lines"]
    assert [line["number"] for line in from_there] == [41, 42]
    (here.effects / "go").touch()
    here.wait(lambda: here.run_file(name)["status"]["state"] == "succeeded", what="its end")
    assert pages.data(f"/api/v1{log}")["ended"] is True
    assert "data-follows=" not in pages.page(log)
    assert pages.data(f"/api/v1{log}&attempt=999")["window"] is None
    assert pages.ask(f"{log}&attempt=x")[0] == 400


def _unfolded(text: str) -> str:
    return text.replace("\r\n ", "")
