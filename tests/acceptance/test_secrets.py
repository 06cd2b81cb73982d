"""Secrets from Credentials: usable, and nowhere to be found afterwards."""

import base64
import json
import os
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.acceptance.site import HERE, Site, credential, job, schedule, ssh_target, steps_of
from tests.acceptance.test_dashboard import pages_of
from tests.acceptance.test_notifications import Sink, channel, sink
from tests.openssh import OpenSsh

__all__ = ["sink"]

# Characters that each encoding writes in its own way.
CANARY = 'Kanarie/+"7=&%ü §4711-geel'
OTHER = "tweede-Kanarie:8642/rood+"
LINES = "-----BEGIN THING-----\nZiegel4Zitrone5Zange6Zebra\nQuark7Quader8Quelle9Quitte\n-----END THING-----"


def forms(secret: str) -> dict[str, bytes]:
    """How a secret may look in what a program writes."""
    raw = secret.encode()
    return {
        "raw": raw,
        "base64": base64.b64encode(raw).rstrip(b"="),
        "base64 of a line": base64.b64encode(raw + b"\n").rstrip(b"="),
        "url-safe base64": base64.urlsafe_b64encode(raw).rstrip(b"="),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json, unicode kept": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "url": quote(secret, safe="").encode(),
    }


PRINTS = """
- id: print
  shell: python3
  env: {ONE: "${{ secrets.first.value }}", TWO: "${{ secrets.second.password }}"}
  run: |
    import base64, json, os, sys, urllib.parse
    for secret in (os.environ["ONE"], os.environ["TWO"]):
        raw = secret.encode()
        for stream in (sys.stdout, sys.stderr):
            for text in (secret, base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
                         base64.b64encode(raw + b"\\n").decode(), raw.hex(), raw.hex().upper(), json.dumps(secret),
                         json.dumps(secret, ensure_ascii=False), urllib.parse.quote(secret, safe="")):
                print("seen:", text, "end", file=stream)
            half = len(secret) // 2
            stream.write(secret[:half]); stream.flush()
            stream.write(secret[half:] + "\\n"); stream.flush()
            stream.write("x" * 65530 + secret + "\\n")
    sys.exit(EXIT)
"""
READS = """
- {id: read, stdin: "${{ secrets.lines.value }}", run: 'cat; sed -n 2p; echo read'}
- {id: length, stdin: "${{ secrets.lines.value }}", run: 'wc -c', outputs: {n: "${{ int(stdout) }}"}}
"""
LEAKS = """
- id: leak
  env: {ONE: "${{ secrets.first.value }}"}
  run: echo "$ONE"
  outputs: {stolen: "${{ stdout }}"}
"""
WAITS = """
- id: wait
  env: {ONE: "${{ secrets.first.value }}"}
  run: 'touch EFFECTS/started; until [ -e EFFECTS/go ]; do sleep 0.05; done'
"""


GIVEN = """
- id: use
  env: {KEY: "${{ params.key }}"}
  stdin: ${{ params.key }}
  run: echo "printed $KEY" >&2; test "$KEY" = "$(cat)" && printf %s "$KEY" | wc -c
  outputs: {bytes: "${{ int(stdout) }}"}
"""
SECRET_PARAM = "targets: {names: [here, remote]}\nparams: {key: {type: string, secret: true, required: true}}"


