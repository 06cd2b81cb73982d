"""One connection to a host, logged in, that carries SOAP messages one at a time. Used by one thread; any may abort it.

Nothing of this host's environment counts: no proxy, no `.netrc`, no certificates but those of the definitions, no
tickets or keys of somebody who is logged in here. A redirect is refused. Answers are bounded in size and time, are
UTF-8, and have no document type, so that no entity can make a small one large.
"""

import base64
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

from runners.connections import Unreached
from runners.connections.winrm import sealing
from runners.connections.winrm.errors import Broken, Garbled, NoLogin
from runners.connections.winrm.logins import Login, login_of
from runners.connections.winrm.place import WinrmLimits, WinrmPlace

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer. We ask hosts for far less (`MaxEnvelopeSize`)."""

_ROUNDS = 6
_DECLARED = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}\?>")
_SOAP = "application/soap+xml;charset=UTF-8"
_CHALLENGE = re.compile(r"^\s*([A-Za-z0-9-]+)(?:\s+([A-Za-z0-9+/=]*))?")


class Wire:
    """Opened by `open`. `send` is what pypsrp's WSMan asks of its transport."""

    def __init__(self, place: WinrmPlace, limits: WinrmLimits) -> None:
        self.place = place
        self.endpoint = f"{place.scheme}://{place.netloc}/wsman"
        self.aborted = False
        self.since = time.monotonic()
        self.fresh = True
        """Whether no message was answered on it yet."""
        self.until: float | None = None
        """When what is asked now must be over, of time.monotonic: however often a host answers without saying more."""
        self._limits = limits
        self._socket: socket.socket | None = None
        self._timed: Timed | None = None
        self._http: http.client.HTTPConnection | None = None
        self._login: Login | None = None

    def open(self) -> None:
        """Connect and log in. Raises Unreached and Unusable, both with a message that says what to do."""
        try:
            certificate = self._connect()
            self._login = login_of(self.place, certificate)
            if self._login.negotiates:
                self._negotiate(self._login)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreached(self._why(error)) from error
        except (Broken, Garbled, NoLogin) as error:
            self.close()
            raise Unreached(self.place.at(error)) from error
        except BaseException:
            self.close()
            raise

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: float | None = None) -> bytes:
        """The answer to a message. `timeout` is two seconds more than the host was asked to answer in.

        Raises Broken, Garbled, NoLogin, and pypsrp's WinRMTransportError with the fault that the host tells. It is
        never sent a second time, whatever `retries_on_read_timeout` says: the host may have acted on the first.
        """
        from pypsrp.exceptions import WinRMTransportError

        asked = self._limits.operation if timeout is None else timeout - 2
        if self.until is not None and time.monotonic() > self.until:
            self.close()
            raise Broken(f"{self.place.netloc} did not come to an end within the time limit")
        try:
            status, told, body = self._exchange(message, asked + self._limits.silence)
        except (Broken, Garbled, NoLogin):
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Broken(self._why(error)) from error
        self.fresh = False
        if status == 200:
            return _plain_xml(body)
        if told and b"Fault" in body:
            raise WinRMTransportError("http", status, _plain_xml(body).decode())
        self.close()
        raise Garbled(f"an answer with status {status} that is no message of WS-Management")

    def abort(self) -> None:
        """Break the connection under whoever uses it. May be called from any thread, at any time."""
        self.aborted = True
        if self._socket is not None:
            _shut(self._socket)

    def close(self) -> None:
        """Harmless when repeated."""
        if self._http is not None:
            self._http.close()
        if self._socket is not None:
            self._socket.close()
        self._http = None

    @property
    def works(self) -> bool:
        """Whether it looks as if it could carry another message."""
        if self._http is None or self._socket is None or self.aborted:
            return False
        try:
            self._socket.settimeout(0)
            if isinstance(self._socket, ssl.SSLSocket):
                return self._socket.pending() == 0 and not _readable(self._socket)
            return not _readable(self._socket)
        except OSError:
            return False

    # --- how it is done ----------------------------------------------------------------------------------------------

    def _connect(self) -> bytes | None:
        """Connect, and give the certificate that the host shows."""
        place = self.place
        tls = place.tls() if place.scheme == "https" else None
        raw = socket.create_connection((place.host, place.port), timeout=self._limits.connect)
        self._socket = raw
        _keep_alive(raw)
        certificate = None
        if tls is not None:
            self._socket = tls.wrap_socket(raw, server_hostname=place.name)
            certificate = self._socket.getpeercert(binary_form=True)
        self._http = http.client.HTTPConnection(place.host, place.port)
        self._http.auto_open = 0
        self._timed = Timed(self._socket)
        self._http.sock = self._timed
        if self.aborted:
            raise ConnectionAbortedError
        return certificate

    def _exchange(self, message: bytes, seconds: float) -> tuple[int, bool, bytes]:
        """Status, whether the host itself said it (and nobody on the way), and body of the answer to a message."""
        login = self._login
        assert login is not None
        if not self.place.sealed:
            headers = {"Content-Type": _SOAP, **login.header}
            status, answered, body = self._post(message, headers, seconds)
            self._judge(status, answered)
            return status, True, body
        protocol = login.sealed_as
        headers = {"Content-Type": sealing.content_type(protocol)}
        status, answered, body = self._post(sealing.seal(login.context, message, protocol), headers, seconds)
        self._judge(status, answered)
        if not body and status != 200:
            return status, False, body
        return status, True, sealing.unseal(login.context, body)

    def _judge(self, status: int, headers: http.client.HTTPMessage) -> None:
        if status == 401:
            raise NoLogin(self._refused(headers))
        if 300 <= status <= 399:
            raise Garbled(f"it sends us elsewhere (status {status}), where we do not go")

    def _negotiate(self, login: Login) -> None:
        """Log the connection in, before any message is sent on it."""
        over = time.monotonic() + self._limits.login
        status, headers, _ = self._post(b"", {}, self._limits.login)
        self._judge_offer(status, headers)
        scheme = login.scheme_of(word for word, _ in _challenges(headers))
        if scheme is None:
            raise NoLogin(self._refused(headers))
        token = login.step(None)
        for _ in range(_ROUNDS):
            sent = {"Authorization": f"{scheme} {base64.b64encode(token or b'').decode()}"}
            status, headers, _ = self._post(b"", sent, over - time.monotonic())
            back = next((data for word, data in _challenges(headers) if word.lower() == scheme.lower() and data), None)
            if back is not None:
                token = login.step(_decoded(back))
            if status == 200 and login.complete:
                return
            if status != 401 or back is None or not token:
                break
        if status not in (200, 401):
            self._judge_offer(status, headers)
        raise NoLogin(login.refused())

    def _judge_offer(self, status: int, headers: http.client.HTTPMessage) -> None:
        if status != 401:
            self._judge(status, headers)
            what = "is no WinRM" if status == 404 else f"answers with status {status} where it should ask for a login"
            raise NoLogin(f"what is there {what}")

    def _post(self, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection, used = self._http, self._timed
        if connection is None or used is None:
            raise Broken("the connection is closed")
        used.until = time.monotonic() + seconds
        ours = {"Connection": "Keep-Alive", "Accept-Encoding": "identity", "User-Agent": "OpsConductor"}
        connection.request("POST", "/wsman", body=body, headers={**ours, **headers})
        answer = connection.getresponse()
        data = answer.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise Garbled(f"an answer of more than {LARGEST} bytes")
        if answer.getheader("Content-Encoding", "identity").lower() != "identity":
            raise Garbled("an answer that is packed, which was not asked for")
        return answer.status, answer.headers, data

    # --- what is said ------------------------------------------------------------------------------------------------

    def _refused(self, headers: http.client.HTTPMessage) -> str:
        login = self._login
        offered = sorted({word for word, _ in _challenges(headers)})
        if login is not None and login.scheme_of(offered) is None and offered:
            return f"it takes no login by '{self.place.transport}'; it offers {', '.join(offered)}"
        return login.refused() if login is not None else "it refused the login"

    def _why(self, error: Exception) -> str:
        where = self.place.netloc
        match error:
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {where} is not trusted for '{self.place.name}': {error.verify_message}; "
                    f"see spec.connections.winrm.caCert and serverName of Target {self.place.target}"
                )
            case ssl.SSLError():
                return f"no TLS with {where}: {error.reason or error}"
            case socket.gaierror():
                return f"the name {self.place.host} cannot be resolved: {error.strerror or error}"
            case ConnectionRefusedError():
                return f"{where} refused the connection; is WinRM enabled there, on this port?"
            case TimeoutError():
                stage = "took the connection and did not answer" if self._http is not None else "did not answer"
                return f"{where} {stage} within the time limit"
            case http.client.RemoteDisconnected() | ConnectionError():
                return f"{where} ended the connection"
            case http.client.HTTPException() | ValueError():
                return f"{where} answers with what is no HTTP: {type(error).__name__}"
            case OSError():
                return f"cannot connect to {where}: {error.strerror or error}"
            case _:
                return f"cannot connect to {where}: {type(error).__name__}"


