"""A real RabbitMQ: a node of its own with its own folder, ports and port mapper, ended by process group."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.httpserver import Authority

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Not the wrapper in the path, which becomes another user and knows one folder only."""
_STARTS_WITHIN = 120.0
_STOPS_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it listens: `port` in clear text, `tls` with a certificate for 127.0.0.1 by the authority `ca`.

    `process` is its group of processes.
    """

    port: int
    tls: int
    ca: str
    process: int


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """Started in the folder, and gone with all its processes at the end."""
    authority = Authority.made()
    (folder / "server.pem").write_text(authority.signed("127.0.0.1"))
    (folder / "ca.pem").write_text(authority.pem)
    port, tls, mapper = _free_port(), _free_port(), _free_port()
    (folder / "rabbitmq.conf").write_text(
        f"""listeners.tcp.1 = 127.0.0.1:{port}
listeners.ssl.1 = 127.0.0.1:{tls}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.pem
ssl_options.verify = verify_none
log.file.level = warning
vm_memory_high_watermark.absolute = 256MB
disk_free_limit.absolute = 1MB
"""
    )
    (folder / "enabled_plugins").write_text("[].")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RUNNING_UNDER_SYSTEMD": "true",  # in the foreground, with no shell around it
        "RABBITMQ_NODENAME": f"t{os.getpid()}@localhost",
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    # The node would start a port mapper that outlives it: this one ends with the rest.
    processes = [
        subprocess.Popen(
            ["epmd", "-port", str(mapper)], env=environment, start_new_session=True, stderr=subprocess.DEVNULL
        )
    ]
    try:
        _until_open(mapper, processes[0])
        with (folder / "out").open("wb") as out:
            node = subprocess.Popen(
                [_SERVER], env=environment, start_new_session=True, cwd=folder, stdout=out, stderr=subprocess.STDOUT
            )
        processes.append(node)
        _until_open(port, node)
        _until_open(tls, node)
        yield Broker(port, tls, authority.pem, node.pid)
    except _NotStarted as error:
        raise AssertionError((folder / "out").read_text() if (folder / "out").exists() else str(error)) from error
    finally:
        for process in reversed(processes):
            _ended(process)


class _NotStarted(Exception):  # noqa: N818 - named after the process
    """It ended, or did not listen in time."""


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)
    raise _NotStarted(f"nothing listens on {port}")


def _ended(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOPS_WITHIN)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started