@pytest.fixture
def vault(bare: Site, openssh: OpenSsh) -> Site:
    """A site with canaries in its secret folder and environment, and jobs that print them on purpose."""
    for name, text in {"first": CANARY, "lines": LINES, "key": openssh.private_key}.items():
        path = bare.secrets / name
        path.touch(mode=0o600)
        path.write_text(text)
    targets = "targets: {names: [here, remote]}"
    bare.create({
        "here.yaml": HERE,
        "remote.yaml": ssh_target("remote", openssh),
        "key.yaml": credential("key", "type: ssh, from: {file: key}"),
        "first.yaml": credential("first", "type: generic, from: {file: first}"),
        "lines.yaml": credential("lines", "type: generic, from: {file: lines}"),
        "second.yaml": credential("second", "type: password, username: ann, from: {env: OPSCONDUCTOR_SECRET_TWO}"),
        "good.yaml": job("good", PRINTS.replace("EXIT", "0"), targets),
        "bad.yaml": job("bad", PRINTS.replace("EXIT", "5"), targets),
        "reads.yaml": job("reads", READS, targets),
        "leaks.yaml": job("leaks", LEAKS, targets),
        "given.yaml": job("given", GIVEN, SECRET_PARAM),
        "waits.yaml": job("waits", WAITS.replace("EFFECTS", str(bare.effects)), targets),
        "yearly.yaml": schedule("yearly", "good", "cron: '0 0 1 1 *', timeZone: UTC"),
    })  # fmt: skip
    return bare


def test_canaries_appear_nowhere(vault: Site) -> None:
    """Printed on purpose in many encodings, in success and failure, over local and ssh: not in logs, status,
    journal, mirror, stderr of the engine, nor in any command line."""
    watcher = CommandLines([CANARY.encode(), OTHER.encode(), b"Ziegel4Zitrone5"])
    with watcher:
        vault.up(env={"OPSCONDUCTOR_SECRET_TWO": OTHER})
        good = vault.asked("good", "jobRef: good")
        bad = vault.asked("bad", "jobRef: bad")
        reads = vault.asked("reads", "jobRef: reads")
        leaks = vault.asked("leaks", "jobRef: leaks")
        vault.request("waits", "jobRef: waits")
        vault.wait(lambda: (vault.effects / "started").exists(), what="the step's start")
        watcher.look()
        (vault.effects / "go").touch()
        vault.answered("waits")
    assert watcher.looks > 3
    assert watcher.found == []
    assert good["status"]["state"] == "succeeded", good
    assert bad["status"]["state"] == "failed"
    assert reads["status"]["state"] == "succeeded"
    for target in ("here", "remote"):
        assert steps_of(bad, target)["print"]["exitCode"] == 5
        assert steps_of(reads, target)["length"]["outputs"]["n"] == len(LINES), "the step itself got it whole"
        leak = steps_of(leaks, target)["leak"]
        assert leak["state"] == "failed", "a declared output that holds a known secret fails its step"
        assert "secret" in leak["error"]
    log = vault.run("logs", good["metadata"]["name"])
    assert "seen:" in log.stdout, "the rest of the output is kept"
    assert _leaks_in_text("logs command", log.stdout + log.stderr) == []
    assert vault.daemons[0].stop() == 0
    assert leaks_of(vault) == []


TELLS = """
- id: print
  shell: bash
  env: {ONE: "${{ secrets.first.value }}", TWO: "${{ secrets.second.password }}"}
  run: |
    set -x
    echo "seen: $ONE"; echo "seen: $TWO" >&2
    test "$ONE" = "$TWO"
  rescue:
    - {uses: notify, with: {channel: ops, text: "it said ${{ steps.print.stdout }} and ${{ steps.print.stderr }}"}}
    - {run: exit 5}
"""
RULE = """apiVersion: opsconductor/v1
kind: NotificationRule
metadata: {name: failures}
spec:
  events: [run.failed]
  channels: [ops]
  template: {subject: "{{ job.name }}", body: "{{ event }} {{ run }} {{ targets }} {{ links }}"}
"""
SHOWN = (
    "/", "/grid", "/runs/RUN", "/runs/RUN/log?target=here&step=print", "/jobs/tells", "/targets", "/targets/here",
    "/sync", "/health", "/schedule", "/kinds/credential", "/kinds/credential/first", "/kinds/job/tells", "/feed.atom",
    "/badge/tells.svg", "/schedule.ics", "/api/v1/grid", "/api/v1/jobs/tells", "/api/v1/runs/RUN",
    "/api/v1/runs/RUN/log?target=here&step=print", "/runs/RUN/logs", "/runs/RUN/log.txt?target=here&step=print",
    "/metrics", "/healthz", "/readyz",
)  # fmt: skip
READ = (
    ("logs", "RUN"), ("get", "run", "-o", "json"), ("describe", "run", "RUN", "-o", "json"),
    ("get", "credential", "-o", "yaml"), ("describe", "job", "tells"), ("history", "tells", "-o", "json"),
)  # fmt: skip


