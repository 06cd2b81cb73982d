"""Triggers: the end of a run and an accepted commit start others, each exactly once, and never in a circle."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import httpx2

from tests import webhooks
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


HOOKED = """
    apiVersion: opsconductor/v1
    kind: Credential
    metadata: {name: hook}
    spec: {type: token, from: {file: hook}}
"""


def _port(site: Site) -> int:
    """Where the newest engine receives webhooks."""
    found = site.wait(
        lambda: re.search(r"http://127\.0\.0\.1:(\d+)/hooks/", site.daemons[-1].stderr), what="the receiver"
    )
    return int(found[1])


def _send(site: Site, trigger: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    answer = httpx2.post(f"http://127.0.0.1:{_port(site)}/hooks/{trigger}", content=body, headers=headers)
    return answer.status_code, answer.json()


def test_a_signed_webhook_starts_a_job_with_hostile_text_as_mere_data(bare: Site) -> None:
    """What it says reaches the script as a value; sent again, also after a restart, it starts nothing more."""
    (bare.secrets / "hook").write_text(webhooks.SECRET)
    starts = "if: event.ref.endsWith('/main'), jobRef: tell, params: {of: '${{ event.title }}', state: succeeded}"
    bare.create({
        "here.yaml": HERE, "tell.yaml": _tell(bare), "hook.yaml": HOOKED,
        "on-push.yaml": trigger("on-push", "webhook: {credentialRef: hook, provider: github}", starts),
    })  # fmt: skip
    bare.up("--webhooks", "127.0.0.1:0")
    title = "$(touch pwned) `touch pwned`; ${{ 1 + 1 }} \" ' \\ \u202e é"
    body = json.dumps({"ref": "refs/heads/main", "title": title}).encode()
    assert _send(bare, "on-push", body, webhooks.github(body)) == (202, {"state": "accepted"})
    (run,) = bare.wait(lambda: _by(bare, "on-push"), what="a run of the trigger")
    assert run["status"]["state"] == "succeeded"
    assert bare.left("told") == [f"{title} succeeded"]
    assert not list(bare.root.rglob("pwned"))
    other = json.dumps({"ref": "refs/heads/other", "title": "x"}).encode()
    assert _send(bare, "on-push", other, webhooks.github(other, delivery="d-2"))[0] == 202
    assert bare.daemons[-1].stop() == 0
    bare.up("--webhooks", "127.0.0.1:0")
    assert _send(bare, "on-push", body, webhooks.github(body)) == (202, {"state": "known"})
    assert _send(bare, "on-push", body, webhooks.github(body, secret="wrong"))[0] == 401
    assert bare.daemons[-1].stop() == 0
    assert len(_by(bare, "on-push")) == 1


def test_a_taken_port_is_said_before_anything_is_claimed(bare: Site) -> None:
    """Nothing was begun: another start needs no --take-over."""
    bare.create({"here.yaml": HERE})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = bare.run("up", str(bare.source), "--webhooks", f"127.0.0.1:{port}", cwd=bare.root)
    assert done.returncode == 1
    assert f"webhooks cannot be received at 127.0.0.1:{port}" in done.stderr
    assert bare.head() is None


def test_a_plan_says_what_a_commit_will_set_off(bare: Site) -> None:
    """By the files on disk or by commits, new files too. An `if` that says no starts nothing."""
    watching = trigger("on-change", "definitions: {paths: ['site/**']}",
        "if: event.count < 3, jobRef: tell, params: {of: x, state: '${{ event.paths[0] }}'}")  # fmt: skip
    fine = watching.replace("name: on-change", "name: fine").replace("'${{ event.paths[0] }}'", "succeeded")
    bare.create({"here.yaml": HERE, "tell.yaml": _tell(bare), "t.yaml": watching, "u.yaml": fine})
    folder = bare.pulled()
    (folder / "site").mkdir()
    (folder / "site" / "new.txt").write_text("1")
    (folder / "definitions" / "v.yaml").write_text(fine.replace("name: fine", "name: brought"))
    found = bare.json("plan", "--base", "HEAD", "--format", "json")["startsAtOnce"]
    assert [(one["cause"], one["verdict"], one["reason"], one["targets"]) for one in found] == [
        ("Trigger/fine", "starts", None, ["here"]),
        ("Trigger/on-change", "refused", "badParams", []),
    ]
    base = bare.head("main")
    head = bare.commit({f"site/{number}": "1" for number in range(3)})
    bare.pulled()
    assert bare.json("plan", "--base", str(base), "--head", head, "--format", "json")["startsAtOnce"] == []


def test_get_and_why_tell_what_became_of_events(bare: Site) -> None:
    """From the status branch alone: what was started, ignored and refused, and why."""
    bare.create({
        "here.yaml": HERE, "build.yaml": BUILD, "tell.yaml": _tell(bare),
        "after.yaml": trigger("after", "run: {jobs: [build]}",
            "if: event.params.broken, jobRef: tell, params: {of: x, state: '${{ event.run }}'}"),
        "never.yaml": trigger("never", "definitions: {}", "jobRef: build"),
    })  # fmt: skip
    bare.up()
    bare.asked("quiet", "jobRef: build")
    bare.asked("loud", "jobRef: build, params: {broken: true}")

    def both() -> Any:
        status = bare.status("triggers/after.yaml")
        return status if status and status["counts"]["ignored"] == status["counts"]["refused"] == 1 else None

    events = bare.wait(both, what="two decided events")["events"]
    assert [(event["state"], event["reason"]) for event in events] == [
        ("refused", "badParams"),
        ("ignored", "condition"),
    ]
    bare.pulled()
    assert re.search(r"after +refused", bare.run("get", "triggers").stdout)
    told = bare.run("why", "trigger/after").stdout
    assert "refused: badParams" in told
    assert "its 'if' was false" in told
    assert bare.run("why", "trigger/never").stdout == "nothing has set it off yet\n"
    as_data = bare.json("why", "trigger/after", "-o", "json")["events"]
    assert [event["event"] for event in as_data] == [event["event"] for event in events]
    unknown = bare.run("why", "trigger/aftr")
    assert (unknown.returncode, "did you mean 'after'" in unknown.stderr) == (1, True)
