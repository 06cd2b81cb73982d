"""The built-in parts pass the suite that plug-in authors run."""

import http.server
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog

from engine.runs.scanplan import READ, SCAN
from opsconductor.plugins import (
    Around,
    Capture,
    Command,
    Connections,
    ConnectionSettings,
    Exited,
    FileSession,
    Limits,
    Opened,
    Outcome,
    Output,
    ReadyStep,
    SecretSettings,
    Session,
    Site,
    Stop,
    Succeeded,
    Target,
)
from opsconductor.plugins.contract import (
    ChannelContract,
    ConnectionContract,
    ProbeContract,
    SecretContract,
    StepContract,
    sealed,
    this_host,
)
from runners import attempt
from runners.connections.local import Guardian, LocalHost, LocalSession, LocalSettings
from runners.connections.ways import DOOR as CONNECTIONS
from runners.masking import Masker
from runners.mcp.tool import Tool
from runners.repository import Entry, RunFiles
from runners.secrets.sources import DOOR as SECRETS
from runners.secrets.sources import Host
from runners.steps import DOOR as STEPS
from tests import mcpserver, rdphost
from tests.openssh import OpenSsh, start
from tests.running import script
from tests.wsman.endpoint import PASSWORD, USER, Endpoint, accounts
from tests.wsman.windows import Windows


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """One server for all of them, which gives files too."""
    server = start(tmp_path_factory.mktemp("sshd"), options="Subsystem sftp internal-sftp")
    yield server
    server.stop()


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """What stands for a Windows host: see tests/wsman."""
    monkeypatch.setenv("NTLM_USER_FILE", accounts(tmp_path))
    root = tmp_path / "c"
    root.mkdir()
    (root / "there.ini").write_text("there")
    with Endpoint(Windows(root)).serving() as endpoint:
        yield endpoint


class _Answers(http.server.BaseHTTPRequestHandler):
    keys: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.keys.append(self.headers.get("Idempotency-Key") or "")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET  # noqa: N815 - as http.server names it

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Any:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


class TestScript(StepContract):
    name = "script"
    examples = ({"run": "echo hello"},)


class TestAssert(StepContract):
    name = "assert"
    examples = ({"that": True},)


class TestDummy(StepContract):
    name = "dummy"
    examples = ({"stdout": "hello"},)


class _OverHttp(StepContract):
    body: Mapping[str, Any]

    @pytest.fixture(autouse=True)
    def _served(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "examples", ({"url": url, **self.body},), raising=False)


class TestRequest(_OverHttp):
    name = "http.request"
    body: Mapping[str, Any] = {"method": "GET"}


class TestWebhook(_OverHttp):
    name = "webhook.call"
    body: Mapping[str, Any] = {"json": {"done": True}}


class TestWait(StepContract):
    name = "wait.until"
    examples = ({"duration": "0s"},)


class TestNotify(StepContract):
    name = "notify"
    examples = ({"channel": "here", "text": "hello"},)
    url: str

    @pytest.fixture(autouse=True)
    def _served(self, url: str) -> None:
        self.url = url

    def around(self) -> Around:
        return replace(super().around(), channels={"here": {"type": "webhook", "url": self.url}})


class TestWebhookChannel(ChannelContract):
    name = "webhook"
    url: str

    @pytest.fixture(autouse=True)
    def _served(self, url: str) -> None:
        self.url = url

    def settings(self) -> Mapping[str, Any]:
        return {"type": "webhook", "url": self.url}

    def received(self) -> list[str]:
        return _Answers.keys

    def nowhere(self) -> Mapping[str, Any]:
        return {"type": "webhook", "url": "http://127.0.0.1:1/"}


class _Repository:
    """One file, and a folder that holds it."""

    def read(self, commit: str, path: str) -> bytes:
        return b"port = {{ port }}\n"

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        return (Entry("app.conf", 23),)


class _WithFiles(StepContract):
    """A step that handles files of a place, and has those of a repository."""

    connection: str
    site: Callable[[], Site]

    @asynccontextmanager
    async def session(self, capture: Capture, stop: Stop) -> AsyncIterator[Session]:
        async with this_host() as host:
            connection = CONNECTIONS.factory(self.connection)(ConnectionSettings(Limits(), host))
            yield connection.open(self.site(), capture, stop, mark="")
            await connection.close()

    def around(self) -> Around:
        return replace(super().around(), files=RunFiles(_Repository(), "0" * 40, self.folder))

    folder: Path


