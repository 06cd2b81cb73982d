"""A pushed commit is accepted or rejected as a whole; the last good one keeps running."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.site import HERE, MAIN, PROJECT, Site, job, schedule

Make = Callable[..., Site]

HELLO = job("hello", "- {id: greet, run: echo hello}")
OFTEN = schedule("often", "hello", "every: 1s")


def conditions(site: Site) -> dict[str, dict[str, str]]:
    return {condition["type"]: condition for condition in site.sync()["conditions"]}


def test_a_pushed_commit_is_in_force_within_seconds(site: Make) -> None:
    """sync.yaml names the commit as observed, applied and last good, and Ready says since when."""
    here = site({"hello.yaml": HELLO})
    here.up()
    began = time.monotonic()
    second = here.commit({"other.yaml": job("other", "- run: echo two")})
    here.in_force(second)
    assert time.monotonic() - began < 15
    sync = here.sync()
    assert sync["observedCommit"] == sync["appliedCommit"] == sync["lastGoodCommit"] == second
    assert sync["findings"] == []
    assert {"id", "host", "since", "closed"} <= set(sync["engine"])
    ready = conditions(here)["Ready"]
    assert ready["status"] == "True"
    assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(ready)


def test_a_rejected_commit_changes_nothing_and_says_where_the_mistake_is(site: Make) -> None:
    """File, line, column, message and hint stand in sync.yaml within seconds; the last good commit keeps running."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    here.up()
    good = here.head(MAIN)
    began = time.monotonic()
    bad = here.commit({"hello.yaml": HELLO.replace("run: echo hello", "rum: echo hello"), "often.yaml": None})
    sync = here.rejected(bad)
    assert time.monotonic() - began < 15
    assert sync["appliedCommit"] == sync["lastGoodCommit"] == good
    assert conditions(here)["Ready"]["status"] == "False"
    (finding,) = [found for found in sync["findings"] if found["severity"] == "error"]
    line = HELLO.splitlines().index(next(text for text in HELLO.splitlines() if "echo hello" in text)) + 1
    column = HELLO.splitlines()[line - 1].index("run") + 1
    assert (finding["file"], finding["line"], finding["column"]) == ("definitions/hello.yaml", line, column)
    assert (finding["endLine"], finding["endColumn"]) == (line, column + 3)
    assert finding["code"].startswith("OC")
    assert "rum" in finding["message"]
    assert "run" in finding["hint"]
    runs = len(here.runs("hello"))
    later = here.ended("hello", runs + 2)
    assert {run["spec"]["commit"] for run in later} == {good}, "the schedule that the bad commit removed still fires"
    page = here.text("README.md")
    assert bad[:7] in page, "the page names the rejected commit"
    asked = here.run("run", "not-there", "--wait", "--timeout", "60s")
    assert asked.returncode == 1
    assert f"the newer commit {bad[:12]} was rejected and is not in force: see 'opsconductor get sync'" in asked.stderr
    mended = here.commit({"hello.yaml": HELLO})
    here.in_force(mended)
    assert here.sync()["findings"] == []


def test_hostile_files_are_findings(site: Make) -> None:
    """Aliases, depth 30,000, duplicate keys, NUL and UTF-16 are each named; the engine goes on."""
    here = site({"hello.yaml": HELLO})
    here.up()
    good = here.head(MAIN)
    hostile: dict[str, str | bytes | None] = {
        "alias.yaml": "a: &a [1]\nb: [*a, *a]\n",
        "deep.yaml": "[" * 30_000,
        "deeper.yaml": "\n".join(" " * n + "a:" for n in range(900)),
        "twice.yaml": HELLO + "metadata: {name: again}\n",
        "nul.yaml": b"apiVersion: opsconductor/v1\0\n",
        "wide.yaml": HELLO.encode("utf-16"),
        "bytes.yaml": b"\xff\xfe\xfd",
        "tag.yaml": "!!python/object/apply:os.system ['touch /tmp/never']\n",
        "other.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n",
    }
    bad = here.commit(hostile)
    sync = here.rejected(bad)
    assert {Path(found["file"]).name for found in sync["findings"]} == set(hostile)
    twice = next(found for found in sync["findings"] if found["file"].endswith("twice.yaml"))
    assert "metadata" in twice["message"]
    assert sync["appliedCommit"] == good
    here.commit(dict.fromkeys(hostile))
    here.in_force()


