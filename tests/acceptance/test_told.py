"""Rules of notifications: what fails is told once, in words that help, and that it works again."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.acceptance.site import HERE, Site, job

Make = Callable[..., Site]

BACKUP = job("backup", "- {id: dump, run: 'echo disk is full >&2; test -e \"$MENDED\"'}", """
    env: {MENDED: MENDED_FILE}
""")  # fmt: skip
RULE = """\
apiVersion: opsconductor/v1
kind: NotificationRule
metadata: {name: what-fails}
spec:
  events: [run.failed, run.recovered, sync.failed]
  channels: [sink]
"""
CHANNEL = """\
apiVersion: opsconductor/v1
kind: NotificationChannel
metadata: {name: sink}
spec: {type: webhook, url: "%s"}
"""


class Sink:
    """A server that takes every message; `taken` are their bodies, oldest first."""

    def __init__(self) -> None:
        taken: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.taken = taken
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


def test_a_failing_job_makes_one_message_and_another_when_it_works_again(bare: Site, sink: Sink) -> None:
    """It says which job, why, and where to look; what succeeds all the time says nothing."""
    mended = bare.effects / "mended"
    bare.create({
        "here.yaml": HERE, "backup.yaml": BACKUP.replace("MENDED_FILE", str(mended)),
        "rule.yaml": RULE, "sink.yaml": CHANNEL % sink.url,
    })  # fmt: skip
    bare.up(env={"OPSCONDUCTOR_PUBLIC_URL": "https://ops.example.org/"})
    bare.asked("one", "jobRef: backup")
    (failed,) = bare.wait(lambda: list(sink.taken), what="a message")
    assert failed["type"].endswith("run.failed")
    message = failed["data"]["message"]
    assert message["subject"] == "backup FAILED"
    assert "step dump on here" in message["text"]
    assert "disk is full" in message["text"]
    assert "Look: https://ops.example.org/runs/backup-" in message["text"]
    mended.touch()
    bare.asked("two", "jobRef: backup")
    bare.asked("three", "jobRef: backup")
    bare.wait(lambda: len(sink.taken) > 1, what="a second message")
    bare.commit({"backup.yaml": "kind: Job\n"})
    bare.wait(lambda: len(sink.taken) > 2, what="a third message")
    subjects = [one["data"]["message"]["subject"] for one in sink.taken]
    assert subjects == ["backup FAILED", "backup works again", "acceptance: new definitions are NOT in force"]
    assert len({one["id"] for one in sink.taken}) == 3
