"""Targets reached through others: every hop a real OpenSSH server with host keys and a credential of its own."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from engine.runs.pinned import PinnedTarget
from engine.states import RunState, StepState
from runners.connections import Limits
from runners.sessions import SshConnections
from schemas.credential import CredentialSpec
from schemas.target import Connections
from tests import openssh as servers
from tests.integration.test_runner_ssh import place_of
from tests.openssh import OpenSsh
from tests.running import Bench, Ran, bench, lives, script

__all__ = ["bench"]

Serve = Callable[..., OpenSsh]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server by name, with more lines of its configuration."""
    with ExitStack() as running:

        def start(name: str, options: str = "") -> OpenSsh:
            server = servers.start(tmp_path / name, options=options)
            running.callback(server.stop)
            return server

        yield start


def reached(name: str, server: OpenSsh, jump: str | None, host_key: str | None = None) -> PinnedTarget:
    ssh = {"port": server.port, "user": server.user, "credentialRef": f"to-{name}", "jump": jump}
    connections = Connections.model_validate({"ssh": {**ssh, "hostKeys": [host_key or server.host_key]}})
    return PinnedTarget(name, host=server.host, connections=connections, default_connection="ssh")


def keys(bench: Bench, **given: OpenSsh) -> dict[str, CredentialSpec]:
    """A key for each, which the others do not take."""
    found: dict[str, CredentialSpec] = {}
    for name, server in given.items():
        (bench.secrets / name).write_text(server.private_key)
        found[f"to-{name}"] = CredentialSpec.model_validate({"type": "ssh", "from": {"file": name}})
    return found


async def through(bench: Bench, target: PinnedTarget, *jumps: PinnedTarget, **servers_: OpenSsh) -> Ran:
    step = script(f"touch {bench.folder}/ran; echo $SSH_CONNECTION", outputs={"seen": "${{ stdout }}"})
    return await bench.execute(step, targets=(target,), jumps=jumps, credentials=keys(bench, **servers_))


def unreached(bench: Bench, ran: Ran) -> str:
    step = ran.steps()["only"]
    assert (ran.state, step.state) == (RunState.FAILED, StepState.UNREACHABLE), step
    assert not (bench.folder / "ran").exists()
    return step.error or ""


async def test_a_target_is_reached_through_a_chain(serve: Serve, bench: Bench) -> None:
    far, inner, outer = serve("far"), serve("inner"), serve("outer")
    hops = reached("inner", inner, "outer"), reached("outer", outer, None)
    ran = await through(bench, reached("far", far, "inner"), *hops, far=far, inner=inner, outer=outer)
    assert ran.state is RunState.SUCCEEDED, ran.view
    assert str(ran.steps()["only"].outputs["seen"]).endswith(f"127.0.0.1 {far.port}")
    assert all("Accepted publickey" in server.log for server in (far, inner, outer))


async def test_every_hop_shows_a_key_of_its_own(serve: Serve, bench: Bench) -> None:
    """That of the target does not do for the hop; the message says which."""
    far, gate = serve("far"), serve("gate")
    wrong = reached("gate", gate, None, far.host_key)
    error = unreached(bench, await through(bench, reached("far", far, "gate"), wrong, far=far, gate=gate))
    assert error.startswith("on the way to Target far, at Target gate: ")
    assert asyncssh.import_public_key(gate.host_key).get_fingerprint() in error
    assert "hostKeys of Target gate" in error
    assert far.log.count("Connection from") == 1, "that of the test, which waited until it listened"


async def test_a_key_of_the_target_is_checked_through_the_hop(serve: Serve, bench: Bench) -> None:
    far, gate = serve("far"), serve("gate")
    wrong = reached("far", far, "gate", gate.host_key)
    error = unreached(bench, await through(bench, wrong, reached("gate", gate, None), far=far, gate=gate))
    assert "hostKeys of Target far" in error


async def test_a_hop_takes_its_own_credential_alone(serve: Serve, bench: Bench) -> None:
    far, gate = serve("far"), serve("gate")
    ran = await through(bench, reached("far", far, "gate"), reached("gate", gate, None), far=far, gate=far)
    assert "at Target gate: " in (error := unreached(bench, ran))
    assert "refused the login" in error


async def test_a_hop_whose_credential_is_of_another_pool_is_not_logged_in_at(serve: Serve, bench: Bench) -> None:
    """Though the plan has it: who can write a plan into the journal opens nothing by it."""
    far, gate = serve("far"), serve("gate")
    given = keys(bench, far=far, gate=gate)
    given["to-gate"] = given["to-gate"].model_copy(update={"pools": ("dmz",)})
    bench.serves = frozenset({"default"})
    hops = (reached("gate", gate, None),)
    target = reached("far", far, "gate")
    ran = await bench.execute(script("true"), targets=(target,), jumps=hops, credentials=given)
    assert ran.state is RunState.FAILED, ran.view
    refusal = "credential 'to-gate' may not be opened by pool 'default', which this is for: it names the pools dmz"
    assert refusal in (ran.steps()["only"].error or "")
    assert "Accepted" not in gate.log + far.log


async def test_a_hop_that_passes_nothing_on_is_named(serve: Serve, bench: Bench) -> None:
    far, gate = serve("far"), serve("gate", "AllowTcpForwarding no")
    ran = await through(bench, reached("far", far, "gate"), reached("gate", gate, None), far=far, gate=gate)
    assert unreached(bench, ran).startswith(f"Target gate could not connect on to 127.0.0.1:{far.port}")


async def test_a_target_that_is_down_behind_a_hop_is_named(serve: Serve, bench: Bench) -> None:
    far, gate = serve("far"), serve("gate")
    far.stop()
    ran = await through(bench, reached("far", far, "gate"), reached("gate", gate, None), far=far, gate=gate)
    assert f"Target gate could not connect on to 127.0.0.1:{far.port}" in unreached(bench, ran)


async def test_a_hop_that_dies_in_the_middle_makes_the_step_unknown_and_ends_it(serve: Serve, bench: Bench) -> None:
    far, gate = serve("far"), serve("gate")
    pids = bench.pipe("pids")
    run = await bench.enqueue(
        script(f"echo begun; echo $$ >{pids}; sleep 600"),
        targets=(reached("far", far, "gate"),),
        jumps=(reached("gate", gate, None),),
        credentials=keys(bench, far=far, gate=gate),
    )
    bench.start()
    (pid,) = await pids.pids(1)
    async with asyncio.timeout(10):
        while not any(
            "begun" in log.read_text() for log in bench.logs.rglob("*") if log.is_file()
        ):  # the runner knows it, too
            await asyncio.sleep(0.02)
    gate.drop_connections()
    ran = await bench.ended(run)
    assert ran.state is RunState.UNKNOWN, ran.view
    assert "none of its processes is left" in (ran.steps()["only"].error or "")
    assert not lives(pid)


async def test_closing_a_connection_closes_what_carried_it(serve: Serve) -> None:
    far, gate = serve("far"), serve("gate")
    connections = SshConnections(Limits())
    async with connections.lease(replace(place_of(far), via=place_of(gate))) as (connection, _):
        assert (await connection.run("echo here")).stdout == "here\n"
    await connections.close()
    async with asyncio.timeout(10):
        while gate.sessions():  # the server sees the end a moment later
            await asyncio.sleep(0.02)
