"""Logs that a dashboard gives: laid where they belong, gone on with, and never out of the folder of their run."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from journal.errors import Unavailable
from opsconductor.exits import UsageError
from opsconductor.service.dashboardlogs import DashboardLogs

RUN = "rotate-20261122T020000Z-0123456789"
PLACE = f"2026/11/22/{RUN}"


@contextmanager
def serving(listed: Any, log: bytes = b"", status: int = 200) -> Iterator[tuple[DashboardLogs, list[str]]]:
    """A dashboard that lists this, and has this for each log; and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            begin = int(parse_qs(urlsplit(self.path).query).get("from", ["0"])[0])
            body = log[begin:] if "log.txt" in self.path else json.dumps(listed).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = DashboardLogs.of(f"http://127.0.0.1:{server.server_port}/", None)
        assert found is not None
        yield found, asked
        server.shutdown()


def entry(name: str, size: int | None, target: str = "web-01") -> dict[str, Any]:
    return {"target": target, "step": "rotate", "attempt": 1, "name": name, "bytes": size}


def test_what_is_there_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / PLACE / "web-01" / "steps.rotate.1.log"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"one\n")
    with serving({"logs": [entry("steps.rotate.1.log", 8)]}, b"one\ntwo\n") as (logs, asked):
        assert logs.bring(RUN, tmp_path) and logs.bring(RUN, tmp_path)
    assert file.read_bytes() == b"one\ntwo\n"
    assert [one.partition("?")[0] for one in asked].count(f"/runs/{RUN}/log.txt") == 1 and "from=4" in asked[1]


def test_what_is_kept_elsewhere_is_had_whole_and_once(tmp_path: Path) -> None:
    with serving({"logs": [entry("rotate.1/steps.a.1.log", None, "")]}, b"text") as (logs, asked):
        assert logs.bring(RUN, tmp_path) and logs.bring(RUN, tmp_path)
    assert (tmp_path / PLACE / "-" / "rotate.1" / "steps.a.1.log").read_bytes() == b"text"
    assert len(asked) == 3


@pytest.mark.parametrize(
    "hostile",
    [entry("../../x.log", 4), entry("/etc/x.log", 4), entry("a.log", 4, ".."), entry("a.log", 4, "a/b"), entry("a", 4),
     entry("a\0.log", 4), {"target": 1, "name": "a.log"}, {}, "a"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder_of_the_run(tmp_path: Path, hostile: Any) -> None:
    with serving({"logs": [hostile]}, b"text") as (logs, _):
        assert not logs.bring(RUN, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("listed", "status", "said"), [
    ([], 200, "no dashboard of OpsConductor"), ({"logs": 1}, 200, "no dashboard of OpsConductor"),
    ({}, 401, "asks for a token"), ({}, 404, "does not know this run"), ({}, 302, "answered 302"),
    ({}, 500, "answered 500"),
])  # fmt: skip
def test_what_is_no_list_is_told(tmp_path: Path, listed: Any, status: int, said: str) -> None:
    with serving(listed, status=status) as (logs, asked), pytest.raises(Unavailable, match=said):
        logs.bring(RUN, tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "url", ["ops.example.org", "file:///etc/passwd", "https://ana:x@ops.example.org", "https://a/?b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="the address of a dashboard"):
        DashboardLogs.of(url, None)


def test_a_token_is_not_sent_in_the_open(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("correct-horse-battery-staple\n")
    with pytest.raises(UsageError, match="https://"):
        DashboardLogs.of("http://ops.example.org", token)
    assert "correct" not in repr(DashboardLogs.of("https://ops.example.org", token))
    with pytest.raises(UsageError, match="--token"):
        DashboardLogs.of("https://ops.example.org", tmp_path / "none")
