"""Probes of real engines that are not well."""

import signal
import sqlite3
import sys
from typing import Any

import pytest

from tests.acceptance import site as sites
from tests.acceptance.site import Site, job
from tests.acceptance.test_dashboard import Pages, pages_of

GREET = job("greet", "- {id: greet, run: echo hello}")
BROKEN = job("greet", "- {id: greet}")
STOPPABLE = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
from opsconductor.cli.main import run
run()
"""
"""The program, whose event loop a signal stops as a call that never returns would."""
HASTY = """
from datetime import timedelta
from opsconductor.service import health, showing
health.UNPUBLISHED, showing._REFUSED_PAUSE = timedelta(seconds=4), timedelta(seconds=1)
from opsconductor.cli.main import run
run()
"""
"""The program, which tells of what it cannot publish after seconds."""
ON = ("--dashboard", "127.0.0.1:0")


def troubles(pages: Pages, probe: str) -> set[str]:
    """The parts that the probe names; none where it is well."""
    status, _, text = pages.ask(probe)
    assert (status == 200) == (text == "ok\n")
    return set() if status == 200 else {line.partition(":")[0] for line in text.splitlines()}


def test_without_a_commit_in_force_an_engine_lives_and_is_not_ready(site: Any) -> None:
    made: Site = site({"greet.yaml": BROKEN})
    made.start(*ON)
    pages = pages_of(made)
    made.wait(lambda: "commit rejected" in made.daemons[-1].stderr, what="the rejection")
    assert troubles(pages, "/healthz") == set()
    assert "definitions" in troubles(pages, "/readyz")
    assert "no commit is in force yet" in pages.ask("/readyz")[2]
    assert '<td data-label="Code">error OC' in pages.page("/"), "in a word, and not by its colour alone"
    made.commit({"greet.yaml": GREET})
    made.in_force()
    made.wait(lambda: troubles(pages, "/readyz") == set(), what="readiness")


def test_a_journal_that_somebody_locks_is_named_until_it_is_let_go(site: Any) -> None:
    made: Site = site({"greet.yaml": GREET})
    made.up(*ON)
    pages = pages_of(made)
    assert troubles(pages, "/readyz") == set()
    (file,) = made.root.glob("**/journal.sqlite3")
    with sqlite3.connect(file, isolation_level=None) as locking:
        locking.execute("BEGIN IMMEDIATE")
        assert troubles(pages, "/readyz") == {"journal"}
        assert str(file) not in pages.ask("/readyz")[2]
        assert troubles(pages, "/healthz") == set()
        locking.execute("ROLLBACK")
    made.wait(lambda: troubles(pages, "/readyz") == set(), what="readiness")


@pytest.mark.slow
def test_what_cannot_be_published_is_told_wherever_somebody_looks(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that protects the branch, or a lock that was left: jobs go on, and the branch shows nothing of it."""
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", HASTY))
    made: Site = site({"greet.yaml": GREET})
    made.up(*ON)
    pages = pages_of(made)
    assert (troubles(pages, "/readyz"), pages.data("/api/v1/wallboard")["well"]) == (set(), True)
    hook = made.source / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\ncase "$1" in refs/heads/opsconductor/status) echo "it is protected" >&2; exit 1;; esac\n'
    )
    hook.chmod(0o755)
    made.request("first", "jobRef: greet")
    made.wait(lambda: troubles(pages, "/readyz") == {"status branch"}, what="a probe that names the status branch")
    assert troubles(pages, "/healthz") == set()
    assert "nothing could be published for" in pages.ask("/readyz")[2] and "protected" not in pages.ask("/readyz")[2]
    now, health = pages.data("/api/v1/now"), pages.data("/api/v1/health")
    assert now["sentence"].startswith("The engine does not do its work, nothing fails, ")
    assert "protected" in now["trouble"] and now["trouble"].startswith("status branch: nothing could be published for ")
    assert "Not well: status branch, nothing could be published" in health["sentence"] and not health["ready"]
    assert "protected" in health["unpublished"]
    assert pages.data("/api/v1/wallboard")["headline"] == "The engine does not do its work"
    assert "opsconductor_ready 0" in pages.ask("/metrics")[2]
    hook.unlink()
    made.wait(lambda: troubles(pages, "/readyz") == set(), what="readiness")
    assert (pages.data("/api/v1/now")["trouble"], pages.data("/api/v1/health")["unpublished"]) == (None, None)


@pytest.mark.slow
def test_an_event_loop_that_hangs_is_seen_from_outside_of_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", STOPPABLE))
    made: Site = site({"greet.yaml": GREET})
    engine = made.start(*ON)
    pages = pages_of(made)
    made.wait(lambda: troubles(pages, "/readyz") == set(), what="readiness")
    engine.signal(signal.SIGUSR1)
    made.wait(lambda: "event loop" in troubles(pages, "/healthz"), what="a probe that fails", timeout=120)
    assert "event loop: it has not turned for" in pages.ask("/healthz")[2]
    assert pages.ask("/metrics")[0] == 200


@pytest.mark.slow
def test_a_source_that_is_gone_is_named_and_asks_for_no_restart(site: Any) -> None:
    made: Site = site({"greet.yaml": GREET})
    made.up(*ON)
    pages = pages_of(made)
    away = made.source.rename(made.source.with_name("away"))
    made.wait(lambda: "source" in troubles(pages, "/readyz"), what="a probe that names the source", timeout=120)
    assert troubles(pages, "/healthz") == set()
    away.rename(made.source)
    made.wait(lambda: troubles(pages, "/readyz") == set(), what="readiness", timeout=120)
