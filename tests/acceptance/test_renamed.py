"""A job that is renamed: its past is that of today's job, wherever people look for it."""

from collections.abc import Callable

from tests.acceptance.site import HERE, Site, job
from tests.acceptance.test_dashboard import pages_of

Make = Callable[..., Site]
FAILS = "- {id: look, run: 'exit 1'}"


def test_a_renamed_jobs_past_goes_on(site: Make) -> None:
    """In its file on the status branch, `history`, its page, also at its former address, and its badge."""
    here = site({"here.yaml": HERE, "work.yaml": job("greet", FAILS)})
    here.up("--dashboard", "127.0.0.1:0")
    old = here.asked("one", "jobRef: greet")["metadata"]["name"]
    renamed = job("welcome", FAILS).replace("name: welcome", "name: welcome, previousNames: [greet]")
    here.in_force(here.commit({"work.yaml": renamed}))
    new = here.asked("two", "jobRef: welcome")["metadata"]["name"]

    here.wait(lambda: (here.status("jobs/welcome.yaml") or {}).get("consecutiveFailures") == 2)
    past = here.status("jobs/welcome.yaml")
    assert (past["lastRun"]["run"], past["formerNames"]) == (new, ["greet"])
    assert "jobs/greet.yaml" not in here.tree()
    assert here.run_file(old)["spec"]["job"] == "greet"

    named = [run["metadata"]["name"] for run in here.json("history", "welcome", "-o", "json")["items"]]
    assert named == [new, old]
    pages = pages_of(here)
    for name in ("welcome", "greet"):
        shown = pages.data(f"/api/v1/jobs/{name}")
        assert (shown["job"], [run["run"] for run in shown["runs"]]) == ("welcome", [new, old])
        assert "welcome: failed" in pages.ask(f"/badge/{name}.svg")[2]
    assert 'href="/jobs/welcome"' in pages.page("/")
    was = pages.data(f"/api/v1/runs/{old}")["shown"]["definition"]
    assert (was["today"], was["ofToday"], was["same"]) == ("welcome", False, True)
    assert any("greet" in "".join(str(part) for part in line.values()) for line in was["lines"])
    assert 'today it is called <a href="/jobs/welcome">' in pages.page(f"/runs/{old}")
    assert pages.data(f"/api/v1/runs/{new}")["shown"]["definition"]["today"] is None

    here.in_force(here.commit({"work.yaml": None, "definitions/jobs/welcome.yaml": renamed}))
    was = pages.data(f"/api/v1/runs/{old}")["shown"]["definition"]
    assert (was["file"].rpartition("/")[2], was["today"], was["ofToday"]) == ("welcome.yaml", "welcome", True)
    assert "as it reads today" in pages.page(f"/runs/{old}")
