"""The dashboard of a running engine, over HTTP as a browser and a probe would ask; one engine serves most of these."""

import http.client
import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from opsconductor.dashboard.app import MOST_FOLLOWING
from tests.acceptance.site import HERE, Site, job, prepared, schedule

HOSTILE = "<script>alert(1)</script>\\033]0;title\\007\\033[31mred\\033[0m error: no"
NASTY = job(
    "nasty",
    f'- {{id: talk, run: \'printf "{HOSTILE}\\n"; printf "{HOSTILE}\\n" >&2; exit 3\'}}',
    "params: {who: {type: string, default: '<img src=x onerror=alert(1)>'}}",
)
GREET = job("greet", "- {id: greet, run: 'echo hello; echo world'}")
PAIR = job("pair", "- {id: go, run: 'echo \"on ${{ target.name }}\"'}", "targets: {names: [here]}")
YEARLY = schedule("yearly", "greet", 'cron: "0 2 1 1 *", timeZone: Europe/Berlin')
HELD = schedule("held", "pair", "every: 1h, suspend: {reason: a rest}")


class Pages:
    """A client that does what it is told and follows nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.place = (host, port)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(*self.place, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def page(self, path: str) -> str:
        status, headers, text = self.ask(path)
        assert status == 200, text
        assert headers["Content-Type"].startswith("text/html")
        return text

    def data(self, path: str) -> Any:
        status, headers, text = self.ask(path)
        assert status == 200, text
        assert headers["Content-Type"] == "application/json"
        return json.loads(text)


def pages_of(site: Site) -> Pages:
    said = site.wait(
        lambda: re.search(r"dashboard listens address=http://(\S+):(\d+)/", site.daemons[-1].stderr), what="its address"
    )
    return Pages(said[1], int(said[2]))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("dashboard")) as site:
        site.create(
            {
                "here.yaml": HERE,
                "nasty.yaml": NASTY,
                "greet.yaml": GREET,
                "pair.yaml": PAIR,
                "yearly.yaml": YEARLY,
                "held.yaml": HELD,
            }
        )
        site.up("--dashboard", "127.0.0.1:0")
        site.asked("first", "jobRef: greet")
        site.asked("second", "jobRef: nasty")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def test_the_first_page_says_what_fails_what_ran_and_what_is_next(here: Site, pages: Pages) -> None:
    now, page, after = None, "", pages.data("/api/v1/now")
    while now is None or now["sentence"] != after["sentence"]:  # both of one second: it says how long until the next
        now, page = after, pages.page("/")
        after = pages.data("/api/v1/now")

    assert now["sync"]["appliedCommit"] == here.head("main")
    assert [(one["job"], one["failures"]) for one in now["failing"]] == [("nasty", 1)]
    due = [(one["schedule"], one["decision"], one["reason"]) for one in now["next"]]
    assert due == [("held", "skipped", "suspended"), ("yearly", "run", None)]
    assert now["next"][1]["local"].endswith("T02:00+01:00")
    assert "greet is next" in now["sentence"] and "skipped: suspended" in page
    assert [one["schedule"] for one in pages.data("/api/v1/wallboard")["next"]] == ["yearly"]
    for shown in (here.head("main")[:12], "nasty", "yearly", *(one["run"] for one in now["ended"])):  # type: ignore[index]
        assert shown in page
    assert '<a href="/api/v1/now">' in page
    assert now["sentence"].startswith("nasty fails, ") and now["sentence"] in page
    assert now["failing"][0]["first"] == {"target": "here", "step": "talk", "error": "exit code 3"}
    assert now["source"]["seen"] < 60 and now["source"]["href"] is None
    assert (now["late"], now["missed"], now["overdue"]) == ([], [], [])


def test_a_run_is_a_sentence_its_steps_and_its_file(here: Site, pages: Pages) -> None:
    name = here.runs("nasty")[-1]["metadata"]["name"]
    (run,) = here.json("get", "runs", name, "-o", "json")["items"]
    found = pages.data(f"/api/v1/runs/{name}")
    shown, at = found.pop("shown"), found.pop("at")

    assert found == run
    assert at > run["status"]["finishedAt"]
    assert shown["sentence"].startswith("after ")
    assert shown["sentence"].endswith("first in step talk on here: exit code 3")
    assert [(step["id"], step["state"], step["log"]) for step in shown["places"][0]["steps"]] == [
        ("talk", "failed", True)
    ]


def test_nothing_that_a_job_says_becomes_markup(here: Site, pages: Pages) -> None:
    name = here.runs("nasty")[-1]["metadata"]["name"]
    for path in ("/", f"/runs/{name}", f"/runs/{name}/log?target=here&step=talk"):
        status, headers, text = pages.ask(path)
        assert status == 200
        assert "<script>alert" not in text and "<img src=x" not in text and "\x1b" not in text
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert '<span class="ansi1">red</span>' in text


def test_a_log_is_shown_line_by_line_and_only_where_it_is_one(here: Site, pages: Pages) -> None:
    name = here.runs("greet")[-1]["metadata"]["name"]
    text = pages.page(f"/runs/{name}/log?target=here&step=greet")
    assert re.findall(r'<li id="L(\d)">.*?class="line">(\w+)<', text) == [("1", "hello"), ("2", "world")]
    for asked in ("step=../../../journal", "step=greet&target=../..", "step=greet"):
        status, _, text = pages.ask(f"/runs/{name}/log?{asked}", Accept="text/html")
        assert status == 404 and f'href="/runs/{name}/log?target=here&amp;step=greet"' in text
    status, _, text = pages.ask(f"/api/v1/runs/{name}/log?step=nosuch&target=here")
    assert (status, json.loads(text)) == (
        404,
        {
            "error": f"run {name} has no step nosuch on here; these are the logs that it has",
            "see": [f"/runs/{name}/log?target=here&step=greet", f"/runs/{name}"],
        },
    )
    assert pages.ask(f"/runs/{name}/log?target=here&step=greet&line=x")[0] == 400
    assert pages.ask("/runs/nosuch/log?step=greet")[0] == 404
    assert pages.ask("/runs/nosuch/log")[0] == 404


def test_the_log_of_a_run_is_found_without_its_step(here: Site, pages: Pages) -> None:
    """By the one log there is, or by the list of all: a program and a person know the run's id before all else."""
    name = here.runs("greet")[-1]["metadata"]["name"]
    for base in ("", "/api/v1"):
        for asked in ("", "?step=", "?target=here"):
            status, headers, _ = pages.ask(f"{base}/runs/{name}/log{asked}")
            assert (status, headers["Location"]) == (307, f"{base}/runs/{name}/log?target=here&step=greet")
        status, headers, _ = pages.ask(f"{base}/runs/{name}/log?target=nowhere")
        assert (status, headers["Location"]) == (307, f"{base}/runs/{name}/logs")
    assert "hello" in pages.page(f"/runs/{name}/log?target=here&step=greet")
    assert f'href="/runs/{name}/log?target=here&amp;step=greet' in pages.page(f"/runs/{name}/logs")


