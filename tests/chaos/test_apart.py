"""Controllers and runners apart, when nothing goes wrong: what runners need comes to them by the database alone."""

import json
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest

from tests import openssh
from tests.chaos.fleet import Fleet
from tests.chaos.site import MAIN
from tests.postgresql import Server

pytestmark = pytest.mark.slow

SECRET = "correct-horse-battery"
DEFINITIONS = """\
apiVersion: opsconductor/v1
kind: Project
metadata: {name: apart}
spec: {interval: 2s}
---
apiVersion: opsconductor/v1
kind: Target
metadata: {name: here}
spec: {connections: {local: {}}}
---
apiVersion: opsconductor/v1
kind: Credential
metadata: {name: hook}
spec: {type: token, from: {file: hook}}
---
apiVersion: opsconductor/v1
kind: Trigger
metadata: {name: deploy}
spec:
  event: {webhook: {credentialRef: hook}}
  jobRef: say
  params: {word: "${{ event.word }}"}
---
apiVersion: opsconductor/v1
kind: Job
metadata: {name: say}
spec:
  params: {word: {type: string}}
  targets: {names: [here]}
  steps:
    - id: say
      uses: local.exec
      with: {file: scripts/say.sh, shell: sh}
      env: {WORD: "${{ params.word }}"}
      outputs: {said: "${{ stdout }}"}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    found.start()
    yield found
    found.remove()


@pytest.fixture
def fleet(tmp_path: Path, ssh_server: openssh.OpenSsh, server: Server) -> Iterator[Fleet]:
    found = Fleet(tmp_path / "site", ssh_server, database=server, name=server.database())
    (found.secrets / "hook").write_text(SECRET)
    (found.secrets / "hook").chmod(0o600)
    found.push(MAIN, {"opsconductor.yaml": DEFINITIONS, "scripts/say.sh": 'printf "%s from a file" "$WORD"\n'})
    yield found
    found.close()
    server.drop(found.name)


def told(fleet: Fleet, name: str, words: str) -> str:
    """An address that a process has said."""
    fleet.until_log_of(name, words)
    found = re.search(rf"{words}.*?(http://\S+?:\d+)", fleet.members[name].log.read_text())
    assert found is not None, fleet.tail()
    return found[1]


def test_a_webhook_at_a_runner_starts_a_run_that_uses_a_file_of_the_repository(fleet: Fleet) -> None:
    """The runner knows neither the definitions nor git."""
    kept = fleet.folder / "kept"
    ann = fleet.controller("ann", "--dashboard", "127.0.0.1:0", "--logs", str(kept))
    fleet.runner("cid", "--webhooks", "127.0.0.1:0", "--capacity", "3", "--labels", "site=eu", "--logs", str(kept))
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    hooks = told(fleet, "cid", "webhooks are received")
    fleet.until_true(lambda: fleet.one("SELECT 1 FROM facts WHERE key = 'hooks'") == 1)

    def sent() -> bool:
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json", "Idempotency-Key": "one"}
        request = urllib.request.Request(f"{hooks}/hooks/deploy", b'{"word": "hello"}', headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(answer.status in (200, 202))
        except urllib.error.HTTPError as error:
            assert error.code == 401, error  # the runner has not read yet what the database says
            return False

    fleet.until_true(sent)
    fleet.until_branch(lambda seen: seen.ended("say") == 1, fleet)
    ((_, run),) = fleet.seen().runs()
    assert run["status"]["state"] == "succeeded", run
    assert run["status"]["targets"]["here"]["steps"][0]["outputs"] == {"said": "hello from a file"}

    pages = told(fleet, "ann", "the dashboard listens")
    fleet.until_true(lambda: len(_health(pages)["runners"]) == 1)
    health = _health(pages)
    assert health["ready"], health
    assert [(one["leads"], one["lost"]) for one in health["controllers"]] == [(True, False)]
    (runner,) = health["runners"]
    assert (runner["pool"], runner["capacity"], runner["labels"]) == ("default", 3, {"site": "eu"})
    with urllib.request.urlopen(f"{pages}/metrics", timeout=10) as answer:
        series = answer.read().decode()
    assert "opsconductor_leads 1.0" in series
    assert 'opsconductor_controllers{state="leads"} 1.0' in series
    assert 'opsconductor_runner_capacity{pool="default"} 3.0' in series
    assert re.search(r'opsconductor_runner_up\{pools="default",runner="default/[0-9a-f]+"\} 1.0', series), series
    fleet.stop(ann)
    assert [one.read_text() for one in kept.rglob("*.log")] == ["hello from a file"]
    assert fleet.one("SELECT count(*) FROM controllers") == 0
    assert fleet.one("SELECT count(*) FROM runners") == 0


def _health(pages: str) -> dict[str, list[dict[str, object]]]:
    with urllib.request.urlopen(f"{pages}/api/v1/health", timeout=10) as answer:
        found: dict[str, list[dict[str, object]]] = json.load(answer)
    return found


def test_what_people_say_and_try_beside_controllers_reaches_the_one_that_leads(fleet: Fleet) -> None:
    """`accept` and `target test` need the database alone: they are called where neither a mirror nor a journal is."""
    fleet.controller("ann", "--dashboard", "127.0.0.1:0")
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    good = fleet.seen().applied
    rewritten = fleet.push(MAIN, {"opsconductor.yaml": DEFINITIONS, "scripts/say.sh": "true\n"}, anew=True)
    fleet.until_branch(lambda seen: seen.read("sync.yaml")["status"]["observedCommit"] == rewritten, fleet)
    assert fleet.seen().applied == good
    elsewhere = ("--source", str(fleet.source), "--state", str(fleet.folder / "nobody"))
    unseen = fleet.command("accept", "0" * 40, *elsewhere)
    assert (unseen.wait(), "has seen no commit 0000" in unseen.tail()) == (1, True), unseen.tail()
    said = fleet.command("accept", rewritten, *elsewhere)
    assert said.wait() == 0, said.tail()
    assert f"the controller that leads takes {rewritten[:12]}" in said.tail()
    fleet.until_branch(lambda seen: seen.applied == rewritten, fleet)

    tried = fleet.command("target", "test", "-C", str(fleet.source), "--state", str(fleet.folder / "nobody"))
    assert tried.wait() == 0, tried.tail()
    pages = told(fleet, "ann", "the dashboard listens")
    with urllib.request.urlopen(f"{pages}/api/v1/targets/here", timeout=10) as answer:
        tested = json.load(answer)["tested"]
    assert tested["recorded"]
    assert tested["trials"]["local"]["ok"]


def test_everything_in_one_process_on_postgresql_and_two_of_them(fleet: Fleet) -> None:
    """Each works on runs, one leads; another engine, with a store of its own, is refused."""
    for name in ("ann", "bob"):
        fleet.together(name)
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    fleet.ask("ask", jobRef="say", params={"word": "hello"})
    fleet.until_done("ask", fleet)
    other = fleet.start(state=fleet.folder / "other")
    assert other.wait() == 1
    assert "belongs to engine" in other.tail()
    leader = fleet.leading()
    fleet.kill(leader)
    fleet.ask("again", jobRef="say", params={"word": "hello"})
    fleet.until_done("again", fleet)
    fleet.stop(None)


def test_controllers_of_another_repository_are_refused_on_the_database(fleet: Fleet) -> None:
    """By another address it is the same one. After its history was written anew a person says where it goes on."""
    ann = fleet.controller("ann")
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    fleet.until_true(lambda: fleet.one("SELECT 1 FROM facts WHERE key = 'source'") == 1)

    other = fleet.folder / "other.git"
    pygit2.init_repository(str(other), bare=True, initial_head="main")
    _written_anew(other)
    eve = fleet.run("opsconductor.cli.main", *_standing_by(fleet, "eve", str(other)))
    assert eve.wait() == 1
    assert f"used by controllers of another source, {fleet.source}" in " ".join(eve.tail().split())

    shutil.copytree(fleet.source, fleet.folder / "copy.git")
    bob = fleet.run("opsconductor.cli.main", *_standing_by(fleet, "bob", f"file://{fleet.folder / 'copy.git'}"))
    fleet.until_true(lambda: "stands by" in bob.tail())
    bob.send(signal.SIGTERM)
    assert bob.wait() == 0, bob.tail()

    head = _written_anew(fleet.source)
    fleet.until_true(lambda: "the branch was rewritten" in ann.tail())
    cid = fleet.run("opsconductor.cli.main", *_standing_by(fleet, "cid", str(fleet.source)))
    assert cid.wait() == 1
    assert f"opsconductor accept {head}" in " ".join(cid.tail().split())
    where = ("--source", str(fleet.source), "--state", str(fleet.folder / "cid"), "--database", fleet.url)
    said = fleet.run("opsconductor.cli.main", "accept", head, *where)
    assert said.wait() == 0, said.tail()
    fleet.until_branch(lambda seen: seen.applied == head, fleet)
    cid = fleet.run("opsconductor.cli.main", *_standing_by(fleet, "cid", str(fleet.source)))
    fleet.until_true(lambda: "stands by" in cid.tail())
    for one in (ann, cid):
        assert one.alive, one.tail()
        one.send(signal.SIGTERM)
        assert one.wait() == 0, one.tail()


def _standing_by(fleet: Fleet, name: str, source: str) -> tuple[str, ...]:
    state = str(fleet.folder / name)
    return ("controller", source, "--dashboard", "off", "--state", state, "--database", fleet.url)


def _written_anew(repository: Path) -> str:
    """The definitions, as the first commit of a history of their own."""
    found = pygit2.Repository(str(repository))
    index = pygit2.Index()
    mode = pygit2.enums.FileMode.BLOB
    for path, text in (("opsconductor.yaml", DEFINITIONS), ("scripts/say.sh", "echo anew\n")):
        index.add(pygit2.IndexEntry(path, found.create_blob(text.encode()), mode))
    who = pygit2.Signature("Ann", "ann@example.org")
    commit = found.create_commit(None, who, who, f"anew {repository.name}", index.write_tree(found), [])
    found.references.create(MAIN, commit, force=True)
    return str(commit)


def test_a_runner_tells_a_probe_how_it_is(fleet: Fleet) -> None:
    """With no controller at all, and no git: it takes runs as soon as there are some."""
    cid = fleet.runner("cid", "--probes", "127.0.0.1:0")
    where = told(fleet, "cid", "probes are answered")
    fleet.until_true(lambda: _probe(f"{where}/readyz") == (200, "ok\n"))
    assert _probe(f"{where}/healthz") == (200, "ok\n")
    assert _probe(f"{where}/healthz", "HEAD") == (200, "")
    assert _probe(f"{where}/healthz", "POST")[0] == 405
    assert _probe(f"{where}/metrics")[0] == 404
    assert "leases: ok" in _probe(f"{where}/readyz?verbose")[1]
    fleet.database.stop()
    try:
        fleet.until_true(lambda: _probe(f"{where}/readyz")[0] == 503)
        assert "journal: it cannot be written" in _probe(f"{where}/readyz")[1]
        assert _probe(f"{where}/healthz") == (200, "ok\n"), "a restart would not mend it"
    finally:
        fleet.database.start()
    fleet.until_true(lambda: _probe(f"{where}/readyz") == (200, "ok\n"))
    cid.send(signal.SIGTERM)
    assert cid.wait() == 0


def _probe(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_run_waits_for_a_runner_with_its_labels_and_says_so(fleet: Fleet) -> None:
    asks = "  runsOn: {labels: {site: eu}}\n"
    fleet.push(MAIN, {"opsconductor.yaml": DEFINITIONS + asks})
    ann = fleet.controller("ann", "--dashboard", "127.0.0.1:0")
    fleet.runner("cid", "--labels", "site=us")
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    fleet.ask("ask", jobRef="say", params={"word": "hello"})
    waits = {"pool": "default", "labels": {"site": "eu"}}
    fleet.until_branch(lambda seen: [run["status"].get("waitsFor") for _, run in seen.runs()] == [waits], fleet)
    pages = told(fleet, "ann", "the dashboard listens")
    fleet.until_true(lambda: len(_health(pages)["runners"]) == 1)
    assert _health(pages)["untaken"] == [waits | {"count": 1}]
    with urllib.request.urlopen(f"{pages}/health", timeout=10) as answer:
        said = " ".join(answer.read().decode().split())
    assert "1 run of pool default waits for a runner with labels site=eu, and there is none." in said
    fleet.runner("dan", "--labels", "rack=7,site=eu")
    fleet.until_done("ask", fleet)
    name = fleet.one("SELECT runner FROM runs")
    assert f"name={name}" in fleet.members["dan"].log.read_text()
    fleet.stop(ann)


def test_who_drains_hands_the_lead_over_first(fleet: Fleet) -> None:
    """What it works on may take the whole grace time; another decides and publishes meanwhile."""
    gate = fleet.folder / "gate"
    text = f"set -e\nwhile [ ! -e {gate} ]; do sleep 0.1; done\necho $WORD\n"
    fleet.push(
        MAIN, {"scripts/say.sh": text, "opsconductor.yaml": DEFINITIONS + "  concurrency: {onConflict: allow}\n"}
    )
    for name in ("ann", "bob"):
        fleet.together(name, "--grace", "10m")
    leader = fleet.leading()
    fleet.until_branch(lambda seen: seen.applied is not None, fleet)
    fleet.until_true(lambda: fleet.one("SELECT count(*) FROM runners") == 2)
    fleet.ask("one", "two", jobRef="say", params={"word": "hello"})
    fleet.until_true(lambda: fleet.one("SELECT count(DISTINCT runner) FROM runs WHERE state = 'running'") == 2)
    fleet.members[leader].send(signal.SIGTERM)
    fleet.until_true(lambda: fleet.leader() is not None and fleet.leading() != leader)
    assert fleet.members[leader].alive, "it works on a run still"
    fleet.ask("three", jobRef="say", params={"word": "hello"})
    fleet.until_true(lambda: fleet.one("SELECT count(*) FROM runs") == 3)
    gate.touch()
    for act in ("one", "two", "three"):
        fleet.until_done(act, fleet)
    assert fleet.members[leader].wait() == 0
    assert fleet.one("SELECT max(lost) FROM runs") == 0


@pytest.mark.parametrize(
    ("command", "url", "words"),
    [
        (("controller", "."), "sqlite:////tmp/x.db", "SQLite is for one process"),
        (("runner", "--pool", "default"), "sqlite:////tmp/x.db", "use `opsconductor up SOURCE`"),
        (("up", "."), "mysql://db/x", "it begins with postgresql://"),
        (("controller", "."), "", "--database URL is needed"),
        (("runner",), "postgresql://db/x", "--pool P is needed"),
        (("up", ".", "--once"), "postgresql://db/x", "leave out --database"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_the_reason(
    fleet: Fleet, command: tuple[str, ...], url: str, words: str
) -> None:
    daemon = fleet.run("opsconductor.cli.main", *command, OPSCONDUCTOR_DATABASE=url)
    assert daemon.wait() == 2
    assert words in " ".join(daemon.tail().split())


def test_an_upgrade_that_an_older_program_cannot_go_on_beside_ends_it(fleet: Fleet) -> None:
    """Connected or not, it changes nothing from then on: controllers, standing by too, and runners say why and stop."""
    fleet.controller("ann", chaos=False)
    fleet.leading()
    fleet.controller("bob", chaos=False)
    fleet.runner("cid", chaos=False)
    fleet.until_log_of("bob", "stands by")
    fleet.until_log_of("cid", "this runner works")
    with fleet.sql() as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key IN ('version', 'compatible')")
    for name, one in fleet.members.items():
        assert one.wait(60) == 1, f"{name}: {one.tail()}"
        assert "changed by a newer OpsConductor" in one.log.read_text(), name
