"""What stands for a Windows host that is asked by RDP: the first two messages of the protocol, and no more."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# As Windows sends them (MS-RDPBCGR 4.1.2): TPKT, X.224 connection confirm, and the answer to the offer.
CONFIRM = bytes.fromhex("03 00 00 13 0e d0 00 00 12 34 00")


def confirmed(kind: int, value: int) -> bytes:
    return CONFIRM + struct.pack("<BBHI", kind, 0x1F, 8, value)


BY_NLA = confirmed(2, 2)
"""It wants network level authentication over TLS."""


@contextmanager
def serving(answer: Callable[[bytes], bytes | None], host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port, by default of 127.0.0.1 by the system, where each request gets this answer; None ends the connection."""

    class Host(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = self.rfile.read(4)
            if len(head) < 4:
                return
            said = answer(self.rfile.read(struct.unpack(">xxH", head)[0] - 4))
            if said is not None:
                self.wfile.write(said)
                self.rfile.read()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((host, port), Host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
