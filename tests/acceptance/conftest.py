"""Sites for acceptance tests: each test has its own repository, home and state, and leaves no process behind."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.site import HERE, Site
from tests.openssh import openssh, own_openssh

__all__ = ["openssh", "own_openssh"]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Site]:
    """A home and nothing else: no repository yet."""
    site = Site(tmp_path).prepare()
    yield site
    site.close()


@pytest.fixture
def site(bare: Site) -> Callable[[Mapping[str, str]], Site]:
    """`site({"job.yaml": ...})` makes the repository with these documents and the target `here`."""

    def create(documents: Mapping[str, str]) -> Site:
        bare.create({"here.yaml": HERE, **documents})
        return bare

    return create