class _OverSsh(_WithFiles):
    connection = "ssh"

    @pytest.fixture(autouse=True)
    def _served(self, openssh: OpenSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.folder = (lambda: over_ssh(openssh, openssh.port)), tmp_path
        (tmp_path / "there").write_text("there\n")
        monkeypatch.setattr(type(self), "examples", (self.example(str(tmp_path)),), raising=False)

    def example(self, folder: str) -> Mapping[str, Any]:
        raise NotImplementedError


class TestUpload(_OverSsh):
    name = "sftp.upload"

    def example(self, folder: str) -> Mapping[str, Any]:
        return {"content": "x\n", "destination": f"{folder}/put", "mode": "0640"}


class TestDownload(_OverSsh):
    name = "sftp.download"

    def example(self, folder: str) -> Mapping[str, Any]:
        return {"source": f"{folder}/there"}


class TestSync(_OverSsh):
    name = "sftp.sync"

    def apart(self, number: int) -> tuple[Mapping[str, Any], ...]:
        return (self.example(f"{self.folder}/{number}"),)

    def example(self, folder: str) -> Mapping[str, Any]:
        return {"source": "files", "destination": f"{folder}-synced"}


class TestTemplate(_OverSsh):
    name = "template"

    def example(self, folder: str) -> Mapping[str, Any]:
        return {"source": "app.conf", "destination": f"{folder}/rendered", "vars": {"port": 1}}


class _OverWinrm(_WithFiles):
    connection = "winrm"

    @pytest.fixture(autouse=True)
    def _served(self, windows: Endpoint, tmp_path: Path) -> None:
        self.site, self.folder = (lambda: over_winrm(windows.port)), tmp_path


class TestCopy(_OverWinrm):
    name = "winrm.copy"
    examples = ({"content": "x", "destination": "C:\\put.ini"},)


class TestFetch(_OverWinrm):
    name = "winrm.fetch"
    examples = ({"source": "C:\\there.ini"},)


class TestCall(StepContract):
    name = "mcp.call"
    examples = (
        {
            "command": [sys.executable, mcpserver.__file__, "good"],
            "tool": "work",
            "digest": Tool("work", mcpserver.NUMBER, mcpserver.NUMBER).digest,
            "arguments": {"n": 1},
        },
    )


class TestScan(StepContract):
    name = "nmap.scan"
    examples = ({"hosts": ["127.0.0.1"], "ports": [1]},)

    def around(self) -> Around:
        return replace(super().around(), networks=("127.0.0.0/8",))


class TestLocal(ConnectionContract):
    name = "local"

    def site(self) -> Site:
        return Site(None, sealed)

    def nowhere(self) -> None:
        return None

    def without(self) -> None:
        return None


class TestSsh(ConnectionContract):
    name = "ssh"
    server: OpenSsh

    @pytest.fixture(autouse=True)
    def _served(self, openssh: OpenSsh) -> None:
        self.server = openssh

    def site(self) -> Site:
        return over_ssh(self.server, self.server.port)

    def nowhere(self) -> Site:
        return self.silent(1)

    def silent(self, port: int) -> Site:
        return over_ssh(self.server, port)


class TestWinrm(ConnectionContract):
    """The endpoint of the tests runs as PowerShell what is written for sh."""

    name = "winrm"
    shell = "powershell"
    protocol = "psrp"
    port: int

    @pytest.fixture(autouse=True)
    def _served(self, windows: Endpoint) -> None:
        self.port = windows.port

    def site(self) -> Site:
        return self.silent(self.port)

    def nowhere(self) -> Site:
        return self.silent(1)

    def silent(self, port: int) -> Site:
        return over_winrm(port, protocol=self.protocol)


class TestWinrmByProcesses(TestWinrm):
    name = "winrm"
    protocol = "winrm"


class TestHttp(ProbeContract):
    name = "http"
    url: str

    @pytest.fixture(autouse=True)
    def _served(self, url: str) -> None:
        self.url = url

    def site(self) -> Site:
        return over_http(self.url)

    def nowhere(self) -> Site:
        return self.silent(1)

    def silent(self, port: int) -> Site:
        return over_http(f"http://127.0.0.1:{port}/")


class TestRdp(ProbeContract):
    name = "rdp"
    port: int

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with rdphost.serving(lambda request: rdphost.BY_NLA) as self.port:
            yield

    def site(self) -> Site:
        return self.silent(self.port)

    def nowhere(self) -> Site:
        return self.silent(1)

    def silent(self, port: int) -> Site:
        return at("win-01", rdp={"port": port})


class OwnSession(LocalSession):
    """That of a plug-in's connection, which has more than a `Session` must have."""

    folder = "/srv"

    async def ask(self, what: str) -> str:
        return f"{what} of {self._host.settings.folder}"


class Asks:
    """A step type that goes with it."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        own: Any = session
        finish = await session.execute(Command("sh", f"echo {own.folder}"))
        assert (finish, getattr(session, "other", None)) == (Exited(0), None)
        with pytest.raises(AttributeError, match="'_host' of a session is not for step types"):
            _ = own._host
        with pytest.raises(AttributeError, match="OwnSession"):
            _ = own.missing
        return Succeeded(Output(values={"said": await own.ask("all"), "files": isinstance(session, FileSession)}))


async def test_a_step_type_reaches_what_the_session_of_its_own_connection_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "step_type", lambda name: Asks())
    guard = Guardian(tmp_path / "lock")
    session = OwnSession(LocalHost(LocalSettings(), guard), Capture(Masker()), Stop())
    try:
        outcome = await attempt.outcome_of(ReadyStep(script("true")), session, structlog.get_logger())
    finally:
        await guard.close()
    assert outcome == Succeeded(Output(values={"said": f"all of {LocalSettings().folder}", "files": True}))
    assert session.capture.output().stdout == "/srv\n"


class TestFile(SecretContract):
    name = "file"

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "db").write_text("a-long-password\n")

    def settings(self) -> SecretSettings:
        return SecretSettings(self.folder, {})

    def known(self) -> tuple[Any, str]:
        return "db", "a-long-password\n"

    def unknown(self) -> tuple[Any, ...]:
        return "other", "../db", "/etc/passwd", ""


class TestEnv(SecretContract):
    name = "env"

    def settings(self) -> SecretSettings:
        return SecretSettings(None, {"OPSCONDUCTOR_SECRET_DB": "a-long-password", "HOME": "/root"})

    def known(self) -> tuple[Any, str]:
        return "OPSCONDUCTOR_SECRET_DB", "a-long-password"

    def unknown(self) -> tuple[Any, ...]:
        return "OPSCONDUCTOR_SECRET_OTHER", "HOME", ""


def at(name: str, opened: Opened | None = None, **connections: Mapping[str, Any]) -> Site:
    """A target of this host with these connections, and what its credential holds."""
    there = Target(name, host="127.0.0.1", connections=Connections.model_validate(connections))
    return Site(there, sealed if opened is None else lambda name: opened)


def over_ssh(server: OpenSsh, port: int) -> Site:
    key = Opened("login", server.user, {"privateKey": server.private_key})
    return at("web-01", key, ssh={"port": port, "credentialRef": "login", "hostKeys": [server.host_key]})


def over_winrm(port: int, **more: Any) -> Site:
    login = Opened("login", USER, {"password": PASSWORD})
    winrm = {"port": port, "scheme": "http", "transport": "ntlm", "credentialRef": "login", **more}
    return at("win-01", login, winrm=winrm)


def over_http(url: str) -> Site:
    token = Opened("token", None, {"token": "a-long-token"})
    return at("api", token, http={"baseUrl": url, "credentialRef": "token"})


def test_every_built_in_part_is_held_to_the_contract() -> None:
    """Who adds a part adds its class to this file, or where its server is."""
    from tests.contract.test_vault import TestVault

    kinds = (StepContract, ConnectionContract, ProbeContract, SecretContract)
    classes = [one for one in globals().values() if isinstance(one, type) and issubclass(one, kinds)]
    held = {one.name for one in classes if "name" in vars(one)} | {TestVault.name}
    # the steps of a Discovery's runs, which no document names: tests/acceptance/test_discovery.py and
    # tests/integration/test_inventory_steps.py
    assert held | {READ, SCAN} == STEPS.built_in | CONNECTIONS.built_in | SECRETS.built_in


class TestCommand(SecretContract):
    name = "command"

    def settings(self) -> SecretSettings:
        return SecretSettings(None, {}, host=Host(programs=(Path("/bin/echo"), Path("/bin/false"))))

    def known(self) -> tuple[Any, str]:
        return ["echo", "a-long-password"], "a-long-password\n"

    def unknown(self) -> tuple[Any, ...]:
        return ["sh", "-c", "echo a-long-password"], ["false"], ["/bin/cat", "/etc/hostname"]
