"""An engine's store goes into PostgreSQL and back, with all that has run."""

import re
from collections.abc import Callable, Mapping

import psycopg
import pytest

from tests.acceptance.site import Site, job
from tests.postgresql import for_postgresql, postgresql_database

__all__ = ["for_postgresql", "postgresql_database"]

GREET = job("greet", "- {id: greet, run: echo hello}")


def outbox_waits_for(database: str) -> set[str]:
    with psycopg.connect(database) as connection:
        return {str(row[0]) for row in connection.execute("SELECT consumer FROM cursors")}


@pytest.mark.slow
def test_a_store_goes_into_a_database_and_back_and_nothing_runs_twice(
    site: Callable[[Mapping[str, str]], Site], postgresql_database: str
) -> None:
    here = site({"greet.yaml": GREET})
    where = ("store", "migrate", str(here.source), "--database", postgresql_database)
    kept = ("--logs", str(here.root / "kept"))
    here.once(*kept)
    for number in range(2):
        here.request(f"greet-{number}", "jobRef: greet")
    assert here.once(*kept).returncode == 0
    before = here.json("get", "runs", "-o", "json")
    assert len(before["items"]) == 2

    engine = here.up(*kept)
    running = here.run(*where)
    assert running.returncode == 1
    assert "already uses the state folder" in running.stderr
    assert engine.stop() == 0

    there = here.run(*where)
    assert there.returncode == 0, there.stderr
    assert re.search(r"moved \d+ rows of .* \(2 runs, 2 steps, 0 messages\), each compared, to the data", there.stderr)
    left = here.once()
    assert left.returncode == 1
    assert "moved to postgresql://" in left.stderr
    again = here.run(*where)
    assert again.returncode == 1
    assert "moved to postgresql://" in again.stderr

    assert outbox_waits_for(postgresql_database) == {"logs", "status"}
    engine = here.up("--database", postgresql_database, *kept)
    here.asked("greet-2", "jobRef: greet")
    here.ended("greet", 3)
    assert outbox_waits_for(postgresql_database) == {"status"}, "each runner brings its own from now on"
    in_use = here.run(*where, "--back", env={"OPSCONDUCTOR_STATE": str(here.root / "another")})
    assert in_use.returncode == 1
    assert "is in use" in in_use.stderr
    assert engine.stop() == 0

    back = here.run(*where, "--back")
    assert back.returncode == 0, back.stderr
    assert "(3 runs, 3 steps, 0 messages)" in back.stderr
    here.request("greet-3", "jobRef: greet")
    assert here.once("--take-over").returncode == 0
    after = here.json("get", "runs", "-o", "json")
    assert {run["metadata"]["name"] for run in before["items"]} < {run["metadata"]["name"] for run in after["items"]}
    assert len(after["items"]) == 4
    assert {run["status"]["state"] for run in after["items"]} == {"succeeded"}
    log = here.run("logs", before["items"][0]["metadata"]["name"])
    assert (log.returncode, log.stdout) == (0, "hello\n"), log.stderr


def test_a_store_is_moved_to_servers_only(bare: Site) -> None:
    """What is wrong with a call is said before anything is touched."""
    for more, said in (
        (("--database", "sqlite:///x.db"), "postgresql://"),
        (("--database", "postgresql://ops@127.0.0.1:1/x"), "is not an engine's state folder"),
        ((), "Missing option"),
    ):
        done = bare.run("store", "migrate", str(bare.root), *more)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
