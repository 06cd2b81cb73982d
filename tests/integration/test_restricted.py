"""`--restricted` and the secret folder hold against every step type, source of secrets, connection and channel.

The tables name all of them: whoever adds one is told here, and says how it is kept from the runner's own host.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.notifications.channels import PinnedChannel
from engine.runs.pinned import PlannedStep, Use
from engine.runs.scanplan import READ, READ_TYPE, SCAN, SCAN_TYPE
from engine.states import RunState
from runners.connections import Limits as ConnectionLimits
from runners.connections import Refused, Site
from runners.connections.local import RESTRICTED, Guardian, LocalHost, LocalSettings
from runners.connections.ways import DOOR as CONNECTIONS
from runners.connections.ways import Settings as WaySettings
from runners.connections.ways import Ways
from runners.deliveries import DOOR as CHANNELS
from runners.deliveries import Later, Message
from runners.secrets import Sealed, Secrets
from runners.secrets.sources import DOOR as SOURCES
from runners.secrets.sources import Host
from runners.sending import sent
from runners.steps import DOOR as STEPS
from schemas.credential import CredentialSpec, Source
from schemas.job import Shell
from schemas.steps import STEP_TYPES
from tests.running import Bench, FolderFiles, bench, here, script

__all__ = ["bench"]

CANARY = "canary-of-the-host-4711"
EFFECT = "effect"
"""A file that must not come to be."""

Inputs = Mapping[str, Any]
UP, DIGEST = "../outside", f"sha256:{'0' * 64}"
_OUT_OF_IT = ("/proc/self/environ", UP, "HOST/outside", "a/../../outside", "link")
"""Paths that lead out of the repository; HOST is the folder around it, and `link` leads there."""


def _named(field: str, **more: Any) -> tuple[Inputs, ...]:
    return tuple({**more, field: path} for path in _OUT_OF_IT)


_PUT = tuple(
    {**one, "destination": f"HOST/{EFFECT}"} for one in (*_named("source"), {"source": "there"}, {"content": "x"})
)
_FETCH = tuple(
    {"source": source, "destination": destination}
    for source in ("HOST/outside", "/proc/self/environ")
    for destination in ("kept", UP, f"HOST/{EFFECT}")
)
ON_STEPS: Mapping[str, tuple[Inputs, ...]] = {
    "script": ({"run": f"cat HOST/outside; touch HOST/{EFFECT}"}, *_named("file")),
    "template": tuple(one for one in _PUT if "source" in one),
    "sftp.upload": _PUT,
    "sftp.download": _FETCH,
    "sftp.sync": (*_named("source", destination=f"HOST/{EFFECT}"), {"source": ".", "destination": f"HOST/{EFFECT}"}),
    "winrm.copy": _PUT,
    "winrm.fetch": _FETCH,
    "http.request": (
        *_named("file", method="POST", url="http://127.0.0.1:9/"),
        *_named("caCert", url="https://127.0.0.1:9/"),
        {"url": "file://HOST/outside"},
    ),
    "webhook.call": (*_named("caCert", url="https://127.0.0.1:9/"), {"url": "file://HOST/outside"}),
    "mcp.call": (
        {"command": ["cat", "HOST/outside"], "tool": "t", "digest": DIGEST},
        {"command": ["touch", f"HOST/{EFFECT}"], "tool": "t", "digest": DIGEST},
        *_named("caCert", url="https://127.0.0.1:9/", tool="t", digest=DIGEST),
    ),
    "nmap.scan": ({"hosts": ["127.0.0.1"], "ports": [9]},),
    "notify": ({"channel": "apprise", "text": "x"}, *({"channel": f"ca-{n}", "text": "x"} for n in range(5))),
    "wait.until": ({"url": "file://HOST/outside"}, {"tcp": "127.0.0.1:HOST"}),
    "assert": ({"that": False},),
    "dummy": ({"die": True},),
}
"""What a document could try, by step type; every attempt must fail."""
_CHANNELS_OF_STEPS = {
    "apprise": {"type": "apprise", "url": "https://example.org/x"},
    **{f"ca-{n}": {"type": "webhook", "url": "https://127.0.0.1:9/", "caCert": p} for n, p in enumerate(_OUT_OF_IT)},
}


def _on(folder: Path, value: Any) -> Any:
    match value:
        case str():
            return value.replace("HOST", str(folder))
        case dict():
            return {key: _on(folder, one) for key, one in value.items()}
        case list():
            return [_on(folder, one) for one in value]
        case _:
            return value


@pytest.fixture
def host(bench: Bench) -> Path:
    """The runner's own host: what no document may read, and nothing that it may make."""
    folder = bench.folder
    (folder / "outside").write_text(CANARY)
    (bench.files / "there").write_text("there")
    (bench.files / "link").symlink_to(folder / "outside")
    return folder


