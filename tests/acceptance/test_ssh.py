"""Steps over real OpenSSH: credentials, host keys, several targets at once, and bad connections."""

import contextlib
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from tests import openssh as servers
from tests.acceptance.site import Site, alive, credential, job, ssh_target, steps_of
from tests.openssh import OpenSsh

Make = Callable[..., Site]

KEY = credential("key", "type: ssh, from: {file: id_ed25519}")
BOTH = "targets: {names: [one, two]}"


@pytest.fixture
def fleet(bare: Site, openssh: OpenSsh) -> Site:
    """A site whose secret folder holds the key of a server; two targets, one and two, are that server."""
    _secret(bare, "id_ed25519", openssh.private_key)
    bare.create({
        "key.yaml": KEY,
        "one.yaml": ssh_target("one", openssh),
        "two.yaml": ssh_target("two", openssh),
    })  # fmt: skip
    return bare


def _secret(site: Site, name: str, text: str) -> None:
    path = site.secrets / name
    path.touch(mode=0o600)
    path.write_text(text)


def test_a_key_from_the_secret_folder_logs_in_and_targets_run_at_once(fleet: Site) -> None:
    """Two targets in parallel: each waits for the other's trace, so neither could end alone."""
    meet = f"touch {fleet.effects}/met-$ME; until [ -e {fleet.effects}/met-$OTHER ]; do sleep 0.05; done; echo $ME"
    fleet.commit({
        "meet.yaml": job(
            "meet",
            f"""
            - id: meet
              timeout: 20s
              env:
                ME: "${{{{ target.name }}}}"
                OTHER: "${{{{ target.name == 'one' ? 'two' : 'one' }}}}"
              run: '{meet}'
              outputs: {{who: "${{{{ stdout }}}}"}}
            - id: tell
              run: 'cat; echo "${{{{ steps.meet.outputs.who }}}} $LC_WORD"'
              stdin: in
              env: {{LC_WORD: "a 'b'"}}
            """,
            BOTH + '\noutputs: {who: "${{ steps.meet.outputs.who }}"}',
        )
    })  # fmt: skip
    fleet.up()
    run = fleet.asked("meet", "jobRef: meet")
    assert run["status"]["state"] == "succeeded", run
    assert run["status"]["outputs"] == {"who": {"one": "one", "two": "two"}}
    logs = fleet.run("logs", run["metadata"]["name"], "--target", "two", "--step", "tell")
    assert "intwo a 'b'" in logs.stdout
    for name in ("one", "two"):
        assert fleet.status(f"targets/{name}.yaml")["run"] == run["metadata"]["name"]


@pytest.mark.slow
def test_max_parallel_is_kept(fleet: Site) -> None:
    """With `maxParallel: 1` the second target starts when the first has ended, `finally` included."""
    note = f"echo $WHAT ${{{{ target.name }}}} >> {fleet.effects}/order"
    fleet.commit({
        "turns.yaml": job(
            "turns",
            f'- {{run: "{note}", env: {{WHAT: begin}}}}\n- {{run: sleep 0.5}}',
            f'{BOTH}\nstrategy: {{maxParallel: 1}}\nfinally: [{{run: "{note}", env: {{WHAT: end}}}}]',
        )
    })  # fmt: skip
    fleet.up()
    assert fleet.asked("turns", "jobRef: turns")["status"]["state"] == "succeeded"
    lines = fleet.left("order")
    assert lines in (
        ["begin one", "end one", "begin two", "end two"],
        ["begin two", "end two", "begin one", "end one"],
    )


def test_a_wrong_host_key_is_unreachable_and_says_what_to_do(fleet: Site, openssh: OpenSsh) -> None:
    """The definitions say which key a host shows; another one is refused before anything is sent."""
    wrong = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    fleet.commit({
        "two.yaml": ssh_target("two", openssh, host_key=wrong),
        "hi.yaml": job("hi", f'- {{id: hi, run: "echo ${{{{ target.name }}}} >> {fleet.effects}/hi"}}', BOTH),
    })  # fmt: skip
    fleet.up()
    run = fleet.asked("hi", "jobRef: hi")
    assert run["status"]["state"] == "failed"
    assert run["status"]["targets"]["one"]["state"] == "succeeded"
    two = run["status"]["targets"]["two"]
    assert two["state"] == "unreachable"
    error = steps_of(run, "two")["hi"]["error"]
    assert "host key" in error.lower()
    assert "hostKeys" in error, "the message names the field to mend"
    assert fleet.left("hi") == ["one"]


