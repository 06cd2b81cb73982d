"""Step libraries by the command line: brought, used, changed by a commit while a run is under way, and replayed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.acceptance.site import HERE, Site, job
from tests.libraries import library

Make = Callable[..., Site]
STEP = """\
  inputs: {go: {type: string, required: true}}
  outputs: {said: {type: string, value: "${{ steps.say.outputs.said }}"}}
  steps:
    - id: wait
      run: touch ${{ inputs.go }}.begun; until test -e ${{ inputs.go }}; do sleep 0.05; done
    - {id: say, run: echo VERSION, outputs: {said: "${{ stdout }}"}}
"""


def vendor(site: Site, version: str) -> dict[str, str]:
    """The library by `library add` or `update`, as the files to commit."""
    clone, origin = site.pulled(), site.root / "logs"
    shutil.rmtree(origin, ignore_errors=True)
    for path, text in library("logs", {"tell": STEP.replace("VERSION", version)}, version=f"1.{version}.0").items():
        place = origin / Path(path).relative_to("libraries/logs")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    what = ("update", "logs") if (clone / "libraries").exists() else ("add", str(origin))
    done = site.run("library", *what)
    assert done.returncode == 0, done.stderr
    files = [clone / "opsconductor.lock", *(one for one in (clone / "libraries").rglob("*") if one.is_file())]
    return {str(file.relative_to(clone)): file.read_text() for file in files}


def said(site: Site, name: str) -> object:
    return site.run_file(name)["status"]["targets"]["here"]["outputs"]["said"]


def test_a_run_keeps_its_library_and_so_does_its_replay(bare: Site) -> None:
    go = bare.effects / "go"
    steps = f"- id: tell\n  uses: logs/tell@1\n  with: {{go: {go}}}\n"
    bare.create({"here.yaml": HERE})
    first = vendor(bare, "1")
    work = job("work", steps, 'targets: {names: [here]}\noutputs: {said: "${{ steps.tell.outputs.said }}"}')
    bare.commit({**first, "definitions/work.yaml": work})
    bare.up()

    assert bare.run("run", "work").returncode == 0
    bare.wait(lambda: (bare.effects / "go.begun").exists())
    second = vendor(bare, "2")
    bare.commit(second)
    bare.in_force()
    go.touch()
    done = bare.run("run", "work", "--wait")
    assert done.returncode == 0, done.stderr
    newer = done.stdout.strip()
    (older,) = [run["metadata"]["name"] for run in bare.runs("work") if run["metadata"]["name"] != newer]

    assert (said(bare, older), said(bare, newer)) == ("1", "2")
    digests = [bare.run_file(name)["spec"]["libraries"]["logs"] for name in (older, newer)]
    assert digests[1] == yaml.safe_load(second["opsconductor.lock"])["libraries"]["logs"]["digest"]
    assert digests[0] == yaml.safe_load(first["opsconductor.lock"])["libraries"]["logs"]["digest"]

    again = bare.run("replay", older, "--wait")
    assert again.returncode == 0, again.stderr
    replayed = again.stdout.strip()
    assert said(bare, replayed) == "1"
    assert bare.run_file(replayed)["spec"]["libraries"]["logs"] == digests[0]
    shown = bare.run("logs", newer, "--step", "tell")
    assert "here tell.say" in shown.stdout + shown.stderr