@pytest.mark.slow
def test_canaries_appear_in_nothing_that_people_are_shown(vault: Site, sink: Sink) -> None:
    """Pages, feeds, metrics, messages by rule and by step, and what commands print; with a script that traces itself.

    Slow for the engine that it takes; what each step type writes is held by tests/integration/test_canaries.py.
    """
    vault.commit({
        "ops.yaml": channel(sink.url, more=", credentialRef: first"),
        "rule.yaml": RULE,
        "tells.yaml": job("tells", TELLS, "targets: {names: [here]}"),
    })  # fmt: skip
    vault.up("--dashboard", "127.0.0.1:0", env={"OPSCONDUCTOR_SECRET_TWO": OTHER})
    run = vault.asked("tell", "jobRef: tells")
    assert run["status"]["state"] == "failed", run
    vault.wait(lambda: len(sink.got) > 1, what="what the step and the rule tell")
    name, pages = run["metadata"]["name"], pages_of(vault)
    shown = {path: pages.ask(path.replace("RUN", name)) for path in SHOWN}
    vault.pulled()
    read = {words: vault.run(*(word.replace("RUN", name) for word in words)) for words in READ}
    assert {path: status for path, (status, _, _) in shown.items() if status != 200} == {}
    assert {words: (done.returncode, done.stderr) for words, done in read.items() if done.returncode != 0} == {}
    texts = {
        **{path: f"{headers}{text}" for path, (_, headers, text) in shown.items()},
        **{" ".join(words): done.stdout + done.stderr for words, done in read.items()},
        **{f"message {number}": repr(got) for number, got in enumerate(sink.got)},
    }
    assert [leak for where, text in texts.items() for leak in _leaks_in_text(where, text)] == []
    for where in ("/runs/RUN", "/runs/RUN/log?target=here&step=print", "logs RUN"):
        assert "***" in texts[where], where
    assert any("***" in text for where, text in texts.items() if where.startswith("message"))
    assert vault.daemons[0].stop() == 0
    assert leaks_of(vault) == []


def leaks_of(site: Site) -> list[str]:
    """Where a form of a canary stands, in any byte that the engine left behind."""
    found: list[str] = []
    outside = (site.secrets, site.root / "home")
    for path in site.root.rglob("*"):
        if path.is_file() and not any(path.is_relative_to(folder) for folder in outside):
            found += _leaks(str(path.relative_to(site.root)), path.read_bytes())
    for name in site.git("for-each-ref", "--format=%(refname)").splitlines():
        for number, line in enumerate(site.git("log", "-p", "--text", "-m", name).splitlines()):
            found += _leaks(f"{name} line {number}", line.encode())
    return found


def _leaks(where: str, data: bytes) -> list[str]:
    found = [f"{where}: {kind}" for canary in (CANARY, OTHER) for kind, form in forms(canary).items() if form in data]
    found += [f"{where}: a line of the multi-line secret" for line in LINES.splitlines()[1:3] if line.encode() in data]
    return found


def _leaks_in_text(where: str, text: str) -> list[str]:
    return _leaks(where, text.encode())


class CommandLines:
    """Looks at the command lines of all processes, again and again, for these bytes."""

    def __init__(self, needles: list[bytes]) -> None:
        self.needles, self.found, self.looks = needles, list[str](), 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "CommandLines":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self.look()

    def look(self) -> None:
        self.looks += 1
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    line = Path("/proc", entry, "cmdline").read_bytes()
                except OSError:
                    continue
                if any(needle in line for needle in self.needles):
                    self.found.append(line.decode(errors="replace"))


