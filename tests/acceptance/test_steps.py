"""What a job's steps may say, each shown by one run. One engine runs them all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import HERE, Site, alive, job, steps_of

JOBS = {
    "passing": job(
        "passing",
        """
        - id: count
          run: echo 41
          outputs: {n: "${{ int(stdout) }}", even: "${{ int(stdout) % 2 == 0 }}"}
        - id: add
          run: |
            echo "$(( $NUMBER + 1 ))"
          env: {NUMBER: "${{ steps.count.outputs.n }}"}
          outputs: {n: "${{ int(stdout) }}"}
        - id: say
          run: echo "got ${{ steps.add.outputs.n }} of ${{ params.who }} on ${{ target.name }}"
          outputs: {text: "${{ stdout }}"}
        """,
        """
        params: {who: {type: string, default: Ann}}
        outputs: {text: "${{ steps.say.outputs.text }}", n: "${{ steps.add.outputs.n }}"}
        """,
    ),
    "conditions": job(
        "conditions",
        """
        - {id: high, if: "${{ params.level > 2 }}", run: echo yes}
        - {id: higher, if: params.level > 5, run: echo no}
        - {id: after, if: "${{ steps.higher.state == 'skipped' }}", run: echo after}
        - {id: broken, if: "${{ steps.high.json.missing == 1 }}", run: echo never}
        """,
        "params: {level: {type: integer, default: 3}}",
    ),
    "environment": job(
        "environment",
        """
        - {id: job, run: 'echo "$COLOUR $SIZE"', outputs: {text: "${{ stdout }}"}}
        - {id: step, run: 'echo "$COLOUR $SIZE"', env: {COLOUR: blue}, outputs: {text: "${{ stdout }}"}}
        - {id: folder, run: pwd, workingDir: /tmp, outputs: {text: "${{ stdout }}"}}
        """,
        "env: {COLOUR: red, SIZE: 7}",
    ),
    "input": job(
        "input",
        """
        - id: read
          stdin: "first ${{ params.word }}\\nsecond\\n"
          run: cat
          outputs: {text: "${{ stdout }}"}
        - id: none
          run: wc -c
          outputs: {read: "${{ int(stdout) }}"}
        """,
        """params: {word: {type: string, default: "$(touch /tmp/never) 'x' \\"y\\" `z` ünï"}}""",
    ),
    "shells": job(
        "shells",
        """
        - {id: posix, shell: sh, run: 'echo "${{ params.v }}"', outputs: {text: "${{ stdout }}"}}
        - {id: bash, shell: bash, run: 'a=(1 2 3); echo "${#a[@]} ${{ params.v }}"', outputs: {text: "${{ stdout }}"}}
        - id: python
          shell: python3
          run: |
            import json
            print(json.dumps({"value": ${{ params.v }}, "list": [1, 2]}))
          outputs: {value: "${{ json.value }}", second: "${{ json.list[1] }}"}
        """,
        """params: {v: {type: string, default: "a 'b' \\"c\\" $HOME $(id) \\\\ d"}}""",
    ),
    "exits": job(
        "exits",
        """
        - {id: three, run: exit 3, okExitCodes: [0, 3]}
        - {id: four, run: 'echo out; echo err >&2; exit 4', continueOnError: true}
        - {id: listed, run: exit 7, okExitCodes: [0, "${{ exitCode > 6 ? exitCode : 1 }}"]}
        - {id: judged, run: 'echo fine; exit 9', okExitCodes: "${{ exitCode == 9 && stdout == 'fine' }}"}
        - {id: last, run: echo on}
        """,
    ),
    "failure": job(
        "failure",
        """
        - {id: good, run: echo on}
        - {id: bad, run: 'echo some words; echo and reasons >&2; exit 7'}
        - {id: never, run: 'echo never >> EFFECTS/failure'}
        - {id: anyhow, if: "${{ failure() }}", run: echo tidy}
        """,
        "finally: [{id: last, run: 'echo finally >> EFFECTS/failure'}]",
    ),
    "timeout": job(
        "timeout",
        """
        - {id: hangs, timeout: 2s, run: 'echo $$ >> EFFECTS/timeout; sleep 600 & echo $! >> EFFECTS/timeout; wait'}
        - {id: never, run: 'echo never >> EFFECTS/after-timeout'}
        """,
        "finally: [{run: 'echo finally >> EFFECTS/after-timeout'}]",
    ),
    "joblimit": job(
        "joblimit",
        "- {id: hangs, run: sleep 600}\n- {id: never, run: 'echo never >> EFFECTS/joblimit'}",
        "timeout: 2s\nfinally: [{run: 'echo finally >> EFFECTS/joblimit'}]",
    ),
    "cancelled": job(
        "cancelled",
        "- {id: hangs, run: 'echo $$ >> EFFECTS/cancelled; sleep 600'}",
        "finally: [{run: 'echo finally >> EFFECTS/after-cancel'}]",
    ),
    "data": job(
        "data",
        """
        - {id: hostile, run: "printf '%s{{ 1 + 1 }} $(touch EFFECTS/injected)' '$'", outputs: {text: "${{ stdout }}"}}
        - {id: use, run: 'echo "${{ steps.hostile.outputs.text }}"', outputs: {text: "${{ stdout }}"}}
        """,
    ),
    "types": job(
        "types",
        """
        - {id: right, uses: assert, with: {that: "${{ params.n == 1 }}", message: one is one}}
        - {id: wrong, uses: assert, with: {that: "${{ params.n == 2 }}", message: one is not two}}
        """,
        "params: {n: {type: integer, default: 1}}",
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, Any]]]:
    """The site, and each job's Run file: all asked for in one commit."""
    here = Site(tmp_path_factory.mktemp("steps")).prepare()
    here.create({"here.yaml": HERE, **{f"{n}.yaml": t.replace("EFFECTS", str(here.effects)) for n, t in JOBS.items()}})
    try:
        here.up()
        request = "apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name: ask-NAME}\nspec: {jobRef: NAME}\n"
        here.commit(
            {f"requests/ask-{name}.yaml": request.replace("NAME", name) for name in JOBS},
            branch="opsconductor/requests",
        )
        here.wait(lambda: here.left("cancelled"), what="the start of the job to be cancelled")
        run = here.running("cancelled")["metadata"]["name"]
        here.request("end-it", f"action: cancel, run: {run}")
        runs = {name: here.ended(name, timeout=60)[0] for name in JOBS}
        yield here, runs
    finally:
        here.close()