def test_what_is_not_there_is_said_in_the_form_that_was_asked_for(pages: Pages) -> None:
    assert pages.ask("/runs/nosuch")[0] == 404
    status, headers, text = pages.ask("/api/v1/runs/nosuch")
    assert (status, headers["Content-Type"]) == (404, "application/json")
    assert "retention has removed it" in json.loads(text)["error"]
    assert pages.ask("/nosuch")[0] == 404
    assert pages.ask("/static/../app.py")[0] == 404
    status, headers, text = pages.ask("/jobs/nosuch")
    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert text == "there is no such thing, or retention has removed it\n"


@pytest.mark.parametrize(
    ("path", "status", "leads_to"),
    [
        ("/nosuch/page", 404, ["/kinds?q=page", "/"]),
        ("/jobs/nosuch", 404, ["/kinds/Job", "/kinds?q=nosuch", "/"]),
        ("/runs/nosuch", 404, ["/runs", "/kinds?q=nosuch", "/"]),
        ("/badge/a/b", 404, ["/kinds?q=b", "/"]),
        ("/grid?range=x", 400, ["/"]),
    ],
)
def test_a_browser_that_asks_for_nothing_gets_a_page_with_ways_on(
    pages: Pages, path: str, status: int, leads_to: list[str]
) -> None:
    found, headers, text = pages.ask(path, Accept="text/html,application/xhtml+xml")
    assert (found, headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    main = text.partition("<main")[2].partition("</main>")[0]
    assert re.findall(r'href="([^"]+)"', main) == leads_to
    assert "Skip to the content" in text and "Content-Security-Policy" in headers


def test_addresses_that_people_shorten_others_to_lead_to_lists(here: Site, pages: Pages) -> None:
    newest = here.runs("nasty")[-1]["metadata"]["name"]
    assert newest in pages.page("/runs")
    listed = [one["run"] for one in pages.data("/api/v1/runs")["runs"]]
    assert newest in listed and len(listed) >= 2
    assert [one["run"] for one in pages.data(f"/api/v1/runs?before={listed[0]}")["runs"]] == listed[1:]
    for path, to in (("/jobs", "/kinds/Job"), ("/workflows", "/kinds/Workflow"), ("/api/v1/jobs", "/api/v1/kinds/Job")):
        status, headers, _ = pages.ask(f"{path}?q=a")
        assert (status, headers["Location"]) == (307, f"{to}?q=a")
        assert pages.ask(to)[0] == 200


def test_what_pages_are_drawn_with_is_of_their_own_version(pages: Pages) -> None:
    """After an upgrade no page meets the script of the one before, and none is fetched twice."""
    asked = re.findall(r'(?:src|href)="(/static/[^"]+)"', pages.page("/"))
    assert len(asked) >= 5
    for address in asked:
        status, headers, text = pages.ask(address)
        assert (status, headers["Cache-Control"]) == (200, "max-age=31536000, immutable")
        bare = pages.ask(address.partition("?")[0])
        assert (bare[1]["Cache-Control"], bare[2]) == ("no-cache", text)
        assert pages.ask(address + "0")[1]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/v1/now", "/events", "/nosuch"])
def test_there_is_no_way_to_write(pages: Pages, method: str, path: str) -> None:
    status, headers, _ = pages.ask(path, method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_has_no_body(pages: Pages) -> None:
    status, headers, text = pages.ask("/", "HEAD")
    assert (status, text) == (200, "") and int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "evil.example.org:8420",
        "127.0.0.1.evil.example.org",
        "",
        "localhost:evil.example.org",
        "localhost:80:80",
        "127.0.0.1:8420/",
        "[::1]:x",
    ],
)
def test_another_name_that_points_here_is_refused(pages: Pages, host: str) -> None:
    assert pages.ask("/", Host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "localhost:", "127.0.0.1", "[::1]:8420"])
