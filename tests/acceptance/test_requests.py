"""Asking for runs: by the command line and by committed requests, consumed exactly once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.site import MAIN, REQUESTS, Site, job, steps_of

Make = Callable[..., Site]

COUNT = job(
    "count",
    "- {id: note, run: 'echo \"${{ params.word }}\" >> EFFECTS/count'}",
    "params: {word: {type: string, default: none}}",
)
FAILS = job("fails", "- {id: no, run: exit 3}")
SLEEPS = job("sleeps", "- {id: nap, run: sleep 600}")
THERE = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: there, labels: {place: elsewhere}}
    spec: {host: localhost, connections: {local: {}}}
"""
BROKEN = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: broken}\nspec: {stepz: []}\n"


@pytest.fixture
def here(bare: Site) -> Site:
    """A site with a job that leaves traces, one that fails and one that sleeps; its engine runs."""
    from tests.acceptance.site import HERE

    count = COUNT.replace("EFFECTS", str(bare.effects))
    both = job("both", "- {id: who, run: 'echo x'}", "targets: {names: [here, there]}")
    bare.create({
        "here.yaml": HERE, "there.yaml": THERE, "count.yaml": count, "fails.yaml": FAILS, "sleeps.yaml": SLEEPS,
        "both.yaml": both,
    })  # fmt: skip
    bare.pulled()
    bare.up()
    return bare


def test_run_with_wait_follows_to_the_end(here: Site) -> None:
    """`run JOB -p k=v --wait` starts it with that param; exit 0 succeeded, 1 failed, 3 still open."""
    done = here.run("run", "count", "-p", "word=hello", "--reason", "because", "--wait")
    assert done.returncode == 0, done.stderr
    assert here.left("count") == ["hello"]
    (run,) = here.runs("count")
    assert run["spec"]["params"] == {"word": "hello"}
    assert run["spec"]["cause"]["kind"] == "request"
    assert "ann@example.org" in str(run["spec"]["cause"]["requestedBy"])
    assert run["metadata"]["name"] in done.stdout + done.stderr
    assert here.run("run", "fails", "--wait").returncode == 1
    open_ = here.run("run", "sleeps", "--wait", "--timeout", "5s")
    assert open_.returncode == 3, open_.stderr
    here.running("sleeps")
    assert here.git("rev-list", "--count", MAIN) == "1", "acts go to the requests branch"


def test_a_wish_that_cannot_be_is_refused_with_a_reason(here: Site) -> None:
    """An unknown job, a param of the wrong type, a limit that matches nothing: exit 1 or 2 and a reason in git."""
    unknown = here.run("run", "cuont", "--wait")
    assert unknown.returncode in (1, 2)
    assert "cuont" in unknown.stderr
    here.request("no-such-job", "jobRef: cuont")
    here.request("bad-param", "jobRef: count, params: {word: [1]}")
    here.request("unknown-param", "jobRef: count, params: {wrod: a}")
    here.request("nobody", "jobRef: count, limit: {names: [there]}")
    here.request("expired", f"jobRef: count, expiresAt: {_in(-60)}")
    for name in ("no-such-job", "bad-param", "unknown-param", "nobody", "expired"):
        answer = here.answered(name)
        assert answer["state"] == "refused", name
        assert answer["reason"], name
        assert answer["run"] is None, name
    assert here.left("count") == []
    assert "kind: RequestStatus\n" in here.text("requests/expired.yaml")


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.slow
def test_limit_narrows_and_exec_takes_a_selector(here: Site) -> None:
    """`--limit` and `exec L -- COMMAND`: a label selector or names with commas."""
    assert here.run("run", "both", "--limit", "place=elsewhere", "--wait").returncode == 0
    assert here.runs("both")[0]["spec"]["targets"] == ["there"]
    done = here.run("exec", "here,there", "--wait", "--", "echo", "it's  $HOME; true")
    assert done.returncode == 0, done.stderr
    run = here.runs()[-1]
    assert run["spec"]["targets"] == ["here", "there"]
    logs = here.run("logs", run["metadata"]["name"])
    assert "it's  $HOME; true" in logs.stdout, "several words are a command, not a script"
    assert here.run("exec", "place", "--wait", "--", "exit 4").returncode == 1, "one word is a script"


