"""Triggers: the end of a run and an accepted commit start others, each exactly once, and never in a circle."""

from collections.abc import Callable
from typing import Any

from tests.acceptance.site import HERE, Site, job

Make = Callable[..., Site]

BUILD = job("build", "- {id: make, run: echo 1.2, outputs: {version: '${{ stdout }}'}}", """
    params: {broken: {type: boolean, default: false}}
    outputs: {version: '${{ steps.make.outputs.version }}'}
""")  # fmt: skip
TELL = job("tell", "- {id: say, run: 'echo ${{ params.of }} ${{ params.state }} >> \"$EFFECTS\"/told'}", """
    params: {of: {type: string}, state: {type: string, enum: [succeeded, failed]}}
    env: {EFFECTS: EFFECTS_FOLDER}
""")  # fmt: skip


def trigger(name: str, event: str, starts: str) -> str:
    """`event` and `starts` in flow style, such as `run: {jobs: [build]}` and `jobRef: tell`."""
    spec = f"spec: {{event: {{{event}}}, {starts}}}"
    return f"apiVersion: opsconductor/v1\nkind: Trigger\nmetadata: {{name: {name}}}\n{spec}\n"


def _tell(site: Site) -> str:
    return TELL.replace("EFFECTS_FOLDER", str(site.effects))


def _by(site: Site, name: str) -> list[Any]:
    runs = [run for run in site.runs() if run["spec"]["cause"]["name"] == name]
    return [run for run in runs if run["status"]["state"] not in ("waiting", "queued", "running")]


def test_the_end_of_a_run_starts_another_with_params_from_the_event(bare: Site) -> None:
    """Only of the job and in the state that are named; its cause names the trigger and the run that set it off."""
    bare.create({
        "here.yaml": HERE,
        "build.yaml": BUILD, "tell.yaml": _tell(bare),
        "after.yaml": trigger("after", "run: {jobs: [build]}",
            "jobRef: tell, params: {of: '${{ event.job }}', state: '${{ event.state }}'}"),
    })  # fmt: skip
    bare.up()
    built = bare.asked("go", "jobRef: build")
    (told,) = bare.wait(lambda: _by(bare, "after"), what="a run of the trigger")
    assert told["spec"]["params"] == {"of": "build", "state": "succeeded"}
    assert told["spec"]["cause"]["event"] == f"run/{built['metadata']['name']}"
    assert bare.left("told") == ["build succeeded"]


def test_an_accepted_commit_sets_off_what_watches_its_paths(bare: Site) -> None:
    """Once a commit; not by the commit that brings the trigger, nor by one that touches other files only."""
    watching = trigger("on-change", "definitions: {paths: ['site/**']}",
                       "jobRef: tell, params: {of: '${{ event.paths[0] }}', state: succeeded}")  # fmt: skip
    bare.create({"here.yaml": HERE, "tell.yaml": _tell(bare), "t.yaml": watching, "site/a.txt": "1"})
    bare.up()
    bare.commit({"other/b.txt": "1"})
    bare.in_force()
    bare.commit({"site/a.txt": "2", "other/b.txt": "2"})
    bare.wait(lambda: _by(bare, "on-change"), what="a run of the trigger")
    assert bare.daemons[0].stop() == 0
    assert bare.left("told") == ["site/a.txt succeeded"]
    bare.once()
    assert len(_by(bare, "on-change")) == 1