def test_this_machine_has_several_names(pages: Pages, host: str) -> None:
    assert pages.ask("/", Host=host)[0] == 200


def test_probes_are_answered(pages: Pages) -> None:
    assert pages.ask("/healthz")[::2] == (200, "ok\n")
    assert pages.ask("/readyz")[::2] == (200, "ok\n")


def test_what_happens_is_told_at_once(here: Site, pages: Pages) -> None:
    connection = http.client.HTTPConnection(*pages.place, timeout=30)
    try:
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["X-Accel-Buffering"] == "no", "nginx would hold back every word"
        assert stream.readline() == b"retry: 3000\n"
        here.request("again", "jobRef: greet")
        while stream.readline() != b"event: changed\n":
            pass
    finally:
        connection.close()
    here.answered("again")


def test_so_many_pages_follow_and_the_others_are_told_to_ask_again(pages: Pages) -> None:
    """Who follows takes no room from those who read, and leaves it to another when it goes."""
    held = []
    for _ in range(MOST_FOLLOWING):
        connection = http.client.HTTPConnection(*pages.place, timeout=30)
        connection.request("GET", "/events")
        held.append((connection, connection.getresponse()))
    assert {(answer.status, answer.readline()) for _, answer in held} == {(200, b"retry: 3000\n")}
    status, headers, _ = pages.ask("/events")
    assert (status, headers["Retry-After"]) == (503, "30")
    assert pages.ask("/events", "HEAD")[0] == 503
    assert pages.ask("/")[0] == pages.ask("/healthz")[0] == 200
    for connection, answer in held:
        answer.close()
        connection.close()