Finished = tuple[Site, dict[str, Any]]


def test_outputs_pass_from_step_to_step_with_their_types(finished: Finished) -> None:
    """`${{ steps.x.outputs.y }}` keeps numbers and booleans; the job's outputs are given by target."""
    _, runs = finished
    steps = steps_of(runs["passing"])
    assert steps["count"]["outputs"] == {"n": 41, "even": False}
    assert steps["add"]["outputs"] == {"n": 42}
    assert steps["say"]["outputs"] == {"text": "got 42 of Ann on here"}
    assert runs["passing"]["status"]["targets"]["here"]["outputs"] == {"text": "got 42 of Ann on here", "n": 42}
    assert runs["passing"]["status"]["outputs"] == {"text": {"here": "got 42 of Ann on here"}, "n": {"here": 42}}


def test_a_condition_skips_and_a_broken_one_fails(finished: Finished) -> None:
    """`if` is an expression with or without the marks; one that cannot be evaluated never skips its step."""
    _, runs = finished
    steps = steps_of(runs["conditions"])
    states = {name: step["state"] for name, step in steps.items()}
    assert states == {"high": "succeeded", "higher": "skipped", "after": "succeeded", "broken": "failed"}
    assert steps["broken"]["error"]
    assert runs["conditions"]["status"]["state"] == "failed"


def test_environment_and_folder(finished: Finished) -> None:
    """A step's `env` goes over the job's; `workingDir` is where it runs."""
    _, runs = finished
    steps = steps_of(runs["environment"])
    assert steps["job"]["outputs"]["text"] == "red 7"
    assert steps["step"]["outputs"]["text"] == "blue 7"
    assert steps["folder"]["outputs"]["text"] == "/tmp"


def test_standard_input_is_what_was_given_and_otherwise_empty(finished: Finished) -> None:
    """`stdin` reaches the script unchanged, whatever stands in it; without it there is nothing to read."""
    _, runs = finished
    steps = steps_of(runs["input"])
    assert steps["read"]["outputs"]["text"] == "first $(touch /tmp/never) 'x' \"y\" `z` ünï\nsecond"
    assert steps["none"]["outputs"]["read"] == 0
    assert not Path("/tmp/never").exists()


def test_expressions_are_bound_in_every_shell_and_never_spliced(finished: Finished) -> None:
    """sh, bash and python3 get the value itself: quotes, dollars and backslashes are only text."""
    _, runs = finished
    value = "a 'b' \"c\" $HOME $(id) \\ d"
    steps = steps_of(runs["shells"])
    assert steps["posix"]["outputs"]["text"].replace("\\\\", "\\") == value
    assert steps["bash"]["outputs"]["text"] == f"3 {value}"
    assert steps["python"]["outputs"] == {"value": value, "second": 2}


def test_which_exit_codes_count(finished: Finished) -> None:
    """`okExitCodes` by list or expression; `continueOnError` notes the failure and goes on."""
    _, runs = finished
    steps = steps_of(runs["exits"])
    assert (steps["three"]["state"], steps["three"]["exitCode"]) == ("succeeded", 3)
    assert (steps["four"]["state"], steps["four"]["exitCode"], steps["four"]["continued"]) == ("failed", 4, True)
    assert (steps["listed"]["state"], steps["listed"]["exitCode"]) == ("succeeded", 7)
    assert (steps["judged"]["state"], steps["judged"]["exitCode"]) == ("succeeded", 9)
    assert steps["last"]["state"] == "succeeded"
    assert runs["exits"]["status"]["state"] == "succeeded"


