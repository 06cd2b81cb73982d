"""Schedules start runs, and the status branch tells all of it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.acceptance.site import STATUS, Site, instant, job, schedule, soon, steps_of

Make = Callable[..., Site]

MEASURE = job(
    "measure",
    """
    - {id: look, run: echo 41, outputs: {used: "${{ int(stdout) }}"}}
    - {id: tell, run: 'echo "${{ steps.look.outputs.used }} ${{ params.unit }}"', outputs: {text: "${{ stdout }}"}}
    - {id: skipped, if: "${{ steps.look.outputs.used > 99 }}", run: exit 1}
    """,
    """
    params: {unit: {type: string, default: percent}}
    outputs: {text: "${{ steps.tell.outputs.text }}"}
    """,
)


def test_every_and_at_start_runs_on_time(site: Make) -> None:
    """`at` once, `every` at each multiple since 1970; both with params of their own."""
    here = site({"measure.yaml": MEASURE})
    here.up()
    when = soon(6)  # of a busy engine, too, a commit is in force by then
    here.commit({
        "once.yaml": schedule("once", "measure", f"at: {when}, params: {{unit: litres}}"),
        "often.yaml": schedule("often", "measure", "every: 3s, params: {unit: metres}"),
    })  # fmt: skip
    here.wait(lambda: _of(here, "once") and len(_of(here, "often")) >= 2, what="a run of `once`, two of `often`")
    here.daemons[0].stop()
    (once,) = _of(here, "once")
    assert instant(once["spec"]["cause"]["instant"]) == instant(when)
    assert steps_of(once)["tell"]["outputs"]["text"] == "41 litres"
    for run in _of(here, "often"):
        due = instant(run["spec"]["cause"]["instant"])
        assert due.timestamp() % 3 == 0
        assert timedelta(0) <= instant(run["status"]["queuedAt"]) - due < timedelta(seconds=5)
        assert steps_of(run)["tell"]["outputs"]["text"] == "41 metres"


def _of(site: Site, name: str) -> list[Any]:
    ended = [run for run in site.runs() if run["status"]["state"] == "succeeded"]
    return [run for run in ended if run["spec"]["cause"]["name"] == name]


@pytest.mark.slow
def test_cron_starts_runs_at_the_minute(site: Make) -> None:
    """A cron line in a zone of its own fires at the full minute."""
    here = site(
        {"measure.yaml": MEASURE, "c.yaml": schedule("c", "measure", 'cron: "* * * * *", timeZone: Asia/Tokyo')}
    )
    here.up()
    (run, *_) = here.ended("measure", timeout=100)
    due = instant(run["spec"]["cause"]["instant"])
    assert due.second == 0
    assert instant(run["status"]["startedAt"]) - due < timedelta(seconds=5)


def test_a_run_file_has_the_shape_of_the_contract(site: Make) -> None:
    """Each field by name and type, in its folder and with an id computed from its cause."""
    here = site({"measure.yaml": MEASURE, "often.yaml": schedule("often", "measure", "every: 2s")})
    commit = here.up() and here.head("main")
    run = here.ended("measure")[0]
    due = instant(run["spec"]["cause"]["instant"])
    name = run["metadata"]["name"]
    assert re.fullmatch(rf"measure-{due:%Y%m%dT%H%M%SZ}-[0-9a-f]{{10}}", name)
    assert f"runs/{due:%Y/%m/%d}/{name}.yaml" in here.tree()
    assert (run["apiVersion"], run["kind"]) == ("opsconductor/v1", "Run")
    assert run["spec"] == {
        "job": "measure",
        "commit": commit,
        "cause": {"kind": "schedule", "name": "often", "instant": run["spec"]["cause"]["instant"]},
        "params": {"unit": "percent"},
        "targets": ["here"],
        "libraries": {},
    }
    status = run["status"]
    order = ["state", "queuedAt", "startedAt", "finishedAt", "reason", "attempt", "runner", "outputs", "targets"]
    assert [key for key in status if key in order] == order, "stable key order"
    assert (status["state"], status["reason"], status["attempt"]) == ("succeeded", None, 1)
    assert instant(status["queuedAt"]) <= instant(status["startedAt"]) <= instant(status["finishedAt"])
    assert re.fullmatch(r"default/[0-9a-f]+", status["runner"])
    assert status["outputs"] == {"text": {"here": "41 percent"}}
    target = status["targets"]["here"]
    assert (target["state"], target["outputs"]) == ("succeeded", {"text": "41 percent"})
    look, tell, skipped = target["steps"]
    assert (look["id"], look["state"], look["exitCode"], look["outputs"]) == ("look", "succeeded", 0, {"used": 41})
    assert 0 < look["duration"] < 5
    assert isinstance(look["log"], str)
    assert tell["outputs"] == {"text": "41 percent"}
    assert (skipped["id"], skipped["state"]) == ("skipped", "skipped")
    assert not {"stdoutTail", "stderrTail"} & set(look)


def test_status_of_jobs_schedules_and_targets_stands_beside_it(site: Make) -> None:
    """JobStatus, ScheduleStatus and TargetStatus name the run; README.md links to it and shows what is next."""
    here = site({
        "measure.yaml": MEASURE,
        "bad.yaml": job("bad", "- {id: no, run: 'echo because >&2; exit 2'}"),
        "often.yaml": schedule("often", "measure", "every: 10s"),
        "rarely.yaml": schedule("rarely", "bad", "cron: '0 0 29 2 *', timeZone: UTC"),
    })  # fmt: skip
    here.up()
    here.request("break", "jobRef: bad")
    bad = here.ended("bad")[0]["metadata"]["name"]
    run = here.ended("measure")[-1]
    here.daemons[0].stop()
    run = here.runs("measure")[-1]
    job_status = here.status("jobs/measure.yaml")
    assert job_status["lastRun"]["run"] == run["metadata"]["name"]
    assert job_status["lastRun"]["state"] == "succeeded"
    assert job_status["consecutiveFailures"] == 0
    assert here.status("jobs/bad.yaml")["consecutiveFailures"] == 1
    assert here.status("jobs/bad.yaml")["lastRun"]["run"] == bad
    assert ["bad", "failed", bad] in [line.split() for line in here.run("get", "jobstatus").stdout.splitlines()]
    schedule_status = here.status("schedules/often.yaml")
    assert schedule_status["lastDecision"]["run"] == run["metadata"]["name"]
    assert instant(schedule_status["next"]) > instant(run["spec"]["cause"]["instant"])
    assert here.status("schedules/rarely.yaml")["lastDecision"] is None
    assert here.status("targets/here.yaml")["run"] in (run["metadata"]["name"], bad)
    for path, kind in [
        ("jobs/bad", "JobStatus"),
        ("schedules/often", "ScheduleStatus"),
        ("targets/here", "TargetStatus"),
    ]:
        assert f"kind: {kind}\n" in here.text(f"{path}.yaml")
    page = here.text("README.md")
    failing = page.split("## Failing")[1].split("##")[0]
    assert "bad" in failing
    assert "measure" in page
    assert f"{bad}.yaml" in page
    assert "often" in page


@pytest.mark.slow
def test_status_commits_are_polite(site: Make) -> None:
    """Messages end in [skip ci]; a result is published within 15 s; nothing is committed while nothing changes."""
    here = site({"measure.yaml": MEASURE})
    here.up()
    run = here.asked("one", "jobRef: measure")
    published = int(here.git("log", "-1", "--format=%ct", STATUS))
    assert published - instant(run["status"]["finishedAt"]).timestamp() < 15
    settled = here.wait(lambda: here.status("targets/here.yaml") and here.head(), what="the last status file")
    here.stays(here.head, seconds=4)
    assert here.head() == settled
    subjects = here.git("log", "--format=%s", STATUS).splitlines()
    assert subjects
    assert all(subject.endswith("[skip ci]") for subject in subjects)
    assert "\n" not in here.git("rev-list", "--min-parents=2", STATUS)


@pytest.mark.slow
def test_overlap_is_recorded(site: Make) -> None:
    """Limit 1 with queueOne: one runs, one waits, the newer is `skipped: overlap` in decisions/, and counted."""
    here = site({
        "slow.yaml": job("slow", "- run: sleep 7"),
        "often.yaml": schedule("often", "slow", "every: 2s"),
    })  # fmt: skip
    here.commit(
        {
            "slow.yaml": job(
                "slow", f"- run: 'echo begin >> {here.effects}/slow; sleep 7; echo end >> {here.effects}/slow'"
            )
        }
    )
    here.up()

    def overlap() -> Any:
        import yaml

        for path, text in here.tree().items():
            if path.startswith("decisions/"):
                for record in yaml.safe_load(text)["decisions"]:
                    if record["reason"] == "overlap" and record["count"] >= 2:
                        return record
        return None

    record = here.wait(overlap, what="two skips for overlap", timeout=60)
    assert record["schedule"] == "often"
    assert instant(record["to"]) - instant(record["from"]) == timedelta(seconds=2 * (record["count"] - 1))
    assert [run["status"]["state"] for run in here.runs("slow")].count("running") <= 1
    here.ended("slow", 2, timeout=60)
    lines = here.left("slow")
    assert lines[:4] == ["begin", "end", "begin", "end"], "never two at once"


@pytest.mark.slow
def test_a_suspended_schedule_says_so_and_catches_nothing_up(site: Make) -> None:
    """Suspended instants are decided and recorded; ending the suspension starts afresh."""
    quiet = schedule("often", "measure", "every: 2s, suspend: {reason: moving house}, catchUp: {policy: all}")
    here = site({"measure.yaml": MEASURE, "often.yaml": quiet})
    here.up()
    here.wait(lambda: any("suspended" in text for path, text in here.tree().items() if path.startswith("decisions/")))
    table = here.run("get", "decisions", "often").stdout.splitlines()
    assert table[0].split() == ["SCHEDULE", "FROM", "TO", "COUNT", "REASON"]
    assert table[1].split()[0] == "often" and table[1].split()[-1] == "suspended"
    none = here.run("get", "decisions", "rarely")
    assert (none.returncode, none.stdout, none.stderr) == (1, "", "no Decision 'rarely' found\n")
    assert here.runs("measure") == []
    awake = here.commit({"often.yaml": quiet.replace("suspend: {reason: moving house}, ", "")})
    here.in_force(awake)
    considered = instant(here.status("schedules/often.yaml")["consideredFrom"])
    first = here.ended("measure")[0]
    assert instant(first["spec"]["cause"]["instant"]) >= considered
