"""Logs that are kept in a bucket: read by the command line and the dashboard where the state folder has none."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.site import Site, job
from tests.acceptance.test_dashboard import pages_of
from tests.buckets import Buckets, buckets


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as found:
        yield found


def test_a_log_outlives_the_state_folder(site: Any, server: Buckets) -> None:
    url = server.make("runs") + "/logs"
    made: Site = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello from afar}")})
    made.environment |= server.environment
    engine = made.up("--logs", url, "--dashboard", "127.0.0.1:0")
    made.asked("first", "jobRef: greet")
    (run,) = made.runs("greet")
    name = run["metadata"]["name"]
    assert made.run("logs", name).stdout == "hello from afar\n"
    assert engine.stop() == 0

    (logs,) = made.root.glob("**/logs/2*")
    shutil.rmtree(logs)
    assert made.run("logs", name, "--logs", url).stdout == "hello from afar\n"
    asked = made.run("logs", name, env={"OPSCONDUCTOR_LOGS": url})
    assert (asked.returncode, asked.stdout) == (0, "hello from afar\n")
    assert "--logs where it keeps logs besides" in made.run("logs", name).stderr
    made.up("--logs", url, "--dashboard", "127.0.0.1:0")
    pages, log = pages_of(made), f"/runs/{name}/log?target=here&step=greet"
    assert "hello from afar" in pages.page(log)
    assert pages.data(f"/api/v1{log}&attempt=1")["window"]["total"] == 1
    assert pages.data(f"/api/v1{log}&attempt=2")["window"] is None


def test_once_brings_its_logs_before_it_ends(site: Any, server: Buckets) -> None:
    url = server.make("once")
    made: Site = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello}")})
    made.environment |= server.environment
    assert made.once("--logs", url).returncode == 0  # a request that is there before the first look starts nothing
    made.request("first", "jobRef: greet")
    assert made.once("--logs", url).returncode == 0
    (logs,) = made.root.glob("**/logs/2*")
    shutil.rmtree(logs)
    assert made.run("logs", "greet", "--logs", url).stdout == "hello\n"


def test_a_place_that_is_none_is_refused_at_once(site: Any) -> None:
    made: Site = site({})
    refused = made.run("up", str(made.source), "--logs", "ftp://example.org/x")
    assert refused.returncode == 1
    assert "s3://bucket/folder" in refused.stderr
