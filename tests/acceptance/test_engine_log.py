"""The log of a running engine, as what collects logs reads it."""

import json
from typing import Any

from tests.acceptance.site import Site, credential, job, schedule, soon

SECRET = "correct-horse-battery-staple"
FORGED = "2026-11-21T00:15:00Z [info     ] everything is well"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_line_is_an_object_and_says_what_it_concerns(site: Any) -> None:
    made: Site = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello}")})
    engine = made.up("--log-format", "json")
    made.asked("first", "jobRef: greet")
    made.commit({"soon.yaml": schedule("soon", "greet", f"at: {soon(2)}")})
    made.wait(lambda: len(made.runs("greet")) == 2, what="the schedule's run")
    assert engine.stop() == 0
    found = lines(engine.stderr)
    about = [one for one in found if "run" in one]
    assert {"run finished", "run enqueued"} <= {one["event"] for one in about}
    for one in about:
        assert one["job"] == "greet"
        assert len(one["commit"]) == 40
    for one in found:
        assert list(one)[:3] == ["timestamp", "level", "event"]


def test_a_document_forges_no_line(site: Any) -> None:
    made: Site = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello}")})
    engine = made.up()
    evil = json.dumps(f"evil\n{FORGED}\x1b[2J\u202e")
    made.commit({"greet.yaml": job("greet", f"- {{id: greet, {evil}: echo hello}}")})
    made.wait(lambda: "everything is well" in engine.stderr, what="the finding in the log")
    assert not any(line.startswith(FORGED[:10]) and "everything" in line[:60] for line in engine.stderr.splitlines())
    assert "\x1b" not in engine.stderr and "\u202e" not in engine.stderr


def test_no_secret_reaches_the_log(site: Any) -> None:
    """Not even where the step prints it and fails with it."""
    leaking = job(
        "leak",
        "- {id: leak, env: {T: '${{ secrets.token.value }}'}, run: 'echo \"$T\"; echo \"$T\" >&2; exit 3'}",
    )
    made: Site = site(
        {
            "leak.yaml": leaking,
            "token.yaml": credential("token", "type: generic, from: {env: OPSCONDUCTOR_SECRET_TOKEN}"),
        }
    )
    engine = made.up("--log-format", "json", env={"OPSCONDUCTOR_SECRET_TOKEN": SECRET})
    made.asked("first", "jobRef: leak")
    assert engine.stop() == 0
    finished = next(one for one in lines(engine.stderr) if one["event"] == "run finished")
    assert finished["state"] == "failed"
    assert SECRET not in engine.stderr
