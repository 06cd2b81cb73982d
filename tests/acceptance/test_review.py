"""Before a merge `plan` and `impact` say what it will do; afterwards `why` says what was decided."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site, instant, job, schedule

Make = Callable[..., Site]

WORK = job("work", "[{run: 'true'}]")
NIGHTLY = schedule("nightly", "work", 'cron: "30 2 * * *", timeZone: Europe/Berlin')
LATER = schedule("nightly", "work", 'cron: "30 3 * * *", timeZone: Europe/Berlin')
FROM = ("--from", "2026-03-28T12:00:00Z")


@pytest.fixture
def review(site: Make) -> Site:
    """A clone with two commits on main: the second moves the schedule and brings a request."""
    here = site({"work.yaml": WORK, "nightly.yaml": NIGHTLY})
    ask = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: now}\nspec: {jobRef: work}\n"
    here.commit({"nightly.yaml": LATER, "ask.yaml": ask})
    here.pulled()
    return here


def test_a_plan_of_two_commits_has_the_shape_of_the_contract(review: Site) -> None:
    plan = review.json("plan", "--base", "main~1", "--head", "main", *FROM, "--format", "json")
    assert (plan["base"], plan["head"]) == (review.git("rev-parse", "main~1"), review.git("rev-parse", "main"))
    documents = plan["documents"]
    assert (documents["added"], documents["changed"], documents["removed"]) == (
        ["RunRequest/now"], ["Schedule/nightly"], [],
    )  # fmt: skip
    (changed,) = plan["schedules"]
    assert changed["name"] == "nightly"
    fires = [(fire["instant"], fire["local"], fire["clockChange"]) for fire in changed["before"] + changed["after"]]
    assert fires == [
        ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00", "gap"),
        ("2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00", "offset"),
    ]
    assert [(start["cause"], start["job"], start["targets"]) for start in plan["startsAtOnce"]] == [
        ("RunRequest/now", "work", ["here"])
    ]
    assert [plan[key] for key in ("targets", "credentials", "blockedBy", "permissions", "findings")] == [[]] * 5


def test_the_same_commits_and_instant_give_the_same_bytes_and_nothing_is_written(review: Site) -> None:
    def everything() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(review.clone.rglob("*")) if path.is_file()}

    before = everything()
    first, second = (review.run("plan", "--base", "main~1", *FROM, "--format", "markdown") for _ in range(2))
    assert (first.returncode, first.stdout) == (0, second.stdout)
    assert everything() == before


def test_head_is_the_files_on_disk_where_it_is_left_out(review: Site) -> None:
    """As `validate` reads them: what is not committed yet counts too."""
    (review.clone / "definitions" / "work.yaml").write_text(job("work", "[{run: 'false'}]"))
    plan = review.json("plan", "--base", "HEAD", *FROM, "--format", "json")
    assert (plan["head"], plan["documents"]["changed"]) == ("files on disk", ["Job/work"])
    assert review.json("plan", str(review.source), "--base", "main~1", "--format", "json")["head"] == review.head(
        "main"
    )


def test_a_head_with_errors_exits_1_and_still_explains(review: Site) -> None:
    (review.clone / "definitions" / "bad.yaml").write_text(schedule("bad", "nowhere", "every: 1h"))
    done = review.run("plan", "--base", "HEAD", *FROM, "--format", "json")
    plan = json.loads(done.stdout)
    assert (done.returncode, plan["accepted"]) == (1, False)
    assert [(found["file"], found["code"]) for found in plan["findings"]] == [("definitions/bad.yaml", "OC305")]
    assert "Rejected" in review.run("plan", "--base", "HEAD", "--format", "markdown").stdout


def test_a_wrong_call_exits_2_and_says_what_is_wrong(review: Site) -> None:
    for arguments, said in (
        ((), "--base REV is missing"),
        (("--base", "nowhere"), "--base nowhere: no such commit here"),
        (("--base", "HEAD", "--head", "--all"), "--head --all: no such commit here"),
        (("--base", "HEAD", "--format", "yaml"), "text, json, markdown"),
        (("--base", "HEAD", "--from", "noon"), "not an instant"),
        (("--base", "HEAD", "--horizon", "367d"), "at most 366d"),
    ):
        done = review.run("plan", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def test_a_branch_that_lacks_commits_of_its_base_is_warned_of(review: Site) -> None:
    before = f"{review.head('main')}~1"
    apart = review.commit({"other.yaml": job("other", "[{run: 'true'}]")}, branch="topic", parent=before)
    review.pulled()
    done = review.run("plan", "--base", "main", "--head", apart)
    assert done.returncode == 0
    assert "git merge-base" in done.stderr


def test_impact_names_who_leans_on_a_document_and_by_which_way(review: Site) -> None:
    found = review.json("impact", "target", "here", "-o", "json")
    ways = {f"{one['kind']}/{one['name']}": [link["field"] for link in one["way"]] for one in found["impacts"]}
    assert ways == {
        "Job/work": ["spec.targets.names[0]"],
        "RunRequest/now": ["spec.jobRef", "spec.targets.names[0]"],
        "Schedule/nightly": ["spec.jobRef", "spec.targets.names[0]"],
    }
    missing = review.run("impact", "target", "hre")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "did you mean 'here'?" in missing.stderr


def test_impact_answers_from_what_is_well_formed_and_names_the_rest(review: Site) -> None:
    """A reference to nothing hides nothing; a document of the wrong form is missing from the answer."""
    (review.clone / "definitions" / "bad.yaml").write_text(schedule("bad", "nowhere", "every: 1h"))
    assert review.json("impact", "job", "work", "-o", "json")["unread"] == []
    (review.clone / "definitions" / "nightly.yaml").write_text("apiVersion: opsconductor/v1\nkind: Shedule\n")
    done = review.run("impact", "job", "work", "-o", "json")
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["impacts"]] == ["now"]
    assert [(one["file"], one["line"], one["column"], one["code"]) for one in found["unread"]] == [
        ("definitions/nightly.yaml", 2, 7, "OC210")
    ]
    assert (done.returncode, "definitions/nightly.yaml:2:7: OC210" in done.stderr) == (0, True)


def test_a_former_name_is_as_good_as_the_name(review: Site) -> None:
    renamed = LATER.replace("{name: nightly}", "{name: each-night, previousNames: [nightly]}")
    (review.clone / "definitions" / "nightly.yaml").write_text(renamed)
    impact = review.run("impact", "schedule", "nightly", "-o", "json")
    assert (impact.returncode, json.loads(impact.stdout)["name"]) == (0, "each-night"), impact.stderr
    assert "Schedule 'nightly' is called 'each-night' now" in impact.stderr
    why = review.run("why", "nightly", "2026-11-21T02:30:00Z", "-o", "json")
    assert (why.returncode, json.loads(why.stdout)["schedule"]) == (0, "each-night"), why.stderr


def test_offline_reads_a_remote_only_as_it_was_last_seen(review: Site) -> None:
    bare = review.root / "mirror.git"
    review.git("clone", "--quiet", "--bare", str(review.source), str(bare))
    for command in (("impact", "job", "work"), ("next",)):
        never = review.run(*command, "--repo", str(bare), "--offline")
        assert (never.returncode, "without --offline" in never.stderr) == (2, True), never.stderr
    assert review.json("next", "--repo", str(bare), "-o", "json")["fires"]
    review.commit({"nightly.yaml": None})
    gone = review.json("next", "--repo", str(bare), "-o", "json", "--offline")
    assert {fire["schedule"] for fire in gone["fires"]} == {"nightly"}
    assert review.json("next", "--repo", str(bare), "-o", "json")["fires"] == []


@pytest.mark.slow
def test_why_tells_what_was_decided_from_which_commit_by_which_rule(site: Make) -> None:
    held = 'every: 2s, suspend: {reason: "the audit"}'
    here = site({
        "work.yaml": WORK,
        "often.yaml": schedule("often", "work", "every: 2s"),
        "held.yaml": schedule("held", "work", held),
    })  # fmt: skip
    commit = here.head("main")
    here.up()
    run = here.ended("work")[0]
    due = instant(run["spec"]["cause"]["instant"])
    here.wait(lambda: any(path.startswith("decisions/") for path in here.tree()), what="a skip of `held`")
    here.daemons[0].stop()

    ran = _why(here, "often", due.isoformat())
    assert (ran["decision"], ran["commit"], ran["rule"]) == (
        "run", commit, "every: 2s, counted from 1970-01-01T00:00:00Z",
    )  # fmt: skip
    assert (ran["run"]["id"], ran["run"]["state"]) == (run["metadata"]["name"], "succeeded")

    skipped = _why(here, "held")
    assert (skipped["decision"], skipped["reason"], skipped["commit"]) == ("skipped", "suspended", commit)
    assert skipped["why"][0] == "the schedule was suspended: the audit"

    future = _why(here, "often", (due + timedelta(days=900)).isoformat())
    assert (future["decision"], future["commit"]) == ("willRun", commit)
    assert _why(here, "held", (due + timedelta(days=900)).isoformat())["decision"] == "willSkip"

    past = _why(here, "often", (due - timedelta(days=1)).isoformat())
    assert past["decision"] == "notConsidered"

    odd = _why(here, "often", (due + timedelta(seconds=1)).isoformat())
    assert (odd["decision"], instant(odd["nearest"]["before"])) == ("notDue", due)

    last, following = here.json("why", "often", "-o", "json")["answers"]
    assert last["decision"] == "run"
    assert instant(following["instant"]) - instant(last["instant"]) == timedelta(seconds=2)
    assert "due by every: 2s" in here.run("why", "often").stdout

    unknown = here.run("why", "oftn")
    assert (unknown.returncode, "did you mean 'often'?" in unknown.stderr) == (1, True)
    assert here.run("why", "often", "noon").returncode == 2


def _why(site: Site, *question: str) -> Any:
    return site.json("why", *question, "-o", "json")["answers"][0]


def test_a_partial_clone_is_said_to_be_one_and_can_be_completed(site: Make) -> None:
    """What git would fetch when it needs it is no damage; the command that the message gives mends it."""
    here = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello}")})
    here.git("config", "uploadpack.allowFilter", "true")
    partial = here.root / "partial"
    address = f"file://{here.source}"
    here._git(None, "clone", "--quiet", "--filter=blob:none", "--no-checkout", address, str(partial))
    done = here.run("validate", "--rev", "HEAD", cwd=partial)
    assert done.returncode == 1
    assert "is a partial clone" in done.stderr
    assert "damaged" not in done.stderr
    advice = re.findall("`git (.*?)`", done.stderr)
    assert len(advice) == 1
    here._git(partial, *advice[0].split())
    assert here.run("validate", "--rev", "HEAD", cwd=partial).returncode == 0
