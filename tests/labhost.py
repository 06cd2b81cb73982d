"""What listens on a host of `tests.lab`: `python -m tests.labhost ssh FOLDER | http SERVER-HEADER | rdp | winrm`."""

import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests import openssh, rdphost

_SSHD = "Port 22\nListenAddress 0.0.0.0\nHostKey {0}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"


def main(what: str, *more: str) -> None:
    match what:
        case "ssh":
            folder = Path(more[0])
            (folder / "sshd_config").write_text(_SSHD.format(folder))
            Path("/run/sshd").mkdir(exist_ok=True)
            child = os.fork()
            if not child:
                os.execv(openssh.SSHD, [openssh.SSHD, "-D", "-e", "-f", str(folder / "sshd_config")])
            _until_open(22)
            print("listening", flush=True)
            os.waitpid(child, 0)
        case "http":
            _http(more[0] if more else "lab")
        case "rdp":
            with rdphost.serving(lambda _: rdphost.BY_NLA, "0.0.0.0", 3389):
                _stay()
        case "winrm":
            from tests.wsman.endpoint import Endpoint
            from tests.wsman.windows import Windows

            with Endpoint(Windows(Path(more[0])), host="0.0.0.0", port=5985).serving():
                _stay()


def _http(software: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return software

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("0.0.0.0", 80), Handler)
    print("listening", flush=True)
    server.serve_forever()


def _stay() -> None:
    print("listening", flush=True)
    threading.Event().wait()


def _until_open(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