@pytest.mark.slow
def test_a_host_that_is_not_there_is_unreachable(fleet: Site, openssh: OpenSsh) -> None:
    """Nothing listens: `unreachable`, not `failed`, and the address is named."""
    gone = ssh_target("two", openssh).replace(f"port: {openssh.port}", "port: 1")
    fleet.commit({"two.yaml": gone, "hi.yaml": job("hi", "- {id: hi, run: echo hi}", BOTH)})
    fleet.up()
    run = fleet.asked("hi", "jobRef: hi")
    assert run["status"]["targets"]["two"]["state"] == "unreachable"
    assert "127.0.0.1" in steps_of(run, "two")["hi"]["error"]
    assert fleet.status("targets/two.yaml")["state"] == "unreachable"


@pytest.mark.slow
def test_a_missing_secret_names_the_credential(fleet: Site) -> None:
    """The file is not in the secret folder: the step says which credential and which file, and the run ends."""
    (fleet.secrets / "id_ed25519").unlink()
    fleet.commit({"hi.yaml": job("hi", "- {id: hi, run: echo hi}", BOTH)})
    fleet.up()
    run = fleet.asked("hi", "jobRef: hi")
    assert run["status"]["state"] == "failed"
    error = steps_of(run, "one")["hi"]["error"]
    assert "key" in error
    assert "id_ed25519" in error


def test_a_timeout_leaves_no_process_on_the_target(fleet: Site) -> None:
    """`timeout` ends the remote process group, children included."""
    script = f"echo $$ >> {fleet.effects}/pids; sleep 600 & echo $! >> {fleet.effects}/pids; wait"
    fleet.commit({"hang.yaml": job("hang", f"- {{id: hang, timeout: 2s, run: '{script}'}}", "targets: {names: [one]}")})
    fleet.up()
    run = fleet.asked("hang", "jobRef: hang")
    assert steps_of(run, "one")["hang"]["state"] == "timedOut"
    pids = [int(line) for line in fleet.left("pids")]
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


@pytest.mark.slow
def test_a_killed_engine_leaves_no_process_on_the_target(fleet: Site) -> None:
    """`kill -9` of the engine closes the connection; the bootstrap ends the step; the run becomes `unknown`."""
    script = f"echo $$ >> {fleet.effects}/pids; sleep 600"
    fleet.commit({"hang.yaml": job("hang", f"- {{id: hang, run: '{script}'}}", "targets: {names: [one]}")})
    daemon = fleet.up()
    fleet.request("hang", "jobRef: hang")
    fleet.wait(lambda: fleet.left("pids"), what="the step's start")
    (pid,) = (int(line) for line in fleet.left("pids"))
    fleet.running("hang")
    daemon.kill()
    fleet.up()
    run = fleet.ended("hang", timeout=60)[0]
    assert run["status"]["state"] == "unknown"
    assert steps_of(run, "one")["hang"]["state"] == "unknown"
    assert len(fleet.left("pids")) == 1, "not repeated"
    fleet.wait(lambda: not alive(pid), what="the end of the remote process")


@pytest.mark.slow
def test_a_dropped_connection_is_unknown(bare: Site, own_openssh: OpenSsh) -> None:
    """The host cut the connection in the middle of a step: nobody can say how it ended, so it is `unknown`."""
    _secret(bare, "id_ed25519", own_openssh.private_key)
    cut = job("cut", f"- {{id: cut, run: 'echo here >> {bare.effects}/cut; sleep 600'}}", "targets: {names: [one]}")
    bare.create({"key.yaml": KEY, "one.yaml": ssh_target("one", own_openssh), "cut.yaml": cut})
    bare.up()
    bare.request("cut", "jobRef: cut")
    bare.wait(lambda: bare.left("cut"), what="the step's start")
    own_openssh.drop_connections()
    run = bare.ended("cut", timeout=60)[0]
    assert run["status"]["state"] == "unknown"
    step = steps_of(run, "one")["cut"]
    assert step["state"] == "unknown"
    assert step["error"]
    assert bare.left("cut") == ["here"], "not repeated"


