"""The built-in parts pass the suite that plug-in authors run."""

import http.server
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opsconductor.plugins import Connections, Opened, SecretSettings, Site, Target
from opsconductor.plugins.contract import ConnectionContract, SecretContract, StepContract, sealed
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
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


class TestLocal(ConnectionContract):
    name = "local"

    def site(self) -> Site:
        return Site(None, sealed)

    def nowhere(self) -> None:
        return None


class TestSsh(ConnectionContract):
    name = "ssh"
    server: OpenSsh

    @pytest.fixture(autouse=True)
    def _served(self, openssh: OpenSsh) -> None:
        self.server = openssh

    def site(self) -> Site:
        return self._at(self.server.port)

    def nowhere(self) -> Site:
        return self._at(1)

    def _at(self, port: int) -> Site:
        ssh = {"port": port, "credentialRef": "login", "hostKeys": [self.server.host_key]}
        connections = Connections.model_validate({"ssh": ssh})
        key = Opened("login", self.server.user, {"privateKey": self.server.private_key})
        return Site(Target("web-01", host=self.server.host, connections=connections), lambda name: key)


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
