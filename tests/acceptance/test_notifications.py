"""Notifications as their users meet them: a channel is tried, a failure is told, and nothing is lost on the way."""

import http.server
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.site import STATUS, Site, credential, job
from tests.wallclock import WallClock

Make = Callable[[Mapping[str, str]], Site]


@dataclass
class Sink:
    """A webhook's receiver. `status` is what it answers next; `fault` what it does instead: hang, half, drop."""

    url: str = ""
    status: int = 200
    fault: str | None = None
    over: threading.Event = field(default_factory=threading.Event)
    taken: list[dict[str, object]] = field(default_factory=list)
    """The events that it said yes to."""
    got: list[tuple[dict[str, str], dict[str, object]]] = field(default_factory=list)

    @property
    def ids(self) -> list[object]:
        return [event["id"] for _, event in self.got]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            event = json.loads(body)
            made.got.append((dict(self.headers), event))
            if made.fault is not None:
                if made.fault == "hang":
                    made.over.wait(60)
                if made.fault == "half":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                self.close_connection = True
                return
            if made.status == 200:
                made.taken.append(event)
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    made.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def channel(url: str, name: str = "ops", more: str = "") -> str:
    return f"""apiVersion: opsconductor/v1
kind: NotificationChannel
metadata: {{name: {name}}}
spec: {{type: webhook, url: "{url}"{more}}}
"""


RULE = """apiVersion: opsconductor/v1
kind: NotificationRule
metadata: {name: failures}
spec:
  events: [run.failed]
  channels: [ops]
  template: {subject: "{{ job.name }} {{ run.state | replace('-', ' ') }}"}
"""


def test_a_channel_is_tried_with_the_secrets_of_this_machine(bare: Site, sink: Sink) -> None:
    key = credential("hook-key", "type: token, from: {file: hook-key}")
    more = ", credentialRef: hook-key"
    bare.create({"ops.yaml": channel(sink.url, more=more), "key.yaml": key})
    bare.pulled()
    folder = ("--secret-dir", str(bare.secrets))
    without = bare.run("notify", "test", "ops", *folder)
    assert (without.returncode, sink.got) == (1, []) and "there is no file 'hook-key'" in without.stdout
    (bare.secrets / "hook-key").write_text("geheim-4711")
    good = bare.json("notify", "test", "ops", "-o", "json", *folder)
    headers, event = sink.got[0]
    assert (good["channel"], good["ok"], good["id"]) == ("ops", True, event["id"])
    assert event["type"] == "opsconductor.test"
    assert headers["X-Hub-Signature-256"].startswith("sha256=")
    sink.status = 404
    bad = bare.run("notify", "test", "ops", *folder)
    assert bad.returncode == 1 and "status 404" in bad.stdout
    sink.fault = "drop"
    lost = bare.run("notify", "test", "ops", *folder)
    assert lost.returncode == 1 and "broke" in lost.stdout and "geheim" not in lost.stdout + lost.stderr
    unknown = bare.run("notify", "test", "nobody", *folder)
    assert (unknown.returncode, unknown.stderr) == (1, "there is no NotificationChannel 'nobody'; there are: ops\n")


def test_a_failure_is_told_once_it_can_be_whatever_happens_to_the_engine(site: Make, sink: Sink) -> None:
    """The sink fails, the engine is killed, and the message arrives with the id that it had all along."""
    sink.status = 500
    made = site({"ops.yaml": channel(sink.url), "rule.yaml": RULE, "wrong.yaml": job("wrong", "- run: exit 3")})
    daemon = made.up()
    made.request("try", "jobRef: wrong")
    made.wait(lambda: sink.got, what="the first attempt")
    made.wait(lambda: "[1 channel fails](#failing-channels)" in _page(made), what="the channel on the page")
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    sink.status = 200
    before = len(sink.got)
    again = made.up()
    made.wait(lambda: len(sink.got) > before, what="the next attempt")
    assert again.stop() == 0
    assert "channel fails" not in _page(made)
    assert len(set(sink.ids)) == 1
    event = sink.got[-1][1]
    assert event["type"] == "opsconductor.run.failed"
    data = event["data"]
    assert isinstance(data, dict) and data["message"]["subject"] == "wrong failed"


def test_once_tells_before_it_ends_and_waits_for_no_second_try(site: Make, sink: Sink) -> None:
    sink.status = 500
    made = site({"ops.yaml": channel(sink.url), "rule.yaml": RULE, "wrong.yaml": job("wrong", "- run: exit 3")})
    assert made.once().returncode == 0
    made.request("try", "jobRef: wrong")
    assert made.once().returncode == 1
    assert len(sink.got) == 1


