"""Real git servers on loopback, for tests: OpenSSH, and `git http-backend` behind TLS; ports chosen by the system."""

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "t0ken-that-nobody-sees"
LOGINS = (f"ops:{TOKEN}", f"{TOKEN}:", f"{TOKEN}:x-oauth-basic")


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
