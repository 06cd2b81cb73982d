"""`get`, `describe`, `history`, `next` and `logs` on an engine that works; one engine serves all of these tests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.acceptance.site import HERE, MAIN, Site, job, schedule

GREET = job(
    "greet", "- {id: greet, run: 'echo \"hello ${{ params.who }}\"'}", "params: {who: {type: string, default: all}}"
)
HELD = job(
    "held",
    "- {id: begin, run: echo begun}\n"
    "- {id: hold, run: 'echo held; touch EFFECTS/holds; until [ -e EFFECTS/go ]; do sleep 0.05; done; echo let go'}\n"
    "- {id: end, run: 'exit ${{ params.code }}'}",
    "params: {code: {type: integer, default: 0}}",
)
PAIR = job(
    "pair",
    "- {id: talk, run: 'echo begun; printf half; touch EFFECTS/holds-${{ target.name }};"
    ' until [ -e EFFECTS/go-${{ target.name }} ]; do sleep 0.05; done; echo " a line"; printf open\'}\n'
    "- {id: end, run: 'echo done; printf last'}",
    "targets: {names: [here, there]}",
)
SILENT = job("silent", "- {id: nothing, run: 'true'}", "targets: {names: [there]}")
MENDED = job(
    "mended",
    "- id: break\n  run: 'echo broken; exit 3'\n  rescue: [{id: mend, run: 'echo mended'}]\n"
    "- {id: rounds, forEach: {items: [1, 2]}, run: 'echo \"round ${{ item }}\"'}\n"
    "- {id: soft, continueOnError: true, run: 'exit 4'}",
)
YEARLY = schedule("yearly", "greet", 'cron: "0 2 1 1 *", timeZone: Europe/Berlin')
FLEET = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: there, description: The other one., labels: {place: elsewhere, role: web}}
    spec: {host: localhost, connections: {local: {}}}
    ---
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: lab, labels: {role: web, env: lab}}
    spec: {host: localhost, connections: {local: {}}}
    ---
    apiVersion: opsconductor/v1
    kind: TargetGroup
    metadata: {name: web}
    spec: {selector: {matchLabels: {role: web}}}
    ---
    apiVersion: opsconductor/v1
    kind: TargetGroup
    metadata: {name: everything}
    spec: {groups: [web], names: [here]}
    ---
    apiVersion: opsconductor/v1
    kind: RunnerPool
    metadata: {name: dmz}
    spec: {labels: {zone: dmz}}
"""
GROUPED = job(
    "grouped",
    "- {id: who, run: 'echo \"${{ target.name }}\"'}",
    "targets: {groups: [everything], exclude: {selector: {matchLabels: {env: lab}}}}\nrunsOn: {pool: dmz}",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an engine, on which `greet` has run three times."""
    site = Site(tmp_path_factory.mktemp("reading")).prepare()
    site.create({
        "here.yaml": HERE, "fleet.yaml": FLEET, "greet.yaml": GREET, "yearly.yaml": YEARLY, "silent.yaml": SILENT,
        "mended.yaml": MENDED,
        "held.yaml": HELD.replace("EFFECTS", str(site.effects)),
        "pair.yaml": PAIR.replace("EFFECTS", str(site.effects)), "grouped.yaml": GROUPED,
    })  # fmt: skip
    try:
        site.pulled()
        site.up()
        for number in range(3):
            site.asked(f"greet-{number}", f'jobRef: greet, params: {{who: "{number}"}}')
        yield site
    finally:
        site.close()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("get", "runs"), "greet-"),
        (("get", "jobs"), "held"),
        (("get", "targets"), "The other one."),
        (("get", "schedules"), "yearly"),
        (("get", "requests"), "greet-1"),
        (("history", "greet"), "succeeded"),
        (("next", "--from", "2027-01-01T00:00:00Z", "--within", "2h"), "Europe/Berlin"),
    ],
)
def test_every_list_has_its_four_forms(here: Site, words: tuple[str, ...], named: str) -> None:
    """A table for people, wider on demand; JSON and YAML hold the same data."""
    forms = ("table", "wide", "json", "yaml") if words == ("get", "runs") else ("table", "json")
    found = {form: here.run(*words, "-o", form) for form in forms}
    for form, done in found.items():
        assert done.returncode == 0, (form, done.stderr)
        assert named in done.stdout, form
    head, *rows = found["table"].stdout.splitlines()
    assert head == head.upper()
    data = json.loads(found["json"].stdout)
    items, *_ = data.values()
    assert len(items) == len(rows) > 0
    if "yaml" in found:
        assert json.loads(json.dumps(yaml.safe_load(found["yaml"].stdout), default=str)) == data
        assert found["wide"].stdout.splitlines()[0].endswith("ATTEMPT  RUNNER        COMMIT")


def test_runs_are_newest_first_and_one_may_be_named(here: Site) -> None:
    runs = here.json("get", "runs", "-o", "json")["items"]
    greets = [run for run in runs if run["spec"]["job"] == "greet"]
    assert [run["spec"]["params"]["who"] for run in greets] == ["2", "1", "0"]
    name = greets[0]["metadata"]["name"]
    assert here.json("get", "run", name, "-o", "json")["items"] == greets[:1]
    assert here.json("get", "runs", "greet", "-o", "json")["items"] == greets
    assert here.json("get", "runs", name[:-4], "-o", "json")["items"] == greets[:1]
    assert here.run("get", "runs", "nosuch", "-o", "yaml").returncode == 1
    assert here.json("describe", "run", "greet", "-o", "json") == greets[0]
    assert [
        run["metadata"]["name"] for run in here.json("history", "greet", "--limit", "2", "-o", "json")["items"]
    ] == [run["metadata"]["name"] for run in greets[:2]]


@pytest.mark.parametrize("form", ["table", "json"])
def test_describe_shows_a_document_whole_with_its_status(here: Site, form: str) -> None:
    done = here.run("describe", "target", "here", "-o", form)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    assert found["spec"]["connections"] == {"local": {}}
    assert found["status"]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("get", "job", "nosuch"), 1, "no Job 'nosuch' found"),
        (("get", "runs", "nosuch"), 1, "no Run 'nosuch' found"),
        (("get", "jbo"), 2, "did you mean Job?"),
        (("get", "zebra"), 2, "there are"),
        (("get", "jobs", "-o", "xml"), 2, "table, wide, json, yaml"),
        (("describe", "target", "nosuch"), 1, "no Target 'nosuch' found"),
        (("history", "nosuch"), 1, "no run of 'nosuch' is recorded"),
        (("next", "--within", "soon"), 2, "--within"),
        (("logs", "nosuch"), 1, "no run 'nosuch' found"),
        (("logs", "greet", "--target", "there"), 1, "it has here"),
        (("logs", "greet", "--step", "nosuch"), 1, "it has greet"),
        (("run", "../../x"), 2, "'jobRef' must be a name"),
        (("run", "greet", "-p", "who=1"), 2, """quote it: -p 'who="1"'"""),
        (("run", "greet", "-p", "who"), 2, "write name=value"),
        (("accept", "0" * 40, "--source", "SOURCE"), 1, "has seen no commit 0000"),
        (("accept", "main", "--source", "SOURCE"), 2, "the full commit id"),
    ],
)
def test_what_is_not_there_is_said_once(here: Site, words: tuple[str, ...], code: int, said: str) -> None:
    done = here.run(*(str(here.source) if word == "SOURCE" else word for word in words))
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count(said) == 1, done.stderr
    listed = done.stderr.rpartition("there are ")[2].rstrip().split(", ")
    assert len(listed) == len(set(listed))


def test_logs_of_a_run_that_printed_nothing(here: Site) -> None:
    here.asked("silence", "jobRef: silent")
    done = here.run("logs", "silent")
    assert done.returncode == 0
    assert "succeeded; nothing was printed" in done.stderr


def test_logs_of_a_step_are_also_those_of_its_rounds_and_of_what_rescued_it(here: Site) -> None:
    asked = here.run("run", "mended", "--wait", cwd=here.clone)
    assert asked.returncode == 0, asked.stderr
    assert "break failed (rescued): exit code 3" in asked.stderr
    assert "soft failed (continued): exit code 4" in asked.stderr
    whole = here.run("logs", "mended")
    assert whole.stdout == "broken\nmended\nround 1\nround 2\n"
    assert "── here break/mend" in whole.stderr
    assert here.run("logs", "mended", "--step", "break").stdout == "broken\nmended\n"
    assert here.run("logs", "mended", "--step", "break/mend").stdout == "mended\n"
    assert here.run("logs", "mended", "--step", "rounds").stdout == "round 1\nround 2\n"
    assert here.run("logs", "mended", "--step", "rounds[1]").stdout == "round 2\n"


@pytest.mark.parametrize("code", [0, 3])
def test_logs_follow_a_live_run_to_its_end(here: Site, code: int) -> None:
    """`logs -f` prints what comes while it comes, ends with the run, and tells by its exit code how."""
    for name in ("go", "holds"):
        (here.effects / name).unlink(missing_ok=True)
    here.request(f"hold-{code}", f"jobRef: held, params: {{code: {code}}}")
    here.wait(lambda: (here.effects / "holds").exists(), what="the step that holds")
    run = here.running("held")["metadata"]["name"]
    follower = here.spawn("logs", run, "-f", cwd=here.clone)
    here.daemons.remove(follower)
    try:
        here.wait(lambda: "held\n" in follower.out.read_text(), what="the first lines")
        assert follower.out.read_text() == "begun\nheld\n"
        assert follower.running
        (here.effects / "go").touch()
        assert follower.ended() == (1 if code else 0)
    finally:
        follower.kill()
    assert follower.out.read_text() == "begun\nheld\nlet go\n"
    assert follower.stderr.endswith(f"{run}: {'failed' if code else 'succeeded'}\n")
    again = here.run("logs", run, "-f", "--step", "hold")
    assert (again.returncode, again.stdout) == (1 if code else 0, "held\nlet go\n")


def test_logs_follow_several_targets_line_by_line(here: Site) -> None:
    """Lines of several targets come in any order, so each says where it is from; a line comes whole."""
    for target in ("here", "there"):
        (here.effects / f"go-{target}").unlink(missing_ok=True)
    here.request("pair", "jobRef: pair")
    here.wait(lambda: all((here.effects / f"holds-{t}").exists() for t in ("here", "there")), what="both targets")
    run = here.running("pair")["metadata"]["name"]
    follower = here.spawn("logs", run, "-f", cwd=here.clone)
    here.daemons.remove(follower)
    try:
        here.wait(lambda: len(follower.out.read_text().splitlines()) == 2, what="the first lines")
        (here.effects / "go-there").touch()
        here.wait(lambda: "there end | done\n" in follower.out.read_text(), what="the lines of the second")
        (here.effects / "go-here").touch()
        assert follower.ended() == 0
    finally:
        follower.kill()
    assert follower.out.read_text().splitlines() == [
        "here talk | begun", "there talk | begun", "there talk | half a line", "there talk | open", "there end | done",
        "here talk | half a line", "here talk | open", "here end | done", "there end | last", "here end | last",
    ]  # fmt: skip
    assert "──" not in follower.stderr


def test_exec_shows_what_each_target_printed(here: Site) -> None:
    """`TARGET | line`, and the same as data."""
    done = here.run("exec", "here,there", "--wait", "--", "echo one; echo two >&2")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["here | one", "here | two", "there | one", "there | two"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["here", "here", "there", "there"]
    data = here.json("exec", "there", "--wait", "-o", "json", "--", "echo no; exit 3", code=1)
    assert data["state"] == "failed"
    assert data["targets"] == [
        {
            "target": "there",
            "state": "failed",
            "exitCode": 3,
            "error": "exit code 3",
            "output": "no\n",
            "complete": True,
        }
    ]
    refused = here.json("exec", "nosuch", "--wait", "-o", "json", "--", "true", code=1)
    assert (refused["run"], refused["state"], refused["reason"]) == (None, "refused", "unknownTarget")


def test_groups_and_pools_choose_where_a_job_runs(here: Site) -> None:
    """Groups within groups, less what `exclude` selects, in a pool that is defined; another pool is a finding."""
    run = here.asked("grouped", "jobRef: grouped")
    assert run["status"]["state"] == "succeeded"
    assert run["spec"]["targets"] == ["here", "there"]
    narrowed = here.asked("narrowed", "jobRef: grouped, limit: {groups: [web]}")
    assert narrowed["spec"]["targets"] == ["there"]
    shown = here.run("get", "pools")
    assert "dmz" in shown.stdout
    assert [item["metadata"]["name"] for item in here.json("get", "groups", "-o", "json")["items"]] == [
        "everything",
        "web",
    ]
    elsewhere = GROUPED.replace("{pool: dmz}", "{pool: nosuch}")
    side = here.commit({"grouped.yaml": elsewhere}, branch="side", parent=here.head(MAIN))
    found = here.run("validate", "--rev", side, cwd=here.source)
    assert found.returncode == 1
    assert "nosuch" in found.stdout