def test_many_who_ask_to_follow_at_once_are_no_more_than_may(pages: Pages) -> None:
    asking = [http.client.HTTPConnection(*pages.place, timeout=30) for _ in range(MOST_FOLLOWING + 40)]
    for connection in asking:
        connection.connect()
    for connection in asking:
        connection.request("GET", "/events")
    answers = [connection.getresponse() for connection in asking]
    refused = [one for one in answers if one.status != 200]
    # some places may not be free again yet that an earlier test has left
    assert len(answers) - len(refused) <= MOST_FOLLOWING
    assert {(one.status, one.headers["Retry-After"]) for one in refused} == {(503, "30")}
    assert b"ask again in 30 s" in refused[0].read()
    for connection, answer in zip(asking, answers, strict=True):
        answer.close()
        connection.close()


def test_who_asks_how_events_would_be_answered_takes_no_place(pages: Pages) -> None:
    for _ in range(MOST_FOLLOWING + 1):
        status, headers, body = pages.ask("/events", "HEAD")
    assert (status, body) == (200, "") and headers["Content-Type"].startswith("text/event-stream")


def test_who_follows_is_let_go_when_the_engine_stops(site: Any) -> None:
    """Nothing but what the engine says of its stop stands in the log, and it does not wait for the reader."""
    made: Site = site({"greet.yaml": GREET})
    engine = made.up("--dashboard", "127.0.0.1:0")
    connection = http.client.HTTPConnection(*pages_of(made).place, timeout=30)
    try:
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.readline() == b"retry: 3000\n"
        assert engine.stop() == 0
        assert b"Traceback" not in stream.read()
    finally:
        connection.close()
    assert "Traceback" not in engine.stderr
    assert "stopped in order" in engine.stderr


def test_past_loopback_a_token_is_needed(site: Any, tmp_path: Any) -> None:
    made: Site = site({"greet.yaml": GREET})
    refused = made.run("up", str(made.source), "--dashboard", "0.0.0.0:0")
    assert refused.returncode == 1
    assert "add --token FILE" in refused.stderr

    token = tmp_path / "token"
    token.write_text("short\n")
    assert "at least 20 characters" in made.run("up", str(made.source), "--token", str(token)).stderr

    token.write_text("correct-horse-battery-staple\n")
    made.up("--dashboard", "0.0.0.0:0", "--token", str(token))
    pages = Pages("127.0.0.1", pages_of(made).place[1])
    secret = token.read_text().strip()
    basic = "Basic " + b64encode(f"anybody:{secret}".encode()).decode()
    shown = {None: 401, f"Bearer {secret}": 200, basic: 200, f"Bearer {secret}x": 401, "Basic !": 401, "Bearer": 401}
    for authorization, status in shown.items():
        headers = {} if authorization is None else {"Authorization": authorization}
        assert pages.ask("/", **headers)[0] == status, authorization
        assert pages.ask("/api/v1/now", **headers)[0] == status
        assert pages.ask("/healthz", **headers)[0] == 200
    assert secret not in made.daemons[-1].stderr


def test_an_address_that_is_taken(site: Any) -> None:
    made: Site = site({"greet.yaml": GREET})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = made.run("up", str(made.source), "--dashboard", asked)
    assert refused.returncode == 1
    assert f"--dashboard {asked} cannot be listened on" in refused.stderr

    # Where nobody chose one, another engine may have it: that is no reason not to work.
    del made.environment["OPSCONDUCTOR_DASHBOARD"]
    with socket.socket() as maybe_taken:
        maybe_taken.bind(("127.0.0.1", 8420))
        maybe_taken.listen()
        engine = made.up()
    assert "there are no pages" in engine.stderr
    assert "--dashboard HOST:PORT" in engine.stderr


@pytest.mark.parametrize("text", ["8420", "localhost", ":80", "127.0.0.1:x", "127.0.0.1:70000", "on"])
def test_an_address_that_is_none(bare: Site, text: str) -> None:
    done = bare.run("up", ".", "--dashboard", text)
    assert done.returncode == 2
    assert "write HOST:PORT, as in 127.0.0.1:8420, or off" in done.stderr