@pytest.mark.slow
def test_a_secret_param_is_the_field_of_a_credential_that_the_request_names(vault: Site) -> None:
    """The run's file says which one; what it holds reaches the step, and no file."""
    vault.pulled()
    vault.up(env={"OPSCONDUCTOR_SECRET_TWO": OTHER})
    for name, field, secret in (("first", "value", CANARY), ("second", "password", OTHER)):
        done = vault.run("run", "given", "-p", f"key={{credentialRef: {name}, field: {field}}}", "--wait")
        assert done.returncode == 0, done.stderr
        run = vault.run_file(done.stdout.strip())
        assert run["spec"]["params"] == {"key": {"credentialRef": name, "field": field}}
        for target in ("here", "remote"):
            assert steps_of(run, target)["use"]["outputs"] == {"bytes": len(secret.encode())}
    for secret in (CANARY, OTHER):
        texts = [path.read_bytes() for path in vault.state.rglob("*") if path.is_file()]
        assert not [form for form in forms(secret).values() if any(form in text for text in texts)]
    refused = vault.run("run", "given", "-p", "key=hunter22hunter", "--wait")
    assert refused.returncode != 0
    assert "credentialRef" in refused.stderr


def test_secrets_may_only_stand_where_they_are_safe(vault: Site) -> None:
    """In a script, an output or a plain param a secret is refused when the commit is validated."""
    folder = vault.pulled()
    for number, step in enumerate(
        (
            '- {run: "echo ${{ secrets.first.value }}"}',
            '- {run: "true", outputs: {x: "${{ secrets.first.value }}"}}',
            '- {run: "true", env: {X: "a ${{ secrets.first.value }} b"}}',
            '- {run: "true", if: "${{ secrets.first.value == \'x\' }}"}',
            '- {run: "true", stdin: "x${{ secrets.first.value }}"}',
            '- {run: "true", env: {X: "${{ secrets.nowhere.value }}"}}',
        )
    ):
        path = folder / "definitions" / "unsafe.yaml"
        path.write_text(job(f"unsafe-{number}", step))
        done = vault.run("validate")
        assert done.returncode == 1, step
        assert "definitions/unsafe.yaml" in done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_outside_the_secret_folder_is_read(vault: Site) -> None:
    """`from.file` cannot climb out, nor follow a link; a variable must be OPSCONDUCTOR_SECRET_*."""
    outside = vault.root / "home" / "outside"
    outside.write_text("outside-the-folder-1234")
    (vault.secrets / "link").symlink_to(outside)
    (vault.effects / "x").mkdir()
    reads = job("steals", '- {id: s, env: {X: "${{ secrets.stolen.value }}"}, run: \'printf %s "$X" | wc -c\'}')
    vault.commit({"steals.yaml": reads, "stolen.yaml": credential("stolen", "type: generic, from: {file: link}")})
    vault.up("--restricted", env={"OPSCONDUCTOR_SECRET_TWO": OTHER})
    run = vault.asked("steal", "jobRef: steals, limit: {names: [here]}")
    assert run["status"]["state"] in ("failed", "unknown")
    for where in ("{file: ../home/outside}", f"{{file: {outside}}}", "{env: HOME}"):
        folder = vault.pulled()
        (folder / "definitions" / "stolen.yaml").write_text(credential("stolen", f"type: generic, from: {where}"))
        refused = vault.run("validate").returncode == 1
        if not refused:
            commit = vault.commit({"stolen.yaml": credential("stolen", f"type: generic, from: {where}")})
            vault.in_force(commit)
            name = f"steal-{abs(hash(where)) % 10_000}"
            assert vault.asked(name, "jobRef: steals")["status"]["state"] != "succeeded", where
