"""Logging in by Kerberos, against a real KDC on loopback: `make test-kerberos`.

It is no part of the test suite: what it needs of Python has to be built on the machine, which takes minutes.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from runners.bootstrap import Command
from runners.connections import Exited, Finish, NotSent, Stop
from runners.connections.winrm.place import WinrmPlace
from runners.connections.winrm.session import WinrmConnections, WinrmSession
from runners.limits import Capture
from runners.masking import Masker
from tests.httpserver import Authority
from tests.wsman.endpoint import Endpoint
from tests.wsman.windows import Windows

REALM, USER, PASSWORD = "TEST.EXAMPLE", "ops@TEST.EXAMPLE", "S3cret"
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Kdc:
    """A realm of its own. Sets this process's variables of Kerberos."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n dns_lookup_kdc = false\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n"
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {folder}/principal\n  key_stash_file = {folder}/stash\n }}\n"
            f"[logging]\n kdc = FILE:{folder}/kdc.log\n"
        )
        os.environ |= {
            "PATH": PATH,
            "KRB5_CONFIG": f"{folder}/krb5.conf",
            "KRB5_KDC_PROFILE": f"{folder}/kdc.conf",
            "KRB5_KTNAME": f"{folder}/keytab",
            "KRB5CCNAME": f"FILE:{folder}/nobodys-tickets",
        }
        _done("kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
        _done("kadmin.local", "-q", f"addprinc -pw {PASSWORD} {USER}")
        _done("kadmin.local", "-q", f"addprinc -randkey HTTP/localhost@{REALM}")
        _done("kadmin.local", "-q", f"ktadd -k {folder}/keytab HTTP/localhost@{REALM}")
        self.process = subprocess.Popen(["krb5kdc", "-n"])
        for _ in range(100):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the KDC does not listen")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


async def tried(folder: Path) -> None:
    """Raises AssertionError."""
    authority = Authority.made()
    for tls in (None, authority.signed("localhost")):
        with Endpoint(Windows(folder), ("kerberos",), tls).serving() as host:
            place = WinrmPlace(
                "win-01", "localhost", host.port, "psrp", "https" if tls else "http", "kerberos", USER, PASSWORD,
                ca=authority.pem,
            )  # fmt: skip
            assert await _run(place) == Exited(3)
            assert await _run(replace(place, protocol="winrm")) == Exited(3)
            assert all(sealed is (tls is None) for _, sealed in host.requests)
            for wrong, said in (
                (replace(place, password="wrong"), "refused the login of 'ops@TEST.EXAMPLE'"),
                (replace(place, user=f"nobody@{REALM}"), "no Kerberos login of 'nobody@TEST.EXAMPLE'"),
            ):
                finish = await _run(wrong)
                assert isinstance(finish, NotSent), finish
                assert said in finish.error, finish
            print(f"Kerberos {'over TLS, bound to it' if tls else 'with encrypted messages'}: fine")


async def _run(place: WinrmPlace) -> Finish:
    connections = WinrmConnections()
    try:
        session = WinrmSession(place, connections, Capture(Masker()), Stop())
        return await session.execute(Command("powershell", "echo hello; exit 3"))
    finally:
        await connections.close()


def _done(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "c").mkdir()
        kdc = Kdc(Path(folder))
        try:
            asyncio.run(tried(Path(folder) / "c"))
        finally:
            kdc.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