def test_a_failure_ends_the_job_and_finally_still_runs(finished: Finished) -> None:
    """Later steps are skipped, `if: failure()` and `finally` run; tails of the failed step stand in the Run file."""
    here, runs = finished
    steps = steps_of(runs["failure"])
    assert steps["bad"]["state"] == "failed"
    assert steps["bad"]["exitCode"] == 7
    assert steps["bad"]["stdoutTail"].strip() == "some words"
    assert steps["bad"]["stderrTail"].strip() == "and reasons"
    assert "stdoutTail" not in steps["good"], "tails only for steps that did not succeed"
    assert steps.get("never", {"state": "skipped"})["state"] == "skipped"
    assert steps["last"]["state"] == "succeeded"
    assert here.left("failure") == ["finally"]
    assert runs["failure"]["status"]["state"] == "failed"


def test_a_timeout_ends_the_whole_process_group(finished: Finished) -> None:
    """`timeout` ends the step and what it started in its session; `finally` runs; the run is timedOut."""
    here, runs = finished
    assert steps_of(runs["timeout"])["hangs"]["state"] == "timedOut"
    assert runs["timeout"]["status"]["state"] == "timedOut"
    shell, child = (int(pid) for pid in here.left("timeout"))
    assert not alive(shell)
    assert not alive(child)
    assert here.left("after-timeout") == ["finally"]


def test_a_jobs_timeout_ends_it_with_its_finally(finished: Finished) -> None:
    """The limit of the run is kept, and `finally` has a limit of its own."""
    here, runs = finished
    assert runs["joblimit"]["status"]["state"] == "timedOut"
    assert here.left("joblimit") == ["finally"]


def test_a_cancelled_run_ends_its_processes_and_runs_finally(finished: Finished) -> None:
    """A committed `action: cancel` ends the step's processes; `finally` runs; the run is cancelled."""
    here, runs = finished
    assert runs["cancelled"]["status"]["state"] == "cancelled"
    assert steps_of(runs["cancelled"])["hangs"]["state"] == "cancelled"
    assert not alive(int(here.left("cancelled")[0]))
    assert here.left("after-cancel") == ["finally"]
    assert here.answered("end-it")["state"] == "done"


def test_outputs_are_data(finished: Finished) -> None:
    """Text that a step printed is never evaluated, neither as an expression nor by a shell."""
    here, runs = finished
    steps = steps_of(runs["data"])
    assert steps["use"]["outputs"]["text"] == steps["hostile"]["outputs"]["text"]
    assert steps["use"]["outputs"]["text"].startswith("${{ 1 + 1 }} $(touch")
    assert not (here.effects / "injected").exists()


def test_an_assertion_is_a_step(finished: Finished) -> None:
    """`uses: assert` fails with the author's message."""
    _, runs = finished
    steps = steps_of(runs["types"])
    assert steps["right"]["state"] == "succeeded"
    assert steps["wrong"]["state"] == "failed"
    assert "one is not two" in steps["wrong"]["error"]


def test_logs_are_whole_on_the_engines_machine(finished: Finished) -> None:
    """`logs RUN` prints what the steps printed, also of those that succeeded; --step narrows."""
    here, runs = finished
    name = runs["passing"]["metadata"]["name"]
    done = here.run("logs", name)
    assert done.returncode == 0, done.stderr
    assert "got 42 of Ann on here" in done.stdout
    narrowed = here.run("logs", name, "--step", "count", "--target", "here")
    assert "41" in narrowed.stdout
    assert "got 42" not in narrowed.stdout
    assert here.run("logs", "no-such-run").returncode == 1


@pytest.mark.slow
def test_reading_commands_find_runs_newest_first(finished: Finished) -> None:
    """`get runs -o json` is {"items": [...]}, newest first; `describe` and `history` name one; 1 is "not found"."""
    here, runs = finished
    here.pulled()
    items = here.json("get", "runs", "-o", "json")["items"]
    assert len(items) == len(JOBS)
    queued = [item["status"]["queuedAt"] for item in items]
    assert queued == sorted(queued, reverse=True)
    assert {item["kind"] for item in items} == {"Run"}
    name = runs["failure"]["metadata"]["name"]
    assert here.json("get", "run", name, "-o", "json")["items"][0]["metadata"]["name"] == name
    assert here.json("describe", "run", name, "-o", "json")
    assert name in here.run("history", "failure").stdout
    assert here.run("history", "no-such-job").returncode == 1
    assert here.run("get", "run", "no-such-run").returncode == 1
    assert here.run("get", "job", "no-such-job").returncode == 1
    assert here.run("describe", "job", "passing").returncode == 0
