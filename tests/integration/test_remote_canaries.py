"""A secret in steps at other machines, by servers that answer as such machines do: it is in nothing that is written.

test_canaries.py has the table of all step types; here are those whose ways lead over SSH, SFTP and WinRM.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.runs.pinned import PlannedStep, Script, Use
from engine.states import StepState
from schemas.credential import CredentialSpec
from tests import openssh as servers
from tests.integration.test_canaries import CANARY, SAID, SCRIPTS, SECRET, leaks, sampled
from tests.integration.test_sftp_steps import KEY
from tests.integration.test_sftp_steps import target as over_ssh
from tests.integration.test_winrm_files import ADMIN
from tests.integration.test_winrm_files import target as over_winrm
from tests.openssh import OpenSsh
from tests.running import Bench, bench
from tests.wsman.endpoint import PASSWORD, Endpoint, accounts
from tests.wsman.windows import Windows

__all__ = ["bench"]

OK, FAILED, LATE = StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT
BIRD = {"bird": CredentialSpec.model_validate({"type": "token", "from": {"file": "bird"}})}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    made = servers.start(tmp_path_factory.mktemp("canaries"), options="Subsystem sftp internal-sftp")
    yield made
    made.stop()


def use(kind: str, name: str, connection: str, /, **inputs: object) -> PlannedStep:
    return PlannedStep(name, "steps", Use(kind, inputs), connection=connection, continue_on_error=True)  # type: ignore[arg-type]


async def written_nowhere(bench: Bench, capfd: pytest.CaptureFixture[str], *words: str) -> None:
    """Neither the canary nor these, in the journal, the logs and the engine's own log."""
    await bench.close()
    told = capfd.readouterr()
    logs = (path for path in bench.logs.rglob("*") if path.is_file())
    found = {path.name: path.read_bytes() for path in (*bench.folder.glob("journal*"), *logs)}
    found["the engine's own log"] = (told.out + told.err).encode()
    assert leaks(found) == []
    assert [(where, word) for where, data in found.items() for word in words if word.encode() in data] == []
    assert any(b"***" in data for data in found.values()), "it was there, and was masked"


async def test_over_ssh_a_secret_is_in_nothing_that_is_written(
    bench: Bench, host: OpenSsh, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server is on this host: what it starts is among the command lines that are looked at."""
    there = tmp_path / "there"
    there.mkdir()
    (there / "bird").write_text(f"the file holds {CANARY}\n")
    (bench.files / "tree").mkdir()
    (bench.files / "tree" / "x").write_text("x")
    (bench.secrets / "bird").write_text(CANARY)
    (bench.secrets / "key").write_text(host.private_key)
    scripts = [
        PlannedStep(
            end, "steps", Script("sh", text), env={"S": SECRET}, stdin=SECRET, connection="ssh", keeps_output=True,
            timeout=timedelta(seconds=2 if end == "timedOut" else 60), continue_on_error=True,
        )
        for end, text in SCRIPTS.items()
    ]  # fmt: skip
    with sampled() as seen:
        ran = await bench.execute(
            *scripts,
            use("sftp.upload", "up", "ssh", content=SECRET, destination=f"{there}/u"),
            use("sftp.upload", "nowhere", "ssh", content=SECRET, destination=f"{there}/none/{SAID}"),
            use("sftp.download", "down", "ssh", source=f"{there}/bird"),
            use("sftp.download", "none", "ssh", source=f"{there}/{SAID}"),
            use("sftp.sync", "sync", "ssh", source="tree", destination=f"{there}/tree"),
            use("sftp.sync", "unsynced", "ssh", source=SAID, destination=str(there)),
            targets=(over_ssh(host),),
            credentials={**BIRD, **KEY},
        )
    assert {name: one.state for name, one in ran.steps().items()} == {
        "succeeded": OK, "failed": FAILED, "timedOut": LATE, "up": OK, "nowhere": FAILED,
        "down": OK, "none": FAILED, "sync": OK, "unsynced": FAILED,
    }  # fmt: skip
    assert (there / "u").read_text() == CANARY
    assert seen == [], "in a command line"
    assert leaks({"the run as pages show it": repr(ran.view).encode()}) == []
    await written_nowhere(bench, capfd, *host.private_key.splitlines()[1:-1])


@pytest.mark.parametrize("protocol", ["psrp", "winrm"])
async def test_over_winrm_a_secret_is_in_nothing_that_is_written(
    bench: Bench, tmp_path: Path, protocol: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", accounts(tmp_path))
    root = tmp_path / "c"
    (root / "app").mkdir(parents=True)
    (root / "app" / "bird").write_text(f"the file holds {CANARY}\r\n")
    (bench.secrets / "admin").write_text(PASSWORD)
    (bench.secrets / "word").write_text("s3cret-content")
    (bench.secrets / "bird").write_text(CANARY)
    with Endpoint(Windows(root)).serving() as windows, sampled() as seen:
        ran = await bench.execute(
            use("winrm.copy", "put", "winrm", content=SECRET, destination="C:\\app\\u"),
            use("winrm.copy", "nowhere", "winrm", content=SECRET, destination=f"C:\\none\\{SAID.replace('/', '_')}"),
            use("winrm.fetch", "get", "winrm", source="C:\\app\\bird"),
            use("winrm.fetch", "none", "winrm", source=f"C:\\app\\{SAID}"),
            targets=(over_winrm(windows, protocol),),
            credentials={**BIRD, **ADMIN},
        )
    assert {name: one.state for name, one in ran.steps().items()} == {
        "put": OK, "nowhere": FAILED, "get": OK, "none": FAILED,
    }  # fmt: skip
    assert (root / "app" / "u").read_text() == CANARY
    assert seen == [], "in a command line"
    assert leaks({"the run as pages show it": repr(ran.view).encode()}) == []
    await written_nowhere(bench, capfd, PASSWORD)