def test_every_step_type_is_in_the_table() -> None:
    """With all the names that documents may use for it."""
    scripts = {name for name, kind in STEP_TYPES.items() if kind.is_script}
    assert {kind.name for name, kind in STEP_TYPES.items() if name not in scripts} | {"script"} == set(ON_STEPS)
    assert STEPS.built_in == set(ON_STEPS) | {READ, SCAN}


@pytest.mark.parametrize("kind", ON_STEPS)
async def test_a_restricted_runner_does_nothing_to_its_host_by_any_step(bench: Bench, host: Path, kind: str) -> None:
    """On a target that is this host, and without one; whatever expressions made of the inputs."""
    steps = [
        PlannedStep(f"s{number}", "steps", Use(kind, dict(_on(host, given))), continue_on_error=True)
        for number, given in enumerate(ON_STEPS[kind])
    ]
    run = await bench.enqueue(
        *steps, targets=(here("local"),), channels={n: _on(host, one) for n, one in _CHANNELS_OF_STEPS.items()}
    )
    bench.start(local=LocalSettings(restricted=True))
    ran = await bench.ended(run)
    ended = ran.steps("local")
    assert [ended[step.id].state.value for step in steps] == ["failed"] * len(steps), {
        step.id: (step.action.inputs, ended[step.id].state, ended[step.id].error)
        for step in steps
        if ended[step.id].state.value != "failed" and isinstance(step.action, Use)
    }
    _nothing_was_done(bench, host)


async def test_a_restricted_runner_scans_for_no_discovery(bench: Bench) -> None:
    asked = {"discovery": "lan", "networks": ["127.0.0.1"], "exclude": [], "ports": [9], "profile": "fast"}
    run = await bench.enqueue(PlannedStep("scan", "steps", Use(SCAN, asked, SCAN_TYPE)), networks=("127.0.0.0/8",))
    bench.start(local=LocalSettings(restricted=True))
    assert (await bench.ended(run)).steps()["scan"].state.value == "failed"


async def test_a_restricted_runner_starts_no_program_for_an_inventory(bench: Bench, host: Path) -> None:
    asked = {"discovery": "cloud", "command": ["/bin/touch", f"{host}/{EFFECT}"], "vars": []}
    run = await bench.enqueue(PlannedStep("scan", "steps", Use(READ, asked, READ_TYPE)))
    bench.start(local=LocalSettings(restricted=True))
    ended = (await bench.ended(run)).steps()["scan"]
    assert ended.state.value == "failed"
    assert "starts no programs" in (ended.error or "")
    _nothing_was_done(bench, host)


async def test_one_that_is_not_restricted_does(bench: Bench, host: Path) -> None:
    """So that the attempts above fail because of the setting."""
    ran = await bench.execute(script(f"touch {host}/{EFFECT}"), targets=(here("local"),))
    assert ran.state is RunState.SUCCEEDED
    assert (host / EFFECT).exists()


@pytest.mark.parametrize("shell", ["sh", "bash", "python3"])
@pytest.mark.parametrize("become", [None, "root"])
async def test_a_restricted_runner_runs_no_script(bench: Bench, host: Path, shell: Shell, become: str | None) -> None:
    from schemas.target import Become

    step = script(f"cat {host}/outside; touch {host}/{EFFECT}", shell=shell)
    if become is not None:
        step = script(f"touch {host}/{EFFECT}", shell=shell, become=Become(user=become))
    run = await bench.enqueue(step, targets=(here("local"),))
    bench.start(local=LocalSettings(restricted=True))
    ran = await bench.ended(run)
    assert ran.state is RunState.FAILED
    assert RESTRICTED in (ran.steps()["only"].error or "")
    _nothing_was_done(bench, host)


def _nothing_was_done(bench: Bench, host: Path) -> None:
    assert not (host / EFFECT).exists()
    assert not [path for path in host.rglob(f"*{EFFECT}*") if path.is_dir()]
    for path in (*host.glob("journal*"), *(one for one in bench.logs.rglob("*") if one.is_file())):
        assert CANARY.encode() not in path.read_bytes(), path


# --- connections -----------------------------------------------------------------------------------------------------

OVER: Mapping[str, str | None] = {
    "local": RESTRICTED,
    # these reach a host by the network, and take from this one nothing that a document could name
    "http": None,
    "rdp": None,
    "ssh": None,
    "winrm": None,
}


