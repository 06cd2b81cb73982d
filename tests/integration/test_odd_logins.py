"""Users whose login prints something, runs something else, or ends at once, on a real OpenSSH server.

What a host says of itself is found behind what a login says, and what nobody could read is not called an answer.
"""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.states import RunState, StepState
from runners.connections.heard import MOST, Heard
from schemas.target import Become
from tests import openssh as servers
from tests.integration.test_sftp_steps import FAILED, KEY, OK, done, step, target
from tests.openssh import OpenSsh, shared
from tests.running import Bench, bench, script

__all__ = ["bench", "shared"]

TOLD = "its start was not reported, and it may have run: the login ended with exit code "
LOGINS = {
    "noisy": ("/bin/bash", "echo welcome noise"),
    "loud": ("/bin/bash", "printf '%70000s' x; echo"),
    "leaves": ("/bin/bash", "exit 0"),
    "stays": ("/bin/bash", "(exec sleep 30 &)"),
    "nothing": ("/bin/true", ""),
    "snake": ("/usr/bin/python3", ""),
    "closed": ("/usr/sbin/nologin", ""),
    "hello": ("/bin/sh", ""),
    "telltale": ("/bin/sh", ""),
    "plain": ("/bin/sh", ""),
}
"""The shell and the .bashrc of each user."""
SECRET = "Pferd-Batterie-Heft"
FORCED = f"""Subsystem sftp internal-sftp
Match User hello
ForceCommand echo hello
Match User telltale
ForceCommand echo the password is {SECRET}
Match User {",".join(LOGINS)}
AuthorizedKeysFile /etc/opskeys
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    folder, homes = tmp_path_factory.mktemp("odd"), Path(tempfile.mkdtemp())
    homes.chmod(0o755)
    accounts = "echo 'noisy ALL=(ALL:ALL) NOPASSWD: /bin/sh' >/etc/sudoers.d/test; chmod 440 /etc/sudoers.d/test\n"
    for user, (shell, rc) in LOGINS.items():
        (homes / user).mkdir()
        (homes / user / ".bashrc").write_text(f"{rc}\n")
        accounts += f"useradd --no-create-home --home-dir {homes}/{user} --shell {shell} --password '*' {user}\n"
    with servers.in_its_own_etc(folder, accounts) as etc:
        made = servers.started_for_all(etc, folder / "sshd", FORCED)
        for line in (etc / "passwd").read_text().splitlines():
            user, _, uid, gid, *_ = line.split(":")
            if user in LOGINS:
                shutil.chown(homes / user, int(uid), int(gid))
        yield made
        made.stop()
    shutil.rmtree(homes)


async def ran_as(bench: Bench, host: OpenSsh, user: str, **more: Any) -> Any:
    (bench.secrets / "key").write_text(host.private_key)
    return await bench.execute(script("true", **more), targets=(target(host, user),), credentials=KEY)


# --- the question for a user or a group ------------------------------------------------------------------------------


@pytest.mark.parametrize("become", [None, "root"])
async def test_an_owner_is_found_behind_what_a_login_prints(
    bench: Bench, host: OpenSsh, become: str | None, shared: Path
) -> None:
    (bench.files / "site").mkdir()
    (bench.files / "site" / "a").write_text("a")
    owner, group = ("root", "root") if become else ("noisy", "noisy")
    more = {"become": Become(user=become)} if become else {}
    ran = await done(
        bench,
        host,
        step("sftp.upload", "put", content="x", destination=f"{shared}/one", owner=owner, group=group, more=more),
        step("sftp.sync", "sync", source="site", destination=f"{shared}/all", owner=owner, group=group, more=more),
        step("sftp.upload", "nobody", content="x", destination=f"{shared}/no", owner="no-such-user", more=more),
        step("sftp.upload", "none", content="x", destination=f"{shared}/no", group="no-such-group", more=more),
        user="noisy",
    )
    steps = ran.steps()
    assert ran.states() == {"put": OK, "sync": OK, "nobody": FAILED, "none": FAILED}, steps
    uids = {file.stat().st_uid for file in (shared / "one", shared / "all" / "a")}
    assert len(uids) == 1
    assert (uids == {0}) == bool(become)
    assert steps["nobody"].error == "the host knows no user 'no-such-user'"
    assert steps["none"].error == "the host knows no group 'no-such-group'"


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("leaves", "the number of user 'root' is not known: the host gave no answer that can be read: no message"),
        ("nothing", "the number of user 'root' is not known: the host gave no answer that can be read: no message"),
        ("closed", "that can be read: This account is currently not available."),
        ("snake", "that can be read: SyntaxError"),
        ("loud", "asked for user 'root', the host says more than 64 KiB"),
    ],
)
async def test_what_cannot_be_read_is_not_called_an_answer(
    bench: Bench, host: OpenSsh, shared: Path, user: str, says: str
) -> None:
    put = step("sftp.upload", "put", content="x", destination=f"{shared}/x", owner="root")
    ran = await done(bench, host, put, user=user)
    assert ran.states() == {"put": FAILED}
    assert says in (ran.steps()["put"].error or "")


# --- a start that nobody reported ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("leaves", f"{TOLD}0: no message"),
        ("nothing", f"{TOLD}0: no message"),
        ("snake", f"{TOLD}1: SyntaxError"),
        ("closed", f"{TOLD}1: This account is currently not available."),
        ("hello", f"{TOLD}0: hello"),
    ],
)
async def test_a_login_that_runs_something_else_is_told_with_what_it_said(
    bench: Bench, host: OpenSsh, user: str, says: str
) -> None:
    ran = await ran_as(bench, host, user)
    only = ran.steps()["only"]
    assert (ran.state, only.state) == (RunState.UNKNOWN, StepState.UNKNOWN)
    assert (only.error or "").startswith(says), only.error


NOT_BECOME = {
    "nothing": (0, "cannot become 'root' on the host: sudo said nothing"),
    "closed": (
        1,
        "cannot become 'root' on the host: sudo said nothing, and the login printed: "
        "This account is currently not available.",
    ),
}


@pytest.mark.parametrize("user", NOT_BECOME)
async def test_the_same_where_another_user_is_to_be_become(bench: Bench, host: OpenSsh, user: str) -> None:
    code, says = NOT_BECOME[user]
    ran = await ran_as(bench, host, user, become=Become(user="root"))
    assert ran.steps()["only"].state is StepState.UNKNOWN
    assert ran.steps()["only"].error == f"{TOLD}{code}: {says}"


@pytest.mark.parametrize("user", NOT_BECOME)
async def test_the_same_of_files_of_another_user(bench: Bench, host: OpenSsh, user: str) -> None:
    put = step("sftp.upload", "put", content="x", destination="/x", more={"become": Become(user="root")})
    ran = await done(bench, host, put, user=user)
    assert ran.states() == {"put": FAILED}
    assert ran.steps()["put"].error == NOT_BECOME[user][1]


async def test_what_a_login_says_is_masked(bench: Bench, host: OpenSsh) -> None:
    (bench.secrets / "other").write_text(SECRET)
    (bench.secrets / "key").write_text(host.private_key)
    other = type(KEY["key"]).model_validate({"type": "password", "from": {"file": "other"}})
    ran = await bench.execute(script("true"), targets=(target(host, "telltale"),), credentials={**KEY, "other": other})
    assert ran.steps()["only"].error == f"{TOLD}0: the password is ***"


async def test_outputs_of_a_step_that_did_not_run_are_null(bench: Bench, host: OpenSsh) -> None:
    """Not made of an output that it never had; also where it was refused, or could not begin."""
    (bench.secrets / "key").write_text(host.private_key)
    root, outputs = Become(user="root"), {"w": "${{ stdout }}", "x": "always"}
    ran = await bench.execute(
        script("date", "one", become=root, outputs=outputs, continue_on_error=True),
        step("sftp.upload", "two", content="x", destination="/x", more={"become": root, "outputs": outputs}),
        script("date", "three", env={"A": "${{ 1 / size(stdout) }}"}, outputs=outputs, continue_on_error=True),
        script("exit 1", "four", outputs=outputs, continue_on_error=True),
        targets=(target(host, "plain"),),
        credentials=KEY,
    )
    steps = ran.steps()
    nothing = {"w": None, "x": None}
    assert {name: steps[name].outputs for name in ("one", "two", "three")} == dict.fromkeys(
        ("one", "two", "three"), nothing
    )
    assert steps["four"].outputs == {"w": "", "x": "always"}


def test_of_a_line_whose_beginning_is_not_kept_nothing_is_told() -> None:
    """Half of a secret could not be masked."""
    heard = Heard()
    heard.feed(b"half" * MOST)
    assert heard.last_line == ""
    heard.feed(b"\n\x1b[0mwelcome\r\n \n")
    assert heard.last_line == "[0mwelcome"


async def test_what_a_login_leaves_behind_does_not_hide_that_a_step_has_ended(bench: Bench, host: OpenSsh) -> None:
    """It holds the channels of the step and of the question open, after what they were about."""
    (bench.secrets / "key").write_text(host.private_key)
    long = script("exec sleep 600", timeout=timedelta(seconds=1))
    ran = await bench.execute(long, targets=(target(host, "stays"),), credentials=KEY)
    only = ran.steps()["only"]
    assert (ran.state, only.state) == (RunState.TIMED_OUT, StepState.TIMED_OUT), only.error
