"""What may run at the same time, as people see it: one engine, real steps, and what the status branch says."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.site import Site, instant, job, schedule, soon


def gated(name: str, concurrency: str, rest: str = "") -> str:
    """A job that works until the test lets it go, and notes when it begins and ends."""
    step = "- {id: work, run: 'until [ -e EFFECTS/go ]; do sleep 0.05; done'}"
    return job(name, step, f"concurrency: {{{concurrency}}}\n{rest}")


@pytest.fixture
def engine(bare: Site) -> Callable[[dict[str, str]], Site]:
    """A site with these jobs and an engine that runs."""
    from tests.acceptance.site import HERE

    def start(documents: dict[str, str]) -> Site:
        texts = {name: text.replace("EFFECTS", str(bare.effects)) for name, text in documents.items()}
        bare.create({"here.yaml": HERE, **texts})
        bare.pulled()
        bare.up()
        return bare

    return start


def let_go(site: Site) -> None:
    (site.effects / "go").touch()


def answer(site: Site, act: str) -> dict[str, Any]:
    found: dict[str, Any] = site.answered(act, "accepted", "refused", "done")
    return found


def state_of(site: Site, act: str) -> dict[str, Any]:
    """The run that an act asked for, as its file says."""
    found = site.run_file(answer(site, act)["run"])
    return found["status"] if found else {"state": None}


def until(site: Site, act: str, *states: str) -> dict[str, Any]:
    return site.wait(
        lambda: found if (found := state_of(site, act))["state"] in states else None, what=f"{act} {states}"
    )


def test_two_of_three_work_and_the_third_says_what_it_waits_for(engine: Callable[[dict[str, str]], Site]) -> None:
    site = engine({"job.yaml": gated("work", 'group: "db-${{ params.db }}", limit: 2, onConflict: queue',
                                     "params: {db: {type: string, default: a}}")})  # fmt: skip
    for name in ("one", "two", "three"):
        site.request(name, "jobRef: work")
        answer(site, name)
    site.request("other", "jobRef: work, params: {db: b}")
    for name in ("one", "two", "other"):
        until(site, name, "running")
    waiting = until(site, "three", "waiting")
    holders = {answer(site, name)["run"] for name in ("one", "two")}
    assert waiting["waitsFor"]["group"] == "db-a"
    assert set(waiting["waitsFor"]["heldBy"]) == holders
    shown = site.run("get", "runs").stdout
    assert "waits for a place in group db-a (held by work-" in shown
    let_go(site)
    assert "waitsFor" not in until(site, "three", "succeeded")


@pytest.mark.slow
@pytest.mark.parametrize("conflict", ["queueOne", "skip", "fail", "cancelRunning", "allow"])
def test_what_becomes_of_a_run_that_finds_no_place(engine: Callable[[dict[str, str]], Site], conflict: str) -> None:
    site = engine({"job.yaml": gated("work", f"onConflict: {conflict}")})
    site.request("one", "jobRef: work")
    until(site, "one", "running")
    site.request("two", "jobRef: work")
    answered = answer(site, "two")
    match conflict:
        case "skip":
            assert (answered["state"], answered["reason"], answered["run"]) == ("refused", "overlap", None)
            assert answer(site, "one")["run"] in answered["message"]
        case "fail":
            failed = until(site, "two", "failed")
            assert failed["reason"] == "overlap"
            assert answer(site, "one")["run"] in failed["message"]
        case "cancelRunning":
            assert until(site, "one", "cancelled")["reason"] == "replaced by a newer run"
            until(site, "two", "running")
        case "allow":
            until(site, "two", "running")
        case "queueOne":
            until(site, "two", "waiting")
            site.request("three", "jobRef: work")
            assert answer(site, "three")["reason"] == "overlap"
    let_go(site)
    if conflict in ("queueOne", "cancelRunning", "allow"):
        until(site, "two", "succeeded")


@pytest.mark.slow
def test_a_cancelled_run_does_not_block_its_schedule(engine: Callable[[dict[str, str]], Site]) -> None:
    """Whether it waited or worked: the next instants run."""
    site = engine({"job.yaml": gated("work", ""), "s.yaml": schedule("often", "work", "every: 2s")})
    running = site.wait(
        lambda: next((r for r in site.runs("work") if r["status"]["state"] == "running"), None), what="one works"
    )
    waiting = site.wait(
        lambda: next((r for r in site.runs("work") if r["status"]["state"] == "waiting"), None), what="two waits"
    )
    for number, run in enumerate((waiting, running)):
        site.request(f"end-{number}", f"action: cancel, run: {run['metadata']['name']}")
        site.answered(f"end-{number}", "done")
    let_go(site)
    before = {running["metadata"]["name"], waiting["metadata"]["name"]}

    def later() -> list[str] | None:
        names = [r["metadata"]["name"] for r in site.runs("work") if r["status"]["state"] == "succeeded"]
        return names if len({*names} - before) >= 2 else None

    site.wait(later, what="two more have run")
    ended = {r["metadata"]["name"]: r["status"]["state"] for r in site.runs("work")}
    assert {ended[name] for name in before} == {"cancelled"}


@pytest.mark.slow
def test_who_matters_more_goes_first(engine: Callable[[dict[str, str]], Site]) -> None:
    """The RunRequest's priority counts before the Job's."""
    site = engine({
        "low.yaml": gated("low", "group: g, onConflict: queue", "priority: 5"),
        "high.yaml": gated("high", "group: g, onConflict: queue", "priority: 1"),
    })  # fmt: skip
    site.request("first", "jobRef: low")
    until(site, "first", "running")
    site.request("a-low", "jobRef: low")
    answer(site, "a-low")
    site.request("b-high", "jobRef: high, priority: 9")
    until(site, "b-high", "waiting")
    let_go(site)
    low, high = until(site, "a-low", "succeeded"), until(site, "b-high", "succeeded")
    assert instant(high["startedAt"]) < instant(low["startedAt"])


@pytest.mark.slow
def test_jitter_starts_later_and_what_is_in_the_way_is_judged_then(engine: Callable[[dict[str, str]], Site]) -> None:
    site = engine({"job.yaml": gated("work", "onConflict: skip")})
    at = soon(8)
    many = [schedule(f"s{number}", "work", f"at: {at}, jitter: 9s") for number in range(6)]
    site.commit({"s.yaml": "---\n".join(many)})
    site.pulled()
    fires = site.json("next", "--within", "1h", "-o", "json")["fires"]
    late = max(fires, key=lambda fire: str(fire["startsAt"]))  # one of six starts later than the instant itself
    assert late["instant"] == at < late["startsAt"]
    site.request("in-the-way", "jobRef: work")
    until(site, "in-the-way", "running")

    def skipped() -> dict[str, Any] | None:
        found: dict[str, Any] = site.json("why", late["schedule"], at, "-o", "json")["answers"][0]
        return found if found["decision"] == "skipped" else None

    said = site.wait(skipped, what="the schedule's run is kept out")
    assert said["reason"] == "overlap"
    run = site.run_file(said["run"]["id"])
    assert instant(run["spec"]["startsAt"]) == instant(late["startsAt"])
    assert (run["status"]["state"], run["status"]["reason"]) == ("cancelled", "overlap")
    let_go(site)
