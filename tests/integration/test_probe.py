"""Trying a connection without a run: what `target test` does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.runs.pinned import PinnedTarget
from runners.connections import Answered, Limits, NotSent, Refused, Site, Unusable
from runners.connections.local import RESTRICTED, Guardian, LocalHost, LocalSettings
from runners.connections.ways import Settings, Ways
from runners.secrets import Opened
from schemas.target import Become, Connections
from tests.openssh import OpenSsh, openssh, own_openssh

__all__ = ["openssh", "own_openssh"]


def key_of(server: OpenSsh) -> Opened:
    return Opened("login", server.user, {"privateKey": server.private_key})


def target(server: OpenSsh, host_key: str, **settings: object) -> PinnedTarget:
    ssh = {"port": server.port, "credentialRef": "login", "hostKeys": [host_key], **settings}
    return PinnedTarget("web-01", host=server.host, connections=Connections.model_validate({"ssh": ssh}))


def nothing_opened(name: str) -> Opened:
    raise AssertionError(f"{name} is not asked for")


@pytest.fixture
async def ways(tmp_path: Path) -> AsyncIterator[Ways]:
    guardian = Guardian(tmp_path / "lock")
    made = Ways(Settings(Limits(), LocalHost(LocalSettings(), guardian)))
    yield made
    await made.close()
    await guardian.close()


async def test_a_target_that_answers_says_what_it_is(openssh: OpenSsh, ways: Ways) -> None:
    site = Site(target(openssh, openssh.host_key), lambda name: key_of(openssh))
    found = await ways.get("ssh").probe(site)
    assert isinstance(found, Answered)
    assert found.said.startswith("Linux ")


async def test_a_target_with_another_host_key_is_not_logged_in_to(
    openssh: OpenSsh, own_openssh: OpenSsh, ways: Ways
) -> None:
    site = Site(target(openssh, own_openssh.host_key), lambda name: key_of(openssh))
    found = await ways.get("ssh").probe(site)
    assert isinstance(found, NotSent)
    assert "which is not in the definitions" in found.error


async def test_a_target_without_a_credential_can_never_be_reached(openssh: OpenSsh, ways: Ways) -> None:
    site = Site(target(openssh, openssh.host_key, credentialRef=None), nothing_opened)
    with pytest.raises(Unusable, match=r"Target web-01 has no spec.connections.ssh.credentialRef to log in with"):
        await ways.get("ssh").probe(site)


async def test_the_runners_own_host_answers(ways: Ways) -> None:
    found = await ways.get("local").probe(Site(None, nothing_opened))
    assert isinstance(found, Answered)
    assert found.said.startswith("Linux ")


async def test_a_restricted_runner_tries_nothing_on_its_own_host(tmp_path: Path) -> None:
    restricted = LocalHost(LocalSettings(restricted=True), Guardian(tmp_path / "lock"))
    local = Ways(Settings(Limits(), restricted)).get("local")
    assert await local.probe(Site(None, nothing_opened)) == Refused(RESTRICTED)
    with pytest.raises(Unusable, match=RESTRICTED):
        await local.probe(Site(None, nothing_opened, Become(user="root")))