def test_rewritten_history_freezes_until_it_is_accepted(site: Make) -> None:
    """A forced push is not followed; the last good commit stays in force until `accept COMMIT` on the server."""
    here = site({"hello.yaml": HELLO})
    daemon = here.up()
    good = here.head(MAIN)
    rewritten = here.commit(
        {"opsconductor.yaml": PROJECT, "here.yaml": HERE, "hello.yaml": HELLO.replace("echo hello", "echo other")},
        force=True,
    )
    sync = here.rejected(rewritten)
    assert sync["appliedCommit"] == good
    assert conditions(here)["Stalled"]["status"] == "True"
    assert f"accept {rewritten}" in conditions(here)["Stalled"]["message"], "it says what to do"
    run = here.asked("meanwhile", "jobRef: hello")
    assert run["spec"]["commit"] == good
    accepted = here.run("accept", rewritten, "--source", str(here.source))
    assert accepted.returncode == 0, accepted.stderr
    here.in_force(rewritten)
    assert conditions(here)["Stalled"]["status"] == "False"
    assert daemon.running
    assert here.asked("afterwards", "jobRef: hello")["spec"]["commit"] == rewritten


def test_a_missing_repository_is_named(bare: Site) -> None:
    """`up` on nothing says which path it looked at, at once."""
    missing = bare.root / "no-such.git"
    done = bare.run("up", str(missing), "--once", cwd=bare.root, timeout=30)
    assert done.returncode not in (0, 70, 130)
    assert str(missing) in done.stderr
    assert "Traceback" not in done.stderr
    empty = bare.root / "empty"
    empty.mkdir()
    done = bare.run("up", str(empty), "--once", cwd=bare.root, timeout=30)
    assert done.returncode not in (0, 70, 130)
    assert str(empty) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_branch_is_named(site: Make) -> None:
    """`--branch` that does not exist: the message names it and the setting; nothing is written."""
    here = site({"hello.yaml": HELLO})
    done = here.once("--branch", "mian")
    assert done.returncode == 1
    assert "mian" in done.stderr
    assert "--branch" in done.stderr
    assert here.head() is None


