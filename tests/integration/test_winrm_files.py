"""Steps with files of a Windows target, by way of the whole run. tests/wsman says what stands for Windows."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.states import StepState
from runners.steps.paths import BadPath, checked_windows
from schemas.credential import CredentialSpec
from schemas.target import Connections
from tests.running import Bench, bench
from tests.wsman.endpoint import PASSWORD, USER, Endpoint, accounts
from tests.wsman.windows import Windows

__all__ = ["bench"]

OK, FAILED = StepState.SUCCEEDED, StepState.FAILED
ADMIN = {
    "admin": CredentialSpec.model_validate({"type": "password", "username": USER, "from": {"file": "admin"}}),
    "word": CredentialSpec.model_validate({"type": "generic", "from": {"file": "word"}}),
}


def target(host: Endpoint, protocol: str) -> PinnedTarget:
    winrm = {"port": host.port, "protocol": protocol, "scheme": "http", "credentialRef": "admin"}
    connections = Connections.model_validate({"winrm": winrm})
    return PinnedTarget("win", host="127.0.0.1", os="windows", connections=connections, default_connection="winrm")


def step(kind: str, step_id: str, /, **inputs: Any) -> PlannedStep:
    return PlannedStep(step_id, "steps", Use(kind, inputs), connection="winrm", continue_on_error=True)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("protocol", ["psrp", "winrm"])
async def test_files_are_whole_or_not_there(
    bench: Bench, tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", accounts(tmp_path))
    root = tmp_path / "c"
    root.mkdir()
    (bench.secrets / "admin").write_text(PASSWORD)
    (bench.secrets / "word").write_text("s3cret-content")
    (bench.files / "app.ini").write_bytes(b"port=1\r\n")
    put = {"source": "app.ini", "destination": "C:\\app\\app.ini", "createFolders": True}
    with Endpoint(Windows(root)).serving() as host:
        ran = await bench.execute(
            step("winrm.copy", "first", **put),
            step("winrm.copy", "again", **put),
            step("winrm.copy", "text", content="port=2\r\n", destination="c:/app/app.ini", backup=True),
            step("winrm.copy", "wrong", content="x", destination="C:\\app\\app.ini", checksum=digest(b"y")),
            step("winrm.copy", "nowhere", content="x", destination="C:\\a\\b.ini"),
            step("winrm.copy", "outside", content="x", destination="C:\\app\\..\\b.ini"),
            step("winrm.copy", "secret", content="${{ secrets.word.value }}", destination="C:\\app\\key"),
            step("winrm.fetch", "read", source="C:\\app\\app.ini"),
            step("winrm.fetch", "none", source="C:\\app\\none.ini"),
            step("winrm.fetch", "large", source="C:\\app\\app.ini", maxSize="4B"),
            targets=(target(host, protocol),),
            credentials=ADMIN,
        )
        assert all(sealed for _, sealed in host.requests)
        assert not host.shells
    steps = ran.steps()
    assert [(name, one.state) for name, one in steps.items()] == [
        ("first", OK), ("again", OK), ("text", OK), ("wrong", FAILED), ("nowhere", FAILED), ("outside", FAILED),
        ("secret", OK), ("read", OK), ("none", FAILED), ("large", FAILED),
    ]  # fmt: skip
    assert steps["first"].outputs == {"changed": True, "checksum": digest(b"port=1\r\n")}
    assert [steps[name].outputs["changed"] for name in ("again", "text")] == [False, True]
    assert steps["read"].outputs["checksum"] == digest(b"port=2\r\n")
    assert "C:/a: there is no such folder" in (steps["nowhere"].error or "")
    assert (root / "app" / "key").read_text() == "s3cret-content"
    found = sorted(one.name for one in (root / "app").iterdir())
    assert [name for name in found if not name.startswith("app.ini.2")] == ["app.ini", "key"]
    assert len(found) == 3, "the one that was there is kept, and nothing else"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("C:\\app\\app.ini", "/C:/app/app.ini"),
        ("d:/app//data [1].bin", "/D:/app/data [1].bin"),
        ("C:\\Program Files\\x", "/C:/Program Files/x"),
    ],
)
def test_paths_of_windows(written: str, read: str) -> None:
    assert checked_windows(written) == read


@pytest.mark.parametrize(
    "path",
    [
        "app.ini", "/app", "C:app.ini", "\\\\server\\share\\x", "\\\\?\\C:\\x", "C:\\a\\..\\b", "C:\\a\\.\\b",
        "C:\\a:b", "C:\\a\\b*", "C:\\nul", "C:\\a\\COM1.txt", "C:\\a\\b.", "C:\\a\\b ", "C:\\a\nb", "C:\\a\0b",
    ],
)  # fmt: skip
def test_paths_that_windows_would_read_as_something_else(path: str) -> None:
    with pytest.raises(BadPath):
        checked_windows(path)
