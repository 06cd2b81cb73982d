"""Steps of libraries as a runner does them: on real processes of this host, with what the journal says of them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from engine.runs.pinned import PinnedSpec, dump, load
from engine.states import RunState, StepState
from journal.databases.tables import steps
from tests.libraries import HERE, catalog, job, library, planned
from tests.running import Bench, Ran, bench

__all__ = ["bench"]

LOGS = library(
    "logs",
    {
        "trim": """\
  inputs:
    folder: {type: string, required: true}
    keep: {type: integer, default: 2, minimum: 1}
  outputs:
    removed: {type: integer, value: "${{ steps.cut.outputs.removed }}"}
    first: {type: string, value: "${{ steps.look.stdout }}"}
  platforms: [linux]
  steps:
    - id: look
      run: ls ${{ inputs.folder }} | head -n 1
    - id: cut
      run: |
        cd ${{ inputs.folder }} || exit 9
        ls | sort -r | tail -n +$((${{ inputs.keep }} + 1)) | tee /dev/stderr | xargs -r rm --
        ls | wc -l
      outputs: {removed: "${{ size(stderr.trim) == 0 ? 0 : 1 }}"}
""".replace("${{ size(stderr.trim) == 0 ? 0 : 1 }}", "${{ size(stderr) == 0 ? 0 : 1 }}"),
        "count": """\
  inputs: {word: {type: string, required: true}, code: {type: integer, default: 0}}
  outputs: {count: {type: integer, value: "${{ json.count }}"}}
  script: count.sh
  env: {WORD: "${{ inputs.word }}", CODE: "${{ inputs.code }}"}
""",
        "count.sh": 'printf \'{"count": %s}\' "${#WORD}"\nexit "$CODE"\n',
        "lies": """\
  outputs: {count: {type: integer, value: "${{ stdout }}"}}
  script: lies.sh
""",
        "lies.sh": "echo many\n",
        "secret": """\
  inputs: {token: {type: string, secret: true}, other: {type: string, secret: true}}
  outputs: {same: {type: boolean, value: "${{ steps.ask.outputs.same }}"}}
  steps:
    - id: ask
      run: test "$TOKEN" = s3cret && test -z "$OTHER" && test -z "$PLAIN"; echo $?
      env: {TOKEN: "${{ inputs.token }}", OTHER: "${{ inputs.other }}"}
      outputs: {same: "${{ stdout == '0' }}"}
""",
        "twice": """\
  inputs: {words: {type: array, items: {type: string}, required: true}}
  outputs: {counts: {type: array, value: "${{ steps.each.outputs.count }}"}}
  steps:
    - id: each
      uses: logs/count@1
      with: {word: "${{ item }}"}
      forEach: {items: "${{ inputs.words }}"}
""",
        "slow": "  steps:\n    - {id: wait, run: sleep 60}\n    - {id: never, run: 'true'}\n",
        "once": """\
  inputs: {file: {type: string, required: true}}
  steps:
    - {id: first, run: 'echo first >> ${{ inputs.file }}'}
    - id: second
      run: 'test "$(wc -l < ${{ inputs.file }})" -ge 2'
""",
        "told": """\
  inputs: {pipe: {type: string, required: true}, go: {type: string, required: true}, note: {type: string, default: a}}
  steps:
    - {id: first, run: 'echo first ${{ inputs.note }} $$ > ${{ inputs.pipe }}'}
    - {id: second, run: 'echo second $$ > ${{ inputs.pipe }}; read _ < ${{ inputs.go }}'}
    - {id: third, run: 'echo third $$ > ${{ inputs.pipe }}'}
""",
        "again": """\
  steps:
    - {id: bad, run: exit 1, retry: {maxAttempts: 1000, delay: 1s}}
    - {id: never, run: 'true'}
""",
        "windows": "  platforms: [windows]\n  steps:\n    - {run: 'exit 1'}\n",
        "mended": """\
  steps:
    - {id: bad, run: exit 3, rescue: [{id: mend, run: 'true'}]}
    - {id: after, run: 'true'}
