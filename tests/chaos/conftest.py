"""Sites for the chaos tests. One SSH server serves all tests of a worker; each test has its own files on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.chaos.site import Site


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openssh.OpenSsh]:
    server = openssh.start(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def site(tmp_path: Path, ssh_server: openssh.OpenSsh) -> Iterator[Site]:
    found = Site(tmp_path / "site", ssh_server)
    yield found
    found.close()
