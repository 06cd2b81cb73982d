"""The endpoint of the tests is what clients of Windows take for one: pypsrp and pywinrm, as they are."""

from pathlib import Path

import pypsrp.client
import pytest
import winrm

from tests.httpserver import Authority
from tests.wsman.endpoint import PASSWORD, USER, Endpoint, accounts
from tests.wsman.windows import Windows


@pytest.fixture(autouse=True)
def _accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", accounts(tmp_path))


def test_pypsrp_runs_cmd_and_powershell_over_encrypted_messages(tmp_path: Path) -> None:
    with Endpoint(Windows(tmp_path)).serving() as host:
        client = pypsrp.client.Client(
            "127.0.0.1", port=host.port, username=USER, password=PASSWORD, ssl=False, auth="ntlm"
        )
        with client:
            assert client.execute_cmd("echo one; echo two >&2; exit 5") == ("one\n", "two\n", 5)
            output, _, failed = client.execute_ps("echo three")
        assert (output, failed) == ("three", False)
        assert all(sealed for _, sealed in host.requests)
        assert not host.shells


def test_pywinrm_runs_cmd_and_powershell(tmp_path: Path) -> None:
    with Endpoint(Windows(tmp_path)).serving() as host:
        session = winrm.Session(f"http://127.0.0.1:{host.port}/wsman", auth=(USER, PASSWORD), transport="ntlm")
        done = session.run_cmd("echo one; exit 5")
        assert (done.status_code, done.std_out) == (5, b"one\n")
        assert session.run_ps("echo three").std_out == b"three\n"
        assert all(sealed for _, sealed in host.requests)


def test_pypsrp_logs_in_by_password_over_tls(tmp_path: Path) -> None:
    authority = Authority.made()
    trusted = tmp_path / "ca.pem"
    trusted.write_text(authority.pem)
    with Endpoint(Windows(tmp_path), ("basic",), authority.signed("127.0.0.1")).serving() as host:
        client = pypsrp.client.Client(
            "127.0.0.1", port=host.port, username=USER, password=PASSWORD, auth="basic", cert_validation=str(trusted)
        )
        assert client.execute_cmd("echo one")[0] == "one\n"
        assert not any(sealed for _, sealed in host.requests)