@pytest.mark.slow
def test_a_host_that_freezes_is_noticed(bare: Site, own_openssh: OpenSsh) -> None:
    """No answer, no reset: keepalive and limits end the wait; the step's timeout cannot be proven, so `unknown`."""
    _secret(bare, "id_ed25519", own_openssh.private_key)
    cut = job(
        "cut",
        f"- {{id: cut, timeout: 3s, run: 'echo here >> {bare.effects}/cut; sleep 600'}}",
        "targets: {names: [one]}",
    )
    bare.create({"key.yaml": KEY, "one.yaml": ssh_target("one", own_openssh), "cut.yaml": cut})
    bare.up()
    bare.request("cut", "jobRef: cut")
    bare.wait(lambda: bare.left("cut"), what="the step's start")
    own_openssh.freeze()
    run = bare.ended("cut", timeout=90)[0]
    assert run["status"]["state"] == "unknown"
    assert steps_of(run, "one")["cut"]["state"] == "unknown"


# --- passwords need an account that has one --------------------------------------------------------------------------


@pytest.fixture
def login() -> Iterator[tuple[str, str]]:
    """An account of this machine with a password, for the time of a test. Needs root, as containers have it."""
    name, password = "opsacceptance", "korrekt-Pferd 'Batterie' \"Heft\""
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
    useradd, chpasswd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin"), "/usr/sbin/chpasswd"
    assert useradd, "useradd is missing: the tests of passwords need it, and root"
    subprocess.run([useradd, "--no-create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
    subprocess.run([chpasswd], input=f"{name}:{password}\n".encode(), check=True, capture_output=True)
    try:
        yield name, password
    finally:
        subprocess.run(["/usr/sbin/userdel", "--force", name], check=False, capture_output=True)


@pytest.mark.slow
def test_passwords_from_file_and_environment(bare: Site, tmp_path: Path, login: tuple[str, str]) -> None:
    """A password is read from the secret folder or from OPSCONDUCTOR_SECRET_*, quotes and all; a wrong one says so."""
    name, password = login
    server = servers.start(tmp_path / "sshd", passwords=True)
    server.user = name
    try:
        _secret(bare, "password", password + "\n")
        account = f"type: password, username: {name}"
        bare.create({
            "file.yaml": credential("by-file", f"{account}, from: {{file: password}}"),
            "env.yaml": credential("by-env", f"{account}, from: {{env: OPSCONDUCTOR_SECRET_PW}}"),
            "wrong.yaml": credential("wrong", f"{account}, from: {{env: OPSCONDUCTOR_SECRET_NO}}"),
            "a.yaml": ssh_target("by-file", server, credential="by-file"),
            "b.yaml": ssh_target("by-env", server, credential="by-env"),
            "c.yaml": ssh_target("by-guess", server, credential="wrong"),
            "who.yaml": job(
                "who", "- {id: who, run: id -un, outputs: {name: '${{ stdout }}'}}",
                "targets: {names: [by-file, by-env, by-guess]}",
            ),
        })  # fmt: skip
        bare.up(env={"OPSCONDUCTOR_SECRET_PW": password, "OPSCONDUCTOR_SECRET_NO": "guess-guess-guess"})
        run = bare.asked("who", "jobRef: who", timeout=60)
        assert steps_of(run, "by-file")["who"]["outputs"] == {"name": name}
        assert steps_of(run, "by-env")["who"]["outputs"] == {"name": name}
        assert run["status"]["targets"]["by-guess"]["state"] == "unreachable"
        assert "guess-guess-guess" not in str(run)
        assert "password" in steps_of(run, "by-guess")["who"]["error"] + str(run)
    finally:
        server.stop()