@pytest.mark.slow
def test_cancel_by_command(here: Site) -> None:
    """`cancel RUN --wait` ends it and returns 0; whoever waits for the run gets 1."""
    waiting = here.spawn("run", "sleeps", "--wait", cwd=here.clone)
    run = here.running("sleeps")
    done = here.run("cancel", run["metadata"]["name"], "--reason", "enough", "--wait")
    assert done.returncode == 0, done.stderr
    (run,) = here.runs("sleeps")
    assert run["status"]["state"] == "cancelled"
    assert waiting.ended() == 1
    again = here.run("cancel", run["metadata"]["name"], "--wait")
    assert again.returncode in (0, 1), "a run that has ended cannot be cancelled; saying so is enough"
    assert here.runs("sleeps")[0] == run


@pytest.mark.parametrize("branch", [REQUESTS, MAIN])
def test_a_committed_request_is_consumed_once(here: Site, branch: str) -> None:
    """On either branch; editing, deleting, reverting or moving its file starts nothing again."""
    first = here.request("only", "jobRef: count, params: {word: once}", branch=branch)
    answer = here.answered("only")
    assert answer["state"] == "done"
    assert answer["run"] == here.ended("count")[0]["metadata"]["name"]
    assert here.left("count") == ["once"]
    tip = here.head(branch)
    assert tip == first
    path = "requests/only.yaml" if branch == REQUESTS else "definitions/requests/only.yaml"
    other = path.replace("only.yaml", "moved/elsewhere.yaml")
    text = here.git("show", f"{branch}:{path}") + "\n"
    here.commit({path: text.replace("once", "twice")}, branch=branch, message="edit")
    here.commit({path: None}, branch=branch, message="delete")
    here.commit({path: text}, branch=branch, message="revert")
    here.commit({path: None, other: text}, branch=branch, message="move")
    last = here.request("marker", "jobRef: count, params: {word: last}", branch=branch)
    assert here.answered("marker")["state"] == "done"
    assert here.head(branch) == last
    assert here.left("count") == ["once", "last"]
    assert len(here.runs("count")) == 2


@pytest.mark.slow
def test_the_first_accepted_commit_brings_no_runs(bare: Site) -> None:
    """A request that was there before the engine is refused: a copied repository repeats nothing."""
    from tests.acceptance.site import HERE

    bare.create({"here.yaml": HERE, "count.yaml": COUNT.replace("EFFECTS", str(bare.effects))})
    bare.request("old", "jobRef: count", branch=MAIN)
    bare.request("older", "jobRef: count", branch=REQUESTS)
    bare.up()
    assert bare.answered("old")["state"] == "refused"
    assert bare.answered("older")["state"] == "refused"
    bare.asked("new", "jobRef: count, params: {word: new}")
    assert bare.left("count") == ["new"]


def test_run_with_wait_ends_where_no_commit_was_ever_accepted(bare: Site) -> None:
    """The first error says what keeps the engine; the request waits until that is mended."""
    from tests.acceptance.site import HERE

    bad = bare.create({"here.yaml": HERE, "broken.yaml": BROKEN, "a-warning.yml": HERE})
    bare.start()
    bare.rejected(bad)
    done = bare.run("run", "count", "--wait", "--timeout", "20s")
    assert done.returncode == 3, done.stderr
    assert "no commit was accepted yet; see 'opsconductor get sync'" in done.stderr
    assert "definitions/broken.yaml:" in done.stderr
    assert "the request waits for the first commit that is accepted" in done.stderr
    assert done.stdout == ""


def test_who_asks_where_no_engine_was_hears_of_it(bare: Site) -> None:
    from tests.acceptance.site import HERE

    bare.create({"here.yaml": HERE, "count.yaml": COUNT})
    bare.pulled()
    done = bare.run("run", "count")
    assert done.returncode == 0
    assert "no engine was seen here yet; start one with 'opsconductor up'" in done.stderr


