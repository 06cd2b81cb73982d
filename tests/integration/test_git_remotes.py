"""The same promises over a path, over ssh with a real OpenSSH server, and over https with `git http-backend`."""

import asyncio
import base64
import datetime
import getpass
import http.server
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from journal.errors import Refused, Unavailable
from reconciler.mirror import Mirror, PushRejected

MAIN = "refs/heads/main"
STATUS = "refs/heads/opsconductor/status"
TOKEN = "t0ken-that-nobody-sees"
LOGINS = (f"ops:{TOKEN}", f"{TOKEN}:", f"{TOKEN}:x-oauth-basic")


@dataclass
class Site:
    """A repository on this machine and one way to reach it."""

    repository: Path
    address: str
    environment: dict[str, str]
    state: Path
    mirrors: list[Mirror] = field(default_factory=list)

    def mirror(self, address: str | None = None, **environment: str) -> Mirror:
        made = Mirror(
            self.state / f"mirror{len(self.mirrors)}.git",
            address or self.address,
            environment=self.environment | environment,
        )
        self.mirrors.append(made)
        return made

    def commit(self, name: str) -> str:
        stream = f"commit {MAIN}\ncommitter A <a@x> 1700000000 +0000\ndata 1\nm\nM 100644 inline {name}\ndata 1\nx\n\n"
        subprocess.run(
            ["git", "-C", self.repository, "fast-import", "--quiet", "--force"], input=stream.encode(), check=True
        )
        return self.head(MAIN)

    def head(self, ref: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.repository, "rev-parse", ref], capture_output=True, check=True, text=True
        )
        return done.stdout.strip()


# --- an OpenSSH server ------------------------------------------------------------------------------------------------