def test_a_refused_push_is_explained_and_nothing_starts(site: Make) -> None:
    """Without the right to push status there is no claim, so nothing is decided; the host's own words are shown."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    hook = here.source / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only robots may push here' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = here.once()
    assert done.returncode == 1
    assert "only robots may push here" in done.stderr
    assert "opsconductor/status" in done.stderr
    assert here.head() is None
    assert not list(here.effects.iterdir())


@pytest.mark.slow
def test_an_engine_waits_for_the_right_to_push_and_then_goes_on(site: Make) -> None:
    """A daemon that may not push says so; when the host allows it again, it needs no restart."""
    here = site({"hello.yaml": HELLO})
    here.up()
    hook = here.source / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ngrep -q opsconductor/status && echo 'closed for repairs' >&2 && exit 1\nexit 0\n")
    hook.chmod(0o755)
    tip = here.head()
    here.request("one", "jobRef: hello")
    here.wait(lambda: "closed for repairs" in here.daemons[0].stderr, what="the host's words on stderr")
    assert here.head() == tip
    hook.unlink()
    assert here.ended("hello", timeout=60)[0]["status"]["state"] == "succeeded"


# --- the commands that read definitions ------------------------------------------------------------------------------


def test_validate_needs_no_git(bare: Site) -> None:
    """A folder will do; findings have positions that count code points; the exit code tells: 0, 1, 2."""
    folder = bare.root / "plain"
    (folder / "definitions").mkdir(parents=True)
    (folder / "opsconductor.yaml").write_text(PROJECT.replace("\n    ", "\n"))
    (folder / "definitions" / "here.yaml").write_text(HERE.replace("\n    ", "\n"))
    hello = folder / "definitions" / "hello.yaml"
    hello.write_text(HELLO)
    clean = bare.run("validate", "--format", "json", cwd=folder)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert json.loads(clean.stdout) == {"documents": 3, "findings": [], "truncated": []}
    hello.write_text(HELLO.replace("{id: greet, run: echo hello}", '{name: "grüße 🎉", rum: echo}'))
    broken = bare.run("validate", str(folder), "--format", "json", cwd=bare.root)
    assert broken.returncode == 1
    report = json.loads(broken.stdout)
    finding = next(found for found in report["findings"] if "rum" in found["message"])
    keys = {"file", "line", "column", "endLine", "endColumn", "code", "severity", "message", "hint", "docs"}
    assert keys <= set(finding)
    lines = hello.read_text().splitlines()
    assert lines[finding["line"] - 1][finding["column"] - 1 : finding["endColumn"] - 1] == "rum"
    assert finding["file"] == "definitions/hello.yaml"
    text = bare.run("validate", cwd=folder)
    assert text.returncode == 1
    assert f"definitions/hello.yaml:{finding['line']}:{finding['column']}" in text.stdout + text.stderr
    assert bare.run("validate", "--no-such-flag", cwd=folder).returncode == 2
    assert bare.run("validate", "--format", "papyrus", cwd=folder).returncode == 2


def test_validate_reads_what_is_on_disk_or_a_commit(site: Make) -> None:
    """Uncommitted files count, unless `--rev` names a commit. Warnings alone exit 0."""
    here = site({"hello.yaml": HELLO})
    folder = here.pulled()
    (folder / "definitions" / "hello.yaml").write_text(HELLO.replace("here", "web-*"))
    assert here.run("validate").returncode == 1
    assert here.run("validate", "--rev", "HEAD").returncode == 0
    (folder / "definitions" / "hello.yaml").write_text(
        HELLO.replace("targets: {names: [here]}", "targets: {selector: {matchLabels: {no: such}}}")
    )
    warned = here.run("validate", "--format", "json")
    findings = json.loads(warned.stdout)["findings"]
    assert [finding["severity"] for finding in findings] == ["warning"]
    assert warned.returncode == 0


def test_what_is_not_supported_yet_says_so(site: Make) -> None:
    """What is checked and not acted on, as a Policy where nobody signs, is named with its place as a warning."""
    here = site({"hello.yaml": HELLO})
    folder = here.pulled()
    (folder / "definitions" / "failed.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Policy\nmetadata: {name: again}\n"
        "spec: {rules: [{subjects: [ana], verbs: [run]}]}\n"
    )
    done = here.run("validate")
    assert "definitions/failed.yaml:2:7: OC902 warning: nobody is held to this" in done.stdout


@pytest.mark.slow
def test_get_lists_definitions_by_kind(site: Make) -> None:
    """`get KIND -o json` is {"items": [documents]}; data goes to stdout, chatter to stderr."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    here.pulled()
    for spelling in ("job", "jobs", "Job"):
        items = here.json("get", spelling, "-o", "json", "--offline")["items"]
        assert [(item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in items] == [
            ("opsconductor/v1", "Job", "hello")
        ]
    assert here.json("get", "schedule", "often", "-o", "json")["items"][0]["spec"]["every"] == "1s"
    assert here.run("get", "schedule", "seldom").returncode == 1
    assert here.run("get", "nonsense").returncode in (1, 2)


def test_next_shows_instants_with_the_offset_of_their_own_pass(site: Make) -> None:
    """From inclusive, end exclusive, by instant then schedule; a repeated hour shows both passes apart."""
    here = site({
        "hello.yaml": HELLO,
        "b.yaml": schedule("b", "hello", 'cron: "30 * * * *", timeZone: Europe/Berlin'),
        "a.yaml": schedule("a", "hello", "every: 1h"),
        "c.yaml": schedule("c", "hello", "every: 1h, suspend: true"),
    })  # fmt: skip
    here.pulled()
    fires = here.json("next", "--from", "2026-10-25T00:00:00Z", "--within", "2h", "-o", "json")["fires"]
    keys = {"schedule", "instant", "local", "timeZone", "decision", "reason", "startsAt"}
    assert all(keys <= set(fire) for fire in fires)
    assert [(fire["instant"], fire["schedule"]) for fire in fires] == [
        ("2026-10-25T00:00:00Z", "a"),
        ("2026-10-25T00:00:00Z", "c"),
        ("2026-10-25T00:30:00Z", "b"),
        ("2026-10-25T01:00:00Z", "a"),
        ("2026-10-25T01:00:00Z", "c"),
        ("2026-10-25T01:30:00Z", "b"),
    ]
    berlin = [fire for fire in fires if fire["schedule"] == "b"]
    assert [fire["local"] for fire in berlin] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    assert {fire["timeZone"] for fire in berlin} == {"Europe/Berlin"}
    assert all((fire["decision"], fire["startsAt"]) == ("run", fire["instant"]) for fire in berlin)
    suspended = [fire for fire in fires if fire["schedule"] == "c"]
    assert all((fire["decision"], fire["reason"]) == ("skipped", "suspended") for fire in suspended)
    assert all(fire["startsAt"] is None for fire in suspended)
    assert here.run("next", "--from", "yesterday").returncode == 2


@pytest.mark.parametrize("kind", ["", "Job"])
def test_schema_and_explain_answer(bare: Site, kind: str) -> None:
    """`schema` is JSON Schema 2020-12; `explain` knows kinds, paths and codes."""
    done = bare.run("schema", *([kind] if kind else []))
    assert done.returncode == 0
    assert "2020-12" in json.loads(done.stdout)["$schema"]
    assert bare.run("explain", "Job.spec.steps").returncode == 0
    assert bare.run("explain", "OC9999").returncode == 1


def test_doctor_tells_what_is_missing(site: Make) -> None:
    """`doctor`: 0 on a sound site, 1 and a reason where something is missing."""
    here = site({"hello.yaml": HELLO})
    sound = here.run("doctor", str(here.source))
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert here.run("doctor", str(here.root / "no-such.git")).returncode == 1


@pytest.mark.slow
def test_usage_errors_exit_2_and_say_how(bare: Site) -> None:
    """A wrong flag or command is the user's mistake: 2, with a hint and no traceback."""
    for words in (["fly"], ["up"], ["run"], ["up", ".", "--no-such"], ["get", "runs", "-o", "papyrus"]):
        done = bare.run(*words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert done.stderr
        assert "Traceback" not in done.stderr
