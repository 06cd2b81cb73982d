"""What several files of these tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.signing import Gpg
from tests.trustground import Ground, made_ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A repository, keys, a trust file, and the chain that judges."""
    return made_ground(tmp_path)


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    home = Gpg(tmp_path / "gpg")
    yield home
    home.stop()