def key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@dataclass
class SshServer:
    port: int
    folder: Path

    def command(self, *, identity: str = "user", hosts: str = "known_hosts") -> str:
        return (
            f"ssh -F none -i {self.folder / identity} -o IdentitiesOnly=yes -o IdentityAgent=none "
            f"-o UserKnownHostsFile={self.folder / hosts} -o GlobalKnownHostsFile=none"
        )

    def address(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    folder = tmp_path_factory.mktemp("sshd")
    host, user = key(folder / "host"), key(folder / "user")
    key(folder / "stranger")
    shutil.copy(f"{user}.pub", folder / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {host}\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n"
        f"UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"PidFile none\nLogLevel ERROR\nAcceptEnv GIT_PROTOCOL\n"
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {Path(f'{host}.pub').read_text()}")
    (folder / "no_hosts").write_text("")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd separates its privileges
    server = subprocess.Popen(
        [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE
    )
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if server.poll() is not None:
            raise RuntimeError(server.stderr.read() if server.stderr else "sshd did not start")
        threading.Event().wait(0.02)
    yield SshServer(port, folder)
    server.terminate()
    server.wait()


# --- git http-backend behind TLS --------------------------------------------------------------------------------------


class Backend(http.server.BaseHTTPRequestHandler):
    """CGI for `git http-backend`: enough of it for git's own client."""

    protocol_version = "HTTP/1.1"
    root: Path
    answer: int = 0

    def do_GET(self) -> None:
        self.relay(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self.relay(b"".join(parts))
        else:
            self.relay(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def relay(self, body: bytes) -> None:
        if self.answer:
            return self.refuse(self.answer)
        wanted = {f"Basic {base64.b64encode(login.encode()).decode()}" for login in LOGINS}
        if self.headers.get("Authorization") not in wanted:
            return self.refuse(401)
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "ops",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(re.findall(r"^([^:]+): (.*?)\r?$", head.decode(), re.MULTILINE))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def refuse(self, code: int) -> None:
        self.send_response(code)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Https:
    port: int
    ca: Path
    backend: type[Backend]

    def address(self, path: str, login: str = f"ops:{TOKEN}@") -> str:
        return f"https://{login}127.0.0.1:{self.port}/{path}"


def certificates(folder: Path) -> tuple[Path, Path]:
    """A CA of its own, and a certificate by it for 127.0.0.1 (with its key in the same file)."""
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def built(subject: str, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test CA"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(ca_key, hashes.SHA256())
        )

    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = built("test CA", ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = built("127.0.0.1", server_key.public_key(), address)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + server.public_bytes(pem))
    return folder / "ca.pem", folder / "server.pem"


@pytest.fixture
def https(tmp_path: Path) -> Iterator[Https]:
    ca, server = certificates(tmp_path)
    backend = type("TestBackend", (Backend,), {"root": tmp_path})
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), backend)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    listener.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Https(listener.server_port, ca, backend)
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Site]:
    repository = tmp_path / "ops.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True)
    subprocess.run(["git", "-C", repository, "config", "http.receivepack", "true"], check=True)
    (tmp_path / "home").mkdir()
    site = Site(repository, str(repository), {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}, tmp_path)
    yield site
    for mirror in site.mirrors:
        mirror.close()


@pytest.fixture(params=["path", "ssh", "scp-like", "https"])
def site(request: pytest.FixtureRequest, base: Site) -> Site:
    if request.param in {"ssh", "scp-like"}:
        server: SshServer = request.getfixturevalue("ssh_server")
        base.address = server.address(base.repository)
        command = server.command()
        if request.param == "scp-like":
            base.address = f"{getpass.getuser()}@127.0.0.1:{base.repository}"
            command += f" -p {server.port}"
        base.environment["GIT_SSH_COMMAND"] = command
    elif request.param == "https":
        server_: Https = request.getfixturevalue("https")
        base.address = server_.address("ops.git")
        base.environment["GIT_SSL_CAINFO"] = str(server_.ca)
    return base


async def test_every_way_brings_and_pushes(site: Site) -> None:
    """Poll, fetch, a first push, a second one by compare-and-swap, and the answer to a lost race."""
    first = site.commit("a")
    mirror = site.mirror()

    assert await mirror.poll([MAIN, STATUS]) == {MAIN: first, STATUS: None}
    assert await mirror.fetch([MAIN, STATUS]) == {MAIN: first, STATUS: None}
    await mirror.push(first, STATUS, None)
    assert site.head(STATUS) == first
    second = site.commit("b")
    await mirror.fetch([MAIN])
    await mirror.push(second, STATUS, first)
    assert site.head(STATUS) == second
    with pytest.raises(PushRejected):
        await mirror.push(first, STATUS, first)
    with pytest.raises(PushRejected):
        await mirror.push(first, STATUS, None)
    await mirror.push(first, STATUS, second)  # rewinding is allowed where it is expected
    assert site.head(STATUS) == first
    assert mirror.source.is_path == (site.address == str(site.repository))


async def test_of_two_racers_one_wins(site: Site) -> None:
    start = site.commit("a")
    one, two = site.mirror(), site.mirror()
    await one.fetch([MAIN])
    other = site.commit("b")
    await two.fetch([MAIN])

    results = await asyncio.gather(one.push(start, STATUS, None), two.push(other, STATUS, None), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "PushRejected"]
    assert site.head(STATUS) == (start if results[0] is None else other)


async def test_a_repository_that_is_not_there(site: Site) -> None:
    mirror = site.mirror(site.address.replace("ops.git", "missing.git"))
    with pytest.raises(Refused, match=r"no git repository at .*missing\.git") as caught:
        await mirror.poll([MAIN])
    assert TOKEN not in str(caught.value)


async def test_a_push_that_the_remote_forbids(site: Site) -> None:
    first = site.commit("a")
    mirror = site.mirror()
    await mirror.fetch([MAIN])
    hook = site.repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho ask the ops team >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match=r"does not take refs/heads/opsconductor/status.*ask the ops team"):
        await mirror.push(first, STATUS, None)


async def test_ssh_refusals_say_what_to_do(base: Site, ssh_server: SshServer) -> None:
    address = ssh_server.address(base.repository)
    stranger = base.mirror(address, GIT_SSH_COMMAND=ssh_server.command(identity="stranger"))
    with pytest.raises(Refused, match="does not accept this user's ssh key"):
        await stranger.poll([MAIN])
    unknown = base.mirror(address, GIT_SSH_COMMAND=ssh_server.command(hosts="no_hosts"))
    with pytest.raises(Refused, match=r"host key of .* is not known or has changed; check it"):
        await unknown.poll([MAIN])


async def test_https_refusals_say_what_to_do(base: Site, https: Https) -> None:
    base.commit("a")
    trusted = {"GIT_SSL_CAINFO": str(https.ca)}
    with pytest.raises(Refused, match=r"certificate of .* is not trusted .* http.sslCAInfo"):
        await base.mirror(https.address("ops.git")).poll([MAIN])
    with pytest.raises(Refused, match=r"certificate of .* is not trusted"):
        await base.mirror(https.address("ops.git"), GIT_SSL_NO_VERIFY="1").poll([MAIN])
    with pytest.raises(Refused, match="asks for a login"):
        await base.mirror(https.address("ops.git", ""), **trusted).poll([MAIN])
    with pytest.raises(Refused, match="asks for a login"):
        await base.mirror(https.address("ops.git", "ops:wrong@"), **trusted).poll([MAIN])
    subprocess.run(["git", "-C", base.repository, "config", "http.receivepack", "false"], check=True)
    mirror = base.mirror(https.address("ops.git"), **trusted)
    head = (await mirror.fetch([MAIN]))[MAIN]
    with pytest.raises(Refused, match="gives this user no permission"):
        await mirror.push(str(head), STATUS, None)


async def test_trouble_that_passes_comes_back_later(base: Site, https: Https) -> None:
    """A server that is down, overloaded, or not there yet."""
    trusted = {"GIT_SSL_CAINFO": str(https.ca)}
    mirror = base.mirror(https.address("ops.git"), **trusted)
    for code in (500, 503, 429):
        https.backend.answer = code
        with pytest.raises(Unavailable, match="cannot be reached"):
            await mirror.poll([MAIN])
    https.backend.answer = 0
    assert (await mirror.poll([MAIN])) == {MAIN: None}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for address in (f"https://127.0.0.1:{port}/x", f"ssh://127.0.0.1:{port}/x"):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await base.mirror(address).fetch([MAIN])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await base.mirror("https://nowhere.invalid/x").poll([MAIN])


@pytest.mark.parametrize("login", [*LOGINS, TOKEN])
async def test_a_token_is_seen_nowhere(login: str, base: Site, https: Https, tmp_path: Path) -> None:
    """Not in an argument list, not in a file of the mirror, not in an address that is shown, not in a message."""
    base.commit("a")
    seen = tmp_path / "argv"
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin" / "git"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}\nexec {real} "$@"\n')
    spy.chmod(0o755)
    environment = {"GIT_SSL_CAINFO": str(https.ca), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    mirror = base.mirror(https.address("ops.git", f"{login}@"), **environment)
    head = (await mirror.fetch([MAIN]))[MAIN]
    await mirror.push(str(head), STATUS, None)
    with pytest.raises(Refused, match="no git repository at") as missing:
        await base.mirror(https.address("missing.git", f"{login}@"), **environment).poll([MAIN])
    with pytest.raises(Refused, match="asks for a login") as wrong:
        await base.mirror(https.address("ops.git", f"x{login}@"), **environment).poll([MAIN])

    assert "push" in seen.read_text()
    for text in (seen.read_text(), mirror.source.address, mirror.source.shown, repr(mirror.source)):
        assert TOKEN not in text
    for caught in (missing, wrong):
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
    for file in mirror.path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()


async def test_what_git_quotes_of_a_login_is_not_passed_on(base: Site, https: Https, tmp_path: Path) -> None:
    """A git, or a server behind it, may repeat the address, or the token, in its complaint."""
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "git"
    broken.write_text(f'#!/bin/sh\necho "fatal: nothing for {TOKEN} at https://{TOKEN}@host/x" >&2\nexit 128\n')
    broken.chmod(0o755)
    mirror = base.mirror(https.address("ops.git", f"{TOKEN}@"), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(Unavailable, match=r"nothing for \*\*\* at https://\*\*\*@host/x"):
        await mirror.poll([MAIN])


async def test_the_password_of_a_user_alone_may_come_from_a_credential_helper(base: Site, https: Https) -> None:
    """As in the clone addresses that some forges give: https://name@host/..., with the password kept elsewhere."""
    base.commit("a")
    script = f'test "$1" = get && grep -q username=ops && echo password={TOKEN}'
    config = Path(base.environment["HOME"]) / ".gitconfig"
    subprocess.run(["git", "config", "-f", config, "credential.helper", f"!f() {{ {script}; }}; f"], check=True)
    mirror = base.mirror(https.address("ops.git", "ops@"), GIT_SSL_CAINFO=str(https.ca))
    assert (await mirror.poll([MAIN]))[MAIN] is not None
