"""The HTTP server of the endpoint: logins by connection, message encryption, SOAP in and out."""

import base64
import contextlib
import hashlib
import re
import ssl
import tempfile
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import spnego
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pypsrp.encryption import WinRMEncryption
from pypsrp.wsman import NAMESPACES
from spnego.channel_bindings import GssChannelBindings

from tests.wsman.shells import RSP, Fault, Runspace, Shell
from tests.wsman.windows import Windows

USER, PASSWORD = "ops", "S3cret for Windows"
_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_S, _WSA, _WSMAN = NAMESPACES["s"], NAMESPACES["wsa"], NAMESPACES["wsman"]


@dataclass
class Endpoint:
    """A host. `logins` are those it takes, `tls` is PEM of its certificate and key.

    `clients` is PEM of who signs the certificates that it takes.
    """

    windows: Windows
    logins: tuple[str, ...] = ("ntlm",)
    tls: str | None = None
    clients: str | None = None
    host: str = "127.0.0.1"
    shells: dict[str, Shell] = field(default_factory=dict)
    requests: list[tuple[str, bool]] = field(default_factory=list)
    """Action and whether it was encrypted by its login, of every message."""
    connections: int = 0
    immortal: bool = False
    """Shells are not deleted, whatever the host says."""
    mute: bool = False
    """Nothing is ever told, though every question is answered."""
    hurt: "Any" = None
    """Called with (action, body of the answer) before it is sent; gives what is sent instead, or raises."""
    answered: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    def wait_for(self, action: str, times: int = 1) -> None:
        """Until so many messages of an action have arrived."""
        with self.answered:
            found = self.answered.wait_for(
                lambda: sum(name.endswith(action) for name, _ in self.requests) >= times, timeout=20
            )
        assert found, f"no {action} arrived"

    @contextlib.contextmanager
    def serving(self) -> Iterator["Endpoint"]:
        handler = type("Handler", (_Handler,), {"endpoint": self})
        server = _Server((self.host, self.port), handler)
        server.tls = _context(self.tls, self.clients) if self.tls else None
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.immortal = False
            for shell in self.shells.values():
                shell.delete()
            server.shutdown()
            server.server_close()
            thread.join()

    def does(self, action: str, envelope: ET.Element) -> list[ET.Element]:
        """What the message asks for. The elements of the answer's body."""
        header, body = envelope.find(f"{{{_S}}}Header"), envelope.find(f"{{{_S}}}Body")
        assert header is not None and body is not None
        seconds = float(re.sub(r"[PTS]", "", header.findtext(f"{{{_WSMAN}}}OperationTimeout") or "PT20S"))
        resource = header.findtext(f"{{{_WSMAN}}}ResourceURI") or ""
        if action.endswith("transfer/Create"):
            return self._create(resource, body)
        selector = next(
            (one.text for one in header.iter(f"{{{_WSMAN}}}Selector") if one.attrib["Name"] == "ShellId"), ""
        )
        shell = self.shells.get((selector or "").upper())
        if shell is None:
            raise Fault(0x8033805B, "The request for the Windows Remote Shell with that ShellId failed: no such shell.")
        match action.rpartition("/")[2]:
            case "Command":
                made = ET.Element(f"{RSP}CommandResponse")
                ET.SubElement(made, f"{RSP}CommandId").text = shell.command(body)
                return [made]
            case "Send":
                shell.send(next(body.iter(f"{RSP}Stream")))
                return [ET.Element(f"{RSP}SendResponse")]
            case "Receive":
                wanted = next(body.iter(f"{RSP}DesiredStream"))
                answer = ET.Element(f"{RSP}ReceiveResponse")
                if self.mute:
                    return [answer]
                answer.extend(list(shell.receive(wanted.attrib.get("CommandId"), seconds)))
                return [answer]
            case "Signal":
                signalled = next(body.iter(f"{RSP}Signal"))
                shell.signal(signalled.attrib["CommandId"], signalled.findtext(f"{RSP}Code") or "")
                return [ET.Element(f"{RSP}SignalResponse")]
            case "Delete":
                if not self.immortal:
                    shell.delete()
                    self.shells.pop(shell.id.upper(), None)
                return []
            case "Get":
                found = ET.Element(f"{RSP}Shell")
                ET.SubElement(found, f"{RSP}ShellId").text = shell.id
                ET.SubElement(found, f"{RSP}State").text = "Connected"
                return [found]
        raise Fault(2150858752, f"no action {action}")

    def _create(self, resource: str, body: ET.Element) -> list[ET.Element]:
        kind = Runspace if resource.startswith("http://schemas.microsoft.com/powershell/") else Shell
        asked = next(body.iter(f"{RSP}Shell"))
        shell = kind(self.windows, resource, {"TEMP": str(self.windows.path("C:\\Temp"))})
        shell.id = asked.attrib.get("ShellId", shell.id)
        if shell.id.upper() in self.shells:
            raise Fault(2150859174, "The shell exists already.")
        shell.create(body)
        self.shells[shell.id.upper()] = shell
        created = ET.Element(f"{{{NAMESPACES['wst']}}}ResourceCreated")
        selectors = ET.SubElement(ET.SubElement(created, f"{{{_WSA}}}ReferenceParameters"), f"{{{_WSMAN}}}SelectorSet")
        ET.SubElement(selectors, f"{{{_WSMAN}}}Selector", Name="ShellId").text = shell.id
        told = ET.Element(f"{RSP}Shell")
        ET.SubElement(told, f"{RSP}ShellId").text = shell.id
        ET.SubElement(told, f"{RSP}ResourceUri").text = resource
        return [created, told]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def get_request(self) -> Any:
        connection, address = super().get_request()
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError):
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint
    protocol_version = "HTTP/1.1"
    context: Any = None
    sealed: WinRMEncryption | None = None
    complete = False

    def setup(self) -> None:
        super().setup()
        self.endpoint.connections += 1

    def log_message(self, *args: Any) -> None:
        """Not to the terminal."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._logged_in():
            return
        if not body:
            self._answer(200, b"", "")
            return
        encrypted = "multipart/encrypted" in (self.headers.get("Content-Type") or "")
        if self.context is not None and not encrypted and self.endpoint.tls is None:
            self._answer(500, b"", "")
            return
        if encrypted:
            assert self.sealed is not None
            body = self.sealed.unwrap_message(body, "Encrypted Boundary")
        self._message(body, encrypted)

    def _logged_in(self) -> bool:
        """Whether the connection is; else the client was told what to do."""
        given = self.headers.get("Authorization") or ""
        if given.startswith("Basic ") and "basic" in self.endpoint.logins:
            if base64.b64decode(given[6:]).decode() == f"{USER}:{PASSWORD}":
                return True
        elif given == _MUTUAL and "certificate" in self.endpoint.logins:
            connection = self.connection
            if isinstance(connection, ssl.SSLSocket) and connection.getpeercert():
                return True
        elif given.startswith(("Negotiate ", "Kerberos ")):
            return self._negotiated(*given.split(" ", 1))
        elif self.complete and not given:
            return True
        self._ask("")
        return False

    def _negotiated(self, scheme: str, token: str) -> bool:
        data = base64.b64decode(token)
        if self.context is None or self.complete:
            kind = "ntlm" if data.startswith(b"NTLMSSP") else "kerberos"
            if kind not in self.endpoint.logins:
                self._ask("")
                return False
            self.complete = False
            self.context = spnego.server(
                hostname="localhost", service="HTTP", protocol=kind, channel_bindings=self._bound(),
                options=spnego.NegotiateOptions.wrapping_winrm,
            )  # fmt: skip
        try:
            back = self.context.step(data)
        except Exception:
            self.context = None
            self._ask("")
            return False
        said = f"{scheme} {base64.b64encode(back).decode()}" if back else ""
        if not self.context.complete:
            self._ask(said)
            return False
        self.complete = True
        self.sealed = WinRMEncryption(
            self.context, WinRMEncryption.KERBEROS if scheme == "Kerberos" else WinRMEncryption.SPNEGO
        )
        self._said = said
        return True

    _said = ""

    def _bound(self) -> GssChannelBindings | None:
        if self.endpoint.tls is None:
            return None
        shown = x509.load_pem_x509_certificate(self.endpoint.tls.encode())
        digest = hashlib.sha256(shown.public_bytes(serialization.Encoding.DER)).digest()
        return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)

    def _ask(self, token: str) -> None:
        self.send_response(401)
        if token:
            self.send_header("WWW-Authenticate", token)
        else:
            if {"ntlm", "kerberos"} & set(self.endpoint.logins):
                self.send_header("WWW-Authenticate", "Negotiate")
            if "basic" in self.endpoint.logins:
                self.send_header("WWW-Authenticate", 'Basic realm="WSMAN"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _message(self, body: bytes, encrypted: bool) -> None:
        envelope = ET.fromstring(body)
        action = envelope.findtext(f"{{{_S}}}Header/{{{_WSA}}}Action") or ""
        message = envelope.findtext(f"{{{_S}}}Header/{{{_WSA}}}MessageID") or ""
        with self.endpoint.answered:
            self.endpoint.requests.append((action, encrypted))
            self.endpoint.answered.notify_all()
        status = 200
        try:
            content = self.endpoint.does(action, envelope)
        except Fault as fault:
            status, content = 500, [_fault(fault)]
        answer = _envelope(action, message, content)
        if self.endpoint.hurt is not None:
            answer = self.endpoint.hurt(action, answer, self)
            if answer is None:
                self.close_connection = True
                return
        if encrypted:
            assert self.sealed is not None
            kind, answer = self.sealed.wrap_message(answer)
            self._answer(status, answer, f'{kind};protocol="{self.sealed.protocol}";boundary="Encrypted Boundary"')
        else:
            self._answer(status, answer, "application/soap+xml;charset=UTF-8")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if self._said:
            self.send_header("WWW-Authenticate", self._said)
            self._said = ""
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _envelope(action: str, message: str, content: list[ET.Element]) -> bytes:
    envelope = ET.Element(f"{{{_S}}}Envelope")
    header = ET.SubElement(envelope, f"{{{_S}}}Header")
    ET.SubElement(header, f"{{{_WSA}}}Action").text = f"{action}Response"
    ET.SubElement(header, f"{{{_WSA}}}RelatesTo").text = message
    ET.SubElement(envelope, f"{{{_S}}}Body").extend(content)
    return ET.tostring(envelope, encoding="utf-8")


def _fault(fault: Fault) -> ET.Element:
    found = ET.Element(f"{{{_S}}}Fault")
    code = ET.SubElement(found, f"{{{_S}}}Code")
    ET.SubElement(code, f"{{{_S}}}Value").text = "s:Receiver"
    ET.SubElement(ET.SubElement(code, f"{{{_S}}}Subcode"), f"{{{_S}}}Value").text = "w:Fault"
    ET.SubElement(ET.SubElement(found, f"{{{_S}}}Reason"), f"{{{_S}}}Text").text = str(fault)
    detail = ET.SubElement(found, f"{{{_S}}}Detail")
    told = ET.SubElement(detail, f"{{{NAMESPACES['wsmanfault']}}}WSManFault", Code=str(fault.code), Machine="win-01")
    ET.SubElement(told, f"{{{NAMESPACES['wsmanfault']}}}Message").text = str(fault)
    return found


def _context(pem: str, clients: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    if clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=clients)
    return context


def accounts(folder: Path) -> str:
    """A file of NTLM accounts, named by NTLM_USER_FILE."""
    path = folder / "accounts"
    path.write_text(f":{USER}:{PASSWORD}\n")
    path.chmod(0o600)
    return str(path)
