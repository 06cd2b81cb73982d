"""The branch goes from one engine to another and back. What counts is what the targets saw."""

import http.server
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.chaos import evidence
from tests.chaos.site import Daemon, Seen, Site
from tests.gitservers import TOKEN, Backend

pytestmark = pytest.mark.slow


def begun(site: Site, job: str, step: str) -> Counter[str]:
    """How often each run of the job has begun the step, as its targets saw it."""
    found = (effect for effect in evidence.effects(site.effects) if effect.run.startswith(f"{job}-2"))
    return Counter(effect.run for effect in found if effect.what == "begin" and effect.step == step)


def taken_over(site: Site, *, owner: str) -> Daemon:
    """Another engine, on a state of its own, that has made the branch its own."""
    other = site.start(None, "--take-over", state=site.folder / "other-state")
    site.until_branch(lambda seen: owner_of(seen) != owner, other)
    return other


def owner_of(seen: Seen) -> str:
    return str(seen.read("sync.yaml")["status"]["engine"]["id"])


def until_more(site: Site, daemon: Daemon, count: int = 4) -> None:
    """Until the schedule has had so many more effects."""
    known = len(begun(site, "quick", "once"))
    site.until_effect(lambda _: len(begun(site, "quick", "once")) >= known + count, daemon)


def states(seen: Seen, job: str) -> list[tuple[str, str, str | None]]:
    return [
        (run, found["status"]["state"], found["status"]["reason"])
        for run, found in seen.runs()
        if run.startswith(f"{job}-2")
    ]


def all_unknown(job: str, seen: Seen) -> bool:
    return {state for _, state, _ in states(seen, job)} == {"unknown"}


def open_on_branch(job: str, count: int, seen: Seen) -> bool:
    return len([run for run in seen.open_runs() if run.startswith(f"{job}-2")]) == count


def test_a_run_that_another_engine_has_called_unknown_stays_so_when_the_first_comes_back(site: Site) -> None:
    """Killed, taken over, closed, started again: neither a run that had begun nor one that waited is done after all."""
    first = site.start()
    site.until_applied(site.define(every={"quick": 1}), first)
    site.ask("ask-patient", jobRef="patient")
    site.until_begun("patient", first)
    site.ask("ask-next", jobRef="patient")
    site.until_branch(partial(open_on_branch, "patient", 2), first)
    owner = owner_of(site.seen())
    first.kill()
    other = taken_over(site, owner=owner)
    site.until_branch(partial(all_unknown, "patient"), other)
    site.stop(other)
    said, done = states(site.seen(), "patient"), begun(site, "patient", "again")
    first = site.start()
    until_more(site, first)
    assert states(site.seen(), "patient") == said
    assert begun(site, "patient", "again") == done
    site.stop(first)
    assert max(begun(site, "quick", "once").values()) == 1, "no instant had its effect twice"


def test_an_engine_that_died_between_its_claim_and_taking_in_takes_in_at_its_next_start(site: Site) -> None:
    """Its own claim on the branch must not hide what the other engine did."""
    first = site.start()
    site.until_applied(site.define(every={"quick": 1}), first)
    owner = owner_of(site.seen())
    first.kill()
    other = taken_over(site, owner=owner)
    until_more(site, other)
    site.stop(other)
    dying = site.start("owner.claimed")
    assert dying.wait() == -signal.SIGKILL
    first = site.start()
    until_more(site, first)
    site.stop(first)
    assert max(begun(site, "quick", "once").values()) == 1, "no instant had its effect twice"


def test_an_engine_that_was_frozen_while_another_took_over_does_nothing_that_the_other_has_done(site: Site) -> None:
    """SIGSTOP, a take-over, SIGCONT a moment before and after instants are due: each has its effect once."""
    first = site.start()
    site.until_applied(site.define(every={"quick": 1}), first)
    until_more(site, first, 2)
    owner = owner_of(site.seen())
    site.freeze_between_writes(first)
    other = taken_over(site, owner=owner)
    until_more(site, other)
    first.send(signal.SIGCONT)
    assert first.wait() == 1
    until_more(site, other)
    site.stop(other)
    assert max(begun(site, "quick", "once").values()) == 1, "no instant had its effect twice"


def test_an_engine_that_was_frozen_and_still_owns_the_branch_goes_on(site: Site) -> None:
    """It looks whose the branch is, and makes up for what was due."""
    first = site.start()
    site.until_applied(site.define(every={"quick": 1}), first)
    until_more(site, first, 2)
    site.freeze_between_writes(first)
    assert not first.ends_within(5)
    first.send(signal.SIGCONT)
    site.until_log("stood still", first)
    until_more(site, first)
    site.settle(first)
    site.check()


@contextmanager
def served(site: Site) -> Iterator[tuple[str, type[Backend]]]:
    """The source over HTTP: its address, and the handler, whose `answer` breaks it."""
    evidence.repository(site.source).config["http.receivepack"] = True
    handler = type("Served", (Backend,), {"root": site.folder})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://ops:{TOKEN}@127.0.0.1:{server.server_port}/source.git", handler
    finally:
        server.shutdown()
        server.server_close()


def test_a_request_is_not_answered_again_where_the_source_was_away_when_a_lost_store_was_rebuilt(site: Site) -> None:
    """It was done, its answer was not published, and the next start cannot look at once: it is storeLost even so."""
    with served(site) as (address, handler):
        first = site.start(source=address)
        site.until_applied(site.define(every={"quick": 5}), first)
        site.ask("ask-wrong", jobRef="wrong")
        site.until_effect(lambda _: bool(begun(site, "wrong", "bye")), first)
        first.kill()
        assert site.seen().act("ask-wrong") is None, "the scenario: its answer was not published"
        site.lose_the_store(drained=False)
        handler.answer = 503
        second = site.start(source=address)
        site.until_log("cannot be reached", second)
        handler.answer = 0
        site.until_branch(lambda seen: seen.act("ask-wrong") is not None, second)
        answer = site.seen().act("ask-wrong") or {}
        assert (answer["state"], answer["reason"]) == ("refused", "storeLost")
        site.stop(second)
    assert list(begun(site, "wrong", "fails").values()) == [1]