@pytest.mark.slow
def test_a_dead_letter_is_shown_and_sent_again(site: Make, sink: Sink) -> None:
    sink.status = 410
    made = site({"ops.yaml": channel(sink.url), "rule.yaml": RULE, "wrong.yaml": job("wrong", "- run: exit 3")})
    made.up()
    made.request("try", "jobRef: wrong")
    state = ("--source", str(made.source), "--state", str(made.state))
    made.wait(lambda: made.json("notify", "replay", "--list", "-o", "json", *state)["messages"], what="a dead letter")
    (letter,) = made.json("notify", "replay", "--list", "-o", "json", *state)["messages"]
    assert (letter["channel"], letter["rule"], letter["error"]) == ("ops", "failures", "status 410")
    assert made.run("notify", "replay", "0000", *state).returncode == 1
    nothing = made.run("notify", "replay", "", *state)
    assert (nothing.returncode, "the id is empty" in nothing.stderr) == (2, True)
    page = made.wait(lambda: _page(made) if "Dead letters" in _page(made) else None, what="the dead letter on the page")
    assert "1 notification could not be delivered." in page and "| ops | 1 |" in page
    table = made.run("get", "channelstatus").stdout.splitlines()
    assert [line.split()[:4] for line in table] == [["NAME", "STATE", "WAITING", "DEAD"], ["ops", "failing", "0", "1"]]
    sink.status = 200
    sent = made.json("notify", "replay", letter["id"][:8], "-o", "json", *state)
    assert (sent["replayed"], sent["messages"][0]["id"]) == (1, letter["id"])
    made.wait(lambda: len(sink.got) > 1, what="it to arrive")
    assert sink.ids == [letter["id"], letter["id"]]
    made.wait(lambda: not made.json("notify", "replay", "--list", "-o", "json", *state)["messages"])
    made.wait(lambda: "Dead letters" not in _page(made), what="the page without it")
    # that it is no dead letter any more may be published before it has arrived
    made.wait(lambda: _row(made) == ["ops", "working", "0", "0"], what="the channel to work")


@pytest.mark.slow
def test_a_faulty_sink_for_hours_and_a_dying_engine_lose_nothing(site: Make, sink: Sink, tmp_path: Path) -> None:
    """Nothing is lost, ids and words stay, and what a run has to tell arrives in its order."""
    clock = WallClock(tmp_path)
    rule = RULE.replace("[run.failed]", "[run.started, run.failed]")
    wrong = job("wrong", "- run: exit 3", "concurrency: {onConflict: allow}")
    made = site({"ops.yaml": channel(sink.url), "rule.yaml": rule, "wrong.yaml": wrong})
    runs = [f"try-{number}" for number in range(3)]
    for hour, fault in enumerate(("drop", "hang", "500", "half", "drop", "500", "hang")):
        clock.set(timedelta(hours=3 * hour))
        sink.fault, sink.status = (None, 500) if fault == "500" else (fault, 200)
        before = len(sink.got)
        daemon = made.up(env=clock.environment)
        if hour == 0:
            for name in runs:
                made.request(name, "jobRef: wrong")
            made.wait(lambda: sum(run["status"]["state"] == "failed" for run in made.runs()) == len(runs))
        made.wait(lambda before=before: len(sink.got) > before, what=f"an attempt after {3 * hour} hours")  # type: ignore[misc]
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    assert not sink.taken
    sink.fault, sink.status = None, 200
    clock.set(timedelta(hours=22))
    made.up(env=clock.environment)
    made.wait(lambda: len({str(event["id"]) for event in sink.taken}) == 2 * len(runs), what="all of them")
    assert set(sink.ids) == {event["id"] for event in sink.taken}
    assert len({json.dumps(event, sort_keys=True) for _, event in sink.got}) == 2 * len(runs)
    by_run: dict[str, list[str]] = {}
    for event in sink.taken:
        by_run.setdefault(str(event["subject"]), []).append(str(event["type"]))
    assert list(by_run.values()) == [["opsconductor.run.started", "opsconductor.run.failed"]] * len(runs)


def _row(site: Site) -> list[str]:
    """The first line of the table of channels."""
    return site.run("get", "channelstatus").stdout.splitlines()[1].split()[:4]


def _page(site: Site) -> str:
    return site.git("show", f"{STATUS}:README.md")