class Timed:
    """A socket whose answer must have come as a whole at `until`, of the monotonic clock: a host that sends a byte now
    and then would otherwise hold a thread for ever. What of a socket `http.client` uses is there."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.until = 0.0

    def wait(self) -> None:
        """Let the next operation last no longer than to the end. Raises TimeoutError."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def sendall(self, data: bytes) -> None:
        self.wait()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Incoming(self._socket, self.wait))

    def close(self) -> None:
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, connection: socket.socket, wait: Callable[[], None]) -> None:
        self._socket = connection
        self._wait = wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        return self._socket.recv_into(buffer)


def wsman_over(wire: Wire, limits: WinrmLimits, session: str) -> Any:
    """pypsrp's client of WS-Management, with our connection under it."""
    from pypsrp.wsman import WSMan

    wsman: Any = WSMan(
        wire.place.host, port=wire.place.port, operation_timeout=limits.operation, auth="basic", no_proxy=True
    )
    wsman.transport = wire
    wsman.session_id = session
    return wsman


def _plain_xml(body: bytes) -> bytes:
    """The same document without its declaration. Raises Garbled for what could be read in more than one way."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Garbled("an answer that is not UTF-8") from error
    if b"\0" in body or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Garbled("an answer with a document type, which no message of WS-Management has")
    # without it the parser takes UTF-8, and nothing that was looked at in vain
    return _DECLARED.sub(b"", body)


def _challenges(headers: http.client.HTTPMessage) -> Iterable[tuple[str, str | None]]:
    for line in headers.get_all("WWW-Authenticate") or ():
        for part in line.split(","):
            found = _CHALLENGE.match(part)
            if found is not None and "=" not in found[1]:
                yield found[1], found[2]


def _decoded(token: str) -> bytes:
    return base64.b64decode(token, validate=True)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 4), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _readable(connection: socket.socket) -> bool:
    """Whether something, or the end, has come that nobody asked for."""
    import select

    return bool(select.select([connection], [], [], 0)[0])