def test_every_connection_is_in_the_table() -> None:
    assert CONNECTIONS.built_in == set(OVER)


@pytest.mark.parametrize("name", [name for name, said in OVER.items() if said is not None])
async def test_a_restricted_runner_has_no_connection_to_itself(tmp_path: Path, name: str) -> None:
    guard = Guardian(tmp_path / "lock")
    ways = Ways(WaySettings(ConnectionLimits(), LocalHost(LocalSettings(restricted=True), guard)))
    found = await ways.get(name).probe(Site(here("local"), _nothing))
    await ways.close()
    assert found == Refused(OVER[name] or "")


def _nothing(name: str) -> Any:
    raise Sealed(name)


# --- channels --------------------------------------------------------------------------------------------------------

BY: Mapping[str, Inputs] = {
    "amqp": {"url": "amqps://127.0.0.1:9/", "exchange": "ops"},
    "apprise": {"url": "https://example.org/x"},
    "commitStatus": {},
    "pullRequest": {},
    "email": {"from": "a@example.org", "to": ["b@example.org"], "server": "127.0.0.1", "port": 9},
    "slack": {"url": "https://127.0.0.1:9/"},
    "teams": {"url": "https://127.0.0.1:9/"},
    "webhook": {"url": "https://127.0.0.1:9/"},
}


def test_every_channel_is_in_the_table() -> None:
    assert CHANNELS.built_in == set(BY)


@pytest.mark.parametrize("path", _OUT_OF_IT)
@pytest.mark.parametrize("kind", BY)
async def test_no_channel_reads_a_file_of_the_runner_s_host(bench: Bench, host: Path, kind: str, path: str) -> None:
    """The only file that a channel names is the certificate of an authority, and that is one of the repository."""
    channel = PinnedChannel({"type": kind, **BY[kind], "caCert": _on(host, path)})
    files = FolderFiles(bench.files)
    found = await sent(
        Message("id", "s", "t"), channel, Secrets(None, {}), lambda name: files.read("", name), restricted=True
    )
    assert isinstance(found, Later), found
    assert CANARY not in found.error


# --- secrets ---------------------------------------------------------------------------------------------------------

FROM: Mapping[str, tuple[Any, ...]] = {
    "file": (*_OUT_OF_IT, "journal.sqlite3", "../journal.sqlite3", ".", "~/x", "away/outside"),
    "env": ("HOME", "PATH", "OPSCONDUCTOR_TOKEN", "OPSCONDUCTOR_SECRET", "AWS_SECRET_ACCESS_KEY"),
    "vault": ({"path": "../../sys/raw"}, {"path": "secret/data/web", "field": "password"}),
    "command": (["cat", "HOST/outside"], ["touch", f"HOST/{EFFECT}"], ["/bin/cat", "HOST/outside"]),
    "plugin": ({"name": "no.such", "with": {"path": "HOST/outside"}},),
}
"""What a credential could name, by source; every one is refused by a runner that nothing else was said to."""


def test_every_source_of_secrets_is_in_the_table() -> None:
    assert set(Source.model_fields) == set(FROM)
    assert SOURCES.built_in <= set(FROM)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("source", FROM)
def test_no_source_reads_what_lies_outside(bench: Bench, host: Path, source: str, restricted: bool) -> None:
    """Restricted or not: only the secret folder, only variables of one prefix, no program, no server."""
    (bench.secrets / "link").symlink_to(host / "outside")
    (bench.secrets / "away").symlink_to(host)
    environ = dict.fromkeys(FROM["env"], CANARY)
    secrets = Secrets(bench.secrets, environ, restricted=restricted)
    for reference in FROM[source]:
        given = {source: _on(host, reference)}
        known = Source.model_validate(given) if source not in ("file", "env") else Source.model_construct(**given)
        spec = CredentialSpec.model_construct(type="generic", pools=(), from_=known)
        with pytest.raises(Sealed) as refused:
            secrets.open("x", spec)
        assert CANARY not in str(refused.value)
    assert not (host / EFFECT).exists()


def test_a_restricted_runner_starts_no_program_for_a_secret_though_it_may_otherwise(host: Path) -> None:
    spec = CredentialSpec.model_validate({"type": "generic", "from": {"command": ["cat", f"{host}/outside"]}})
    allowed = Host(programs=(Path("/bin/cat"),))
    assert Secrets(None, {}, host=allowed).open("x", spec).get("value") == CANARY
    with pytest.raises(Sealed, match="restricted"):
        Secrets(None, {}, host=allowed, restricted=True).open("x", spec)