""",
    },
)


def spec_of(steps: str, *documents: str, files: Mapping[str, str] = LOGS, **more: Any) -> PinnedSpec:
    params = more.pop("params", None)
    return planned(catalog(files, job(steps, **more), HERE, *documents), params).spec


async def ran(bench: Bench, spec: PinnedSpec, params: Mapping[str, Any] | None = None) -> Ran:
    run = await bench.enqueue(
        *spec.steps, targets=spec.targets, credentials=spec.credentials, outputs=spec.outputs, params=params
    )
    bench.start()
    return await bench.ended(run)


async def test_a_step_of_a_library_is_one_step_with_its_own_under_it(bench: Bench) -> None:
    folder = bench.folder / "logs of web"
    folder.mkdir()
    for name in "abcd":
        (folder / name).touch()
    spec = spec_of(
        f"    - {{id: trim, uses: logs/trim@1, with: {{folder: '{folder}', keep: 3}}}}\n"
        "    - {id: after, if: \"steps.trim.outputs.removed == 1 && steps.trim.outputs.first == 'a'\", run: 'true'}\n",
        spec='  outputs: {gone: "${{ steps.trim.outputs.removed }}"}\n',
    )

    done = await ran(bench, spec)

    assert done.state is RunState.SUCCEEDED, done.steps()
    assert list(done.steps()) == ["trim", "trim.look", "trim.cut", "after"]
    assert done.steps()["after"].state is StepState.SUCCEEDED
    assert done.steps()["trim"].outputs == {"removed": 1, "first": "a"}
    assert sorted(one.name for one in folder.iterdir()) == ["b", "c", "d"]
    assert done.view.results[0].outputs == {"gone": 1}
    assert list(spec.libraries) == ["logs"]


async def test_a_script_of_a_library_gives_its_outputs(bench: Bench) -> None:
    spec = spec_of("    - {id: n, uses: logs/count@1.0, with: {word: 'a; exit 1 $(x)'}}\n")

    done = await ran(bench, spec)

    assert done.states() == {"n": StepState.SUCCEEDED, "n.script": StepState.SUCCEEDED}
    assert done.steps()["n"].outputs == {"count": 14}


async def test_an_output_that_is_not_what_was_declared_fails_the_step(bench: Bench) -> None:
    done = await ran(bench, spec_of("    - {id: n, uses: logs/lies@1}\n"))

    assert done.states() == {"n": StepState.FAILED, "n.script": StepState.SUCCEEDED}
    assert done.steps()["n"].error == "logs/lies@1: output 'count': it must be a whole number, not text"


async def test_an_input_that_is_wrong_fails_the_step_before_anything_is_sent(bench: Bench) -> None:
    spec = spec_of(
        "    - {id: say, run: echo 0, outputs: {n: '${{ int(stdout) }}'}}\n"
        "    - {id: trim, uses: logs/trim@1, with: {folder: /nowhere, keep: '${{ steps.say.outputs.n }}'}}\n"
    )

    done = await ran(bench, spec)

    assert done.states() == {"say": StepState.SUCCEEDED, "trim": StepState.FAILED}
    assert done.steps()["trim"].error == "logs/trim@1: input 'keep': 0 is less than 1; nothing was sent"


async def test_a_step_for_another_system_fails_before_anything_is_sent(bench: Bench) -> None:
    spec = spec_of("    - {id: w, uses: logs/windows@1, if: 'true'}\n")

    done = await ran(bench, spec)

    assert done.states() == {"w": StepState.FAILED}
    assert done.steps()["w"].error == "logs/windows@1: it runs on windows, and target 'here' is linux; nothing was sent"


async def test_a_secret_goes_in_by_its_input_alone(bench: Bench) -> None:
    (bench.secrets / "api").write_text("s3cret")
    spec = spec_of(
        "    - {id: s, uses: logs/secret@1, with: {token: '${{ params.key }}'}}\n",
        "kind: Credential\nmetadata: {name: api}\nspec: {type: token, from: {file: api}}\n",
        spec="  params: {key: {secret: true}}\n  env: {PLAIN: '${{ secrets.api.token }}'}\n",
        params={"key": {"credentialRef": "api", "field": "token"}},
    )

    done = await ran(bench, spec, {"key": {"credentialRef": "api", "field": "token"}})

    assert list(spec.credentials) == ["api"]
    assert done.steps()["s"].outputs == {"same": True}, done.steps()


async def test_libraries_use_libraries_and_loops_within_loops(bench: Bench) -> None:
    spec = spec_of(
        "    - id: all\n      uses: logs/twice@1\n      with: {words: '${{ item }}'}\n"
        "      forEach: {items: [[a, bb], [ccc]]}\n"
    )

    done = await ran(bench, spec)

    assert done.state is RunState.SUCCEEDED, done.steps()
    assert done.steps()["all"].outputs == {"counts": [[1, 2], [3]]}
    assert "all[0].each[1].script" in done.steps()


async def test_what_its_caller_says_holds_for_all_of_it(bench: Bench) -> None:
    """A repetition does all of it again, under paths of its own; a rescue makes up for all of it."""
    file = bench.folder / "file"
    spec = spec_of(
        f"    - {{id: o, uses: logs/once@1, with: {{file: '{file}'}}, retry: {{maxAttempts: 2}}}}\n"
        "    - {id: bad, uses: logs/count@1, with: {word: x, code: 4}, rescue: [{run: 'true'}]}\n"
        "    - {id: fine, uses: logs/count@1, with: {word: x, code: 4}, okExitCodes: [4]}\n"
        "    - {id: on, uses: logs/count@1, with: {word: x, code: 5}, continueOnError: true}\n"
        "    - {id: not, uses: logs/count@1, with: {word: x}, if: 'false'}\n"
        "    - {id: mended, uses: logs/mended@1, sensitive: true}\n"
    )

    done = await ran(bench, spec)
    steps = done.steps()

    assert done.state is RunState.SUCCEEDED, steps
    assert file.read_text() == "first\nfirst\n"
    assert (steps["o"].attempts, steps["o.second"].state) == (2, StepState.FAILED)
    assert (steps["o.2.first"].state, steps["o.2.second"].state) == (StepState.SUCCEEDED, StepState.SUCCEEDED)
    assert (steps["bad"].state, steps["bad"].rescued, steps["bad"].exit_code) == (StepState.FAILED, True, 4)
    assert steps["bad"].error == "bad.script: exit code 4"
    assert steps["fine"].state is StepState.SUCCEEDED
    assert (steps["on"].state, steps["on"].continued) == (StepState.FAILED, True)
    assert steps["not"].state is StepState.SKIPPED
    assert "not.script" not in steps
    assert steps["mended.bad"].rescued
    assert steps["mended.after"].log is None


async def test_its_time_limit_ends_what_runs_of_it(bench: Bench) -> None:
    done = await ran(bench, spec_of("    - {id: s, uses: logs/slow@1, timeout: 1s}\n"))

    assert done.states() == {"s": StepState.TIMED_OUT, "s.wait": StepState.TIMED_OUT}
    assert done.steps()["s"].error == "its time limit of 1s passed"


@pytest.mark.parametrize("phase", ["steps", "finally"])
async def test_its_time_limit_ends_repetitions_within_it(bench: Bench, phase: str) -> None:
    use = "    - {id: s, uses: logs/again@1, timeout: 3s}\n"
    spec = spec_of(use if phase == "steps" else "    - {run: 'true'}\n  finally:\n" + use)

    done = await ran(bench, spec)

    assert done.states()["s"] is StepState.FAILED
    assert 1 < done.steps()["s.bad"].attempts < 6
    assert "s.never" not in done.states()


async def test_a_cancelled_run_ends_what_runs_of_it(bench: Bench) -> None:
    told = bench.pipe("told")
    go = bench.pipe("go")
    spec = spec_of(f"    - {{id: t, uses: logs/told@1, with: {{pipe: '{told}', go: '{go}'}}}}\n")
    run = await bench.enqueue(*spec.steps, targets=spec.targets)
    bench.start()
    await told.lines(2)

    await bench.cancel(run)
    done = await bench.ended(run)

    assert done.states() == {
        "t": StepState.CANCELLED,
        "t.first": StepState.SUCCEEDED,
        "t.second": StepState.CANCELLED,
    }


@pytest.mark.parametrize("idempotent", [True, False])
async def test_another_runner_goes_on_within_it(bench: Bench, idempotent: bool) -> None:
    """What has a recorded end is not done again; what was running is lost, or repeated by consent."""
    told, go = bench.pipe("told"), bench.pipe("go")
    more = ", idempotent: true" if idempotent else ""
    spec = spec_of(f"    - {{id: t, uses: logs/told@1, with: {{pipe: '{told}', go: '{go}'}}{more}}}\n")
    run = await bench.enqueue(*spec.steps, targets=spec.targets)
    bench.start()
    await told.lines(2)

    await bench.drain(timedelta(0))
    bench.start()
    if idempotent:
        assert [line.split()[0] for line in await told.lines(1)] == ["second"]
        go.let_go()
        assert [line.split()[0] for line in await told.lines(1)] == ["third"]
    done = await bench.ended(run)

    end = StepState.SUCCEEDED if idempotent else StepState.FAILED
    assert done.states()["t"] is end
    assert done.states()["t.second"] is end
    assert done.steps()["t.first"].attempts == 1


async def test_its_time_goes_on_while_it_has_no_runner(bench: Bench) -> None:
    """Once it is over nothing of it begins again; what its runner had ended as it stopped ran out of time with it."""
    told, go = bench.pipe("told"), bench.pipe("go")
    use = f"{{id: t, uses: logs/told@1, with: {{pipe: '{told}', go: '{go}'}}, idempotent: true, timeout: 30m}}"
    spec = spec_of(f"    - {use}\n")
    run = await bench.enqueue(*spec.steps, targets=spec.targets)
    bench.start()
    await told.lines(2)

    await bench.drain(timedelta(0))
    earlier = bench.clock.now() - timedelta(hours=1)
    await bench.journal.write(
        lambda tx: tx.execute(update(steps).where(steps.c.step == "t").values(started_at=earlier))
    )
    bench.start()
    done = await bench.ended(run)

    assert done.states() == {
        "t": StepState.TIMED_OUT,
        "t.first": StepState.SUCCEEDED,
        "t.second": StepState.TIMED_OUT,
    }
    assert done.steps()["t.second"].attempts == 1


async def test_a_run_keeps_its_libraries_whatever_is_merged_while_it_waits(bench: Bench) -> None:
    """Everything that a library's step consists of is in the plan; a run that is planned later has the new one."""
    steps = "    - {id: n, uses: logs/count@1, with: {word: abc}}\n"
    changed = {path: text.replace("${#WORD}", "99") for path, text in LOGS.items()}
    before, after = spec_of(steps), spec_of(steps, files=changed)
    first = await bench.enqueue(*before.steps, targets=before.targets)

    bench.start()
    old = await bench.ended(first)

    assert before.libraries != after.libraries
    assert load(dump(before)) == before
    assert old.steps()["n"].outputs == {"count": 3}
    assert "99" in dump(after).decode()