@pytest.mark.slow
def test_acts_work_while_the_definitions_branch_is_broken(here: Site) -> None:
    """Run, exec and cancel go by the last good commit; a broken act on main does not block definitions."""
    good = here.head(MAIN)
    bad = here.commit({"broken.yaml": BROKEN})
    here.rejected(bad)
    assert here.run("run", "count", "-p", "word=cli", "--wait").returncode == 0
    assert here.run("exec", "here", "--wait", "--", "true").returncode == 0
    here.asked("on-main", "jobRef: count, params: {word: main}", branch=MAIN)
    here.request("nap", "jobRef: sleeps", branch=MAIN)
    run = here.running("sleeps")["metadata"]["name"]
    assert here.run("cancel", run, "--wait").returncode == 0
    here.request("again", "jobRef: sleeps")
    here.wait(lambda: len(here.runs("sleeps")) == 2, what="a second run")
    second = here.running("sleeps")["metadata"]["name"]
    here.request("stop", f"action: cancel, run: {second}, reason: enough", branch=MAIN)
    assert here.answered("stop")["state"] == "done"
    assert here.wait(lambda: here.run_file(second)["status"]["state"] == "cancelled", what="the end of it")
    assert here.sync()["appliedCommit"] == good, "all the while nothing of the broken branch is in force"
    assert here.left("count") == ["cli", "main"]
    assert {run["spec"]["commit"] for run in here.runs()} == {good}


@pytest.mark.slow
def test_a_broken_act_blocks_nothing(here: Site) -> None:
    """It is refused alone, by its name; definitions and other acts of the same commit go their way."""
    fine = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: fine}\nspec: {jobRef: count}\n"
    odd = fine.replace("name: fine", "name: odd").replace("jobRef", "jobReff")
    commit = here.commit({"a.yaml": odd, "b.yaml": fine})
    here.in_force(commit)
    assert here.answered("fine")["state"] == "done"
    assert "jobReff" in here.text("sync.yaml") + here.text("requests/odd.yaml"), "its author is told"
    assert here.sync()["appliedCommit"] == commit
    other = fine.replace("name: fine", "name: other")
    here.commit(
        {"requests/other.yaml": other, "requests/strange.yaml": odd.replace("name: odd", "name: strange")},
        branch=REQUESTS,
    )
    assert here.answered("other")["state"] == "done"
    answer = here.answered("strange")
    assert answer["state"] == "refused"
    assert answer["reason"]
    here.commit({"requests/nonsense.yaml": "[", "notes.txt": "not an act"}, branch=REQUESTS)
    here.asked("last", "jobRef: count")


@pytest.mark.slow
def test_on_branch_asks_on_the_definitions_branch(here: Site) -> None:
    """`--on-branch` commits the act to main, where protection and review may stand."""
    before = here.head(MAIN)
    done = here.run("run", "count", "--on-branch", "--wait")
    assert done.returncode == 0, done.stderr
    assert here.git("rev-list", "--count", f"{before}..{MAIN}") == "1"
    assert here.head(REQUESTS) is None
    assert len(here.left("count")) == 1


@pytest.mark.slow
def test_not_before_waits(here: Site) -> None:
    """`notBefore` is the run's instant; it starts no earlier."""
    when = _in(6)
    run = here.asked("later", f"jobRef: count, notBefore: {when}")
    assert run["spec"]["cause"]["instant"].strftime("%Y-%m-%dT%H:%M:%SZ") == when
    assert run["status"]["startedAt"] >= run["spec"]["cause"]["instant"]


@pytest.mark.slow
def test_an_inline_job_runs_once(here: Site) -> None:
    """`job: {steps, targets}` needs no Job document."""
    run = here.asked(
        "inline", "job: {targets: {names: [there]}, steps: [{id: a, run: echo hi, outputs: {t: '${{ stdout }}'}}]}"
    )
    assert steps_of(run, "there")["a"]["outputs"] == {"t": "hi"}


@pytest.mark.slow
def test_a_queued_run_can_be_cancelled(here: Site) -> None:
    """Limit 1: the second waits its turn, and may be cancelled before it starts."""
    here.request("one", "jobRef: sleeps")
    here.running("sleeps")
    here.request("two", "jobRef: sleeps")
    waiting = here.wait(
        lambda: [r for r in here.runs("sleeps") if r["status"]["state"] in ("queued", "waiting")], what="a queued run"
    )
    name = waiting[0]["metadata"]["name"]
    assert "it has not started yet" in here.run("logs", name).stderr
    assert here.run("cancel", name, "--wait").returncode == 0
    run = here.run_file(name)
    assert run["status"]["state"] == "cancelled"
    assert run["status"]["startedAt"] is None
    logs = here.run("logs", name)
    assert (logs.returncode, logs.stdout) == (0, "")
    assert logs.stderr == f"{name}: cancelled (cancelled by ann@example.org); it never started\n"
