"""Steps over WinRM: how they log in, what they are given, how they end, and what is known of them afterwards.

There is no Windows here. tests/wsman says what stands for one.
"""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.runs.outcome import Cancelled, Failed, Outcome, Succeeded, TimedOut, Unknown, Unreachable, output_of
from engine.runs.pinned import PinnedTarget
from engine.scripts.binding import Bound, bind, prelude
from runners.bootstrap import Command
from runners.connections import Answered, Limits, NotSent, Site, Stop, Unreached, Unusable
from runners.connections.local import Guardian, LocalHost, LocalSettings
from runners.connections.overwinrm import OverWinrm
from runners.connections.ways import Settings
from runners.connections.winrm.place import WinrmLimits, WinrmPlace
from runners.connections.winrm.session import WinrmConnections, WinrmSession
from runners.connections.winrm.wire import Wire
from runners.limits import Capture
from runners.masking import Masker, visible
from runners.secrets import Opened
from runners.steps import ReadyStep
from runners.steps.script import Script
from schemas.target import Connections, WinrmConnection
from tests.httpserver import Authority
from tests.running import script
from tests.wsman.endpoint import PASSWORD, USER, Endpoint, accounts
from tests.wsman.windows import Windows

AUTHORITY = Authority.made()
QUICK = WinrmLimits(connect=5, login=5, silence=2, poll=1)


@dataclass
class Hand:
    """Runs commands on a host, as a step of type `script` does."""

    connections: WinrmConnections = field(default_factory=lambda: WinrmConnections(QUICK))

    def session(self, place: WinrmPlace, stop: Stop | None = None, mark: str = "") -> WinrmSession:
        return WinrmSession(place, self.connections, Capture(Masker()), stop or Stop(), mark=mark)

    async def run(
        self, place: WinrmPlace, text: str, *, stop: Stop | None = None, mark: str = "", **more: Any
    ) -> Outcome:
        command = Command(more.pop("shell", "powershell"), text, **more)
        return await Script().run(ReadyStep(script(text), command=command), self.session(place, stop, mark))


@pytest_asyncio.fixture
async def hand() -> AsyncIterator[Hand]:
    made = Hand()
    yield made
    await made.connections.close()


@pytest.fixture(autouse=True)
def _accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", accounts(tmp_path))


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    root = tmp_path / "c"
    root.mkdir()
    return Windows(root)


@pytest.fixture
def host(windows: Windows) -> Iterator[Endpoint]:
    with Endpoint(windows).serving() as endpoint:
        yield endpoint


def place_of(host: Endpoint, **more: Any) -> WinrmPlace:
    place = WinrmPlace("win-01", "127.0.0.1", host.port, "psrp", "http", "ntlm", USER, PASSWORD)
    return replace(place, **more)


def over_tls(host: Endpoint, transport: str, **more: Any) -> WinrmPlace:
    return place_of(host, scheme="https", transport=transport, ca=AUTHORITY.pem, **more)


BOTH = pytest.mark.parametrize("protocol", ["psrp", "winrm"])

# --- logging in ------------------------------------------------------------------------------------------------------


@BOTH
async def test_ntlm_without_tls_encrypts_every_message(host: Endpoint, hand: Hand, protocol: Any) -> None:
    outcome = await hand.run(place_of(host, protocol=protocol), "echo hello")

    assert isinstance(outcome, Succeeded)
    assert visible(output_of(outcome).stdout) == "hello\n"
    assert host.requests
    assert all(sealed for _, sealed in host.requests)


@BOTH
@pytest.mark.parametrize("transport", ["ntlm", "basic", "certificate"])
async def test_over_tls(windows: Windows, hand: Hand, protocol: Any, transport: str) -> None:
    with Endpoint(windows, (transport,), AUTHORITY.signed("127.0.0.1"), AUTHORITY.pem).serving() as host:
        place = over_tls(host, transport, protocol=protocol)
        if transport == "certificate":
            place = replace(place, password=None, certificate=AUTHORITY.signed("ops"))

        assert isinstance(await hand.run(place, "echo hello"), Succeeded)
        assert not host.shells


async def test_a_wrong_password_is_unreachable_and_said(host: Endpoint, hand: Hand) -> None:
    outcome = await hand.run(place_of(host, password="wrong"), "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "refused the login of 'ops' with the password of its Credential" in outcome.error
    assert "wrong" not in outcome.error.replace("wrong password", "")
    assert host.requests == []


@pytest.mark.parametrize("transport", ["basic", "certificate"])
async def test_a_wrong_login_over_tls_is_said(windows: Windows, hand: Hand, transport: str) -> None:
    with Endpoint(windows, (transport,), AUTHORITY.signed("127.0.0.1"), AUTHORITY.pem).serving() as host:
        place = over_tls(host, transport, password="wrong")
        if transport == "certificate":
            other = Authority.made()
            place = replace(place, certificate=other.signed("ops"))
        outcome = await hand.run(place, "echo hello")

        assert isinstance(outcome, Unreachable)
        assert host.requests == []


async def test_a_login_that_a_host_does_not_take_names_those_it_does(windows: Windows, hand: Hand) -> None:
    with Endpoint(windows, ("basic",), AUTHORITY.signed("127.0.0.1")).serving() as host:
        outcome = await hand.run(over_tls(host, "ntlm"), "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "takes no login by 'ntlm'; it offers Basic" in outcome.error


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"server_name": "win-02.example.org"}, "not trusted for 'win-02.example.org'"),
        ({"ca": Authority.made().pem}, "caCert and serverName of Target win-01"),
    ],
)
async def test_a_certificate_of_somebody_else_is_refused(
    windows: Windows, hand: Hand, wrong: dict[str, Any], said: str
) -> None:
    with Endpoint(windows, ("ntlm",), AUTHORITY.signed("127.0.0.1")).serving() as host:
        outcome = await hand.run(replace(over_tls(host, "ntlm"), **wrong), "echo hello")

        assert isinstance(outcome, Unreachable)
        assert said in outcome.error
        assert host.requests == []


async def test_the_environment_of_the_runner_counts_for_nothing(
    host: Endpoint, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")

    assert isinstance(await hand.run(place_of(host), "echo hello"), Succeeded)


async def test_a_broken_form_of_ntlm_is_never_used(host: Endpoint, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "1")
    outcome = await hand.run(place_of(host), "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "LM_COMPAT_LEVEL" in outcome.error
    assert host.requests == []


async def test_nobody_there(hand: Hand) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = WinrmPlace("win-01", "127.0.0.1", bound.getsockname()[1], "psrp", "http", "ntlm", USER, PASSWORD)
        outcome = await hand.run(place, "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "is WinRM enabled there" in outcome.error


async def test_one_login_serves_the_steps_that_follow_each_other(host: Endpoint, hand: Hand) -> None:
    for _ in range(3):
        assert isinstance(await hand.run(place_of(host), "echo hello"), Succeeded)
    assert host.connections == 1


@BOTH
async def test_a_target_is_tried_by_a_harmless_command(
    host: Endpoint, hand: Hand, tmp_path: Path, protocol: Any
) -> None:
    written = {"port": host.port, "protocol": protocol, "scheme": "http", "credentialRef": "win-admin"}
    settings = WinrmConnection.model_validate(written)
    target = PinnedTarget("win-01", "127.0.0.1", "windows", connections=Connections(winrm=settings))
    way = OverWinrm(Settings(Limits(), LocalHost(LocalSettings(), Guardian(tmp_path / "lock"))))
    for password, kind in ((PASSWORD, Answered), ("wrong", NotSent)):
        opened = Opened("win-admin", USER, {"password": password})
        assert isinstance(await way.probe(Site(target, lambda name, opened=opened: opened)), kind)  # type: ignore[misc]
    await way.close()
    with pytest.raises(Unusable, match="needs a Credential with a password"):
        way.open(Site(target, lambda name: Opened(name, USER, {})), Capture(Masker()), Stop(), mark="")
    assert not host.shells


# --- what a step is given, and what it gives -------------------------------------------------------------------------


@BOTH
async def test_a_script_gets_its_variables_its_folder_and_its_input(host: Endpoint, hand: Hand, protocol: Any) -> None:
    host.windows.path("C:\\app").mkdir()
    outcome = await hand.run(
        place_of(host, protocol=protocol),
        'echo "$KEY"; basename "$PWD"; cat; echo oops >&2; exit 3',
        env={"KEY": "s3cret 'ü' $(id)"}, stdin="one\ntwo\n", working_dir="C:\\app",
    )  # fmt: skip

    assert isinstance(outcome, Failed)
    output = output_of(outcome)
    assert (output.exit_code, visible(output.stdout), visible(output.stderr)) == (
        3,
        "s3cret 'ü' $(id)\napp\none\ntwo\n",
        "oops\n",
    )


@BOTH
async def test_a_script_for_cmd_is_a_file_that_does_not_stay(host: Endpoint, hand: Hand, protocol: Any) -> None:
    outcome = await hand.run(
        place_of(host, protocol=protocol), "echo one\necho $KEY\nexit 7", shell="cmd", env={"KEY": "s3cret"}
    )

    assert output_of(outcome).exit_code == 7
    assert visible(output_of(outcome).stdout) == "one\ns3cret\n"
    assert list(host.windows.path("C:\\Temp").iterdir()) == []
    assert "s3cret" not in str([asked.get("line") for asked in host.windows.asked])


async def test_the_file_of_a_cancelled_script_for_cmd_does_not_stay(host: Endpoint, hand: Hand) -> None:
    stop, folder = Stop(), host.windows.path("C:\\Temp")
    old = folder / "oc-00000000-0000-4000-8000-000000000000.cmd"
    folder.mkdir()
    old.write_text("left by a lost machine")
    os.utime(old, (0, 0))
    running = asyncio.create_task(hand.run(place_of(host), "echo up\nsleep 60", shell="cmd", stop=stop))
    async with asyncio.timeout(20):
        while not any("line" in asked for asked in host.windows.asked):
            await asyncio.sleep(0.01)
    assert [one.name for one in folder.iterdir()] != [old.name]
    stop.order("cancelled", "the run was cancelled", kill_after=0.5)

    assert isinstance(await running, Cancelled)
    assert list(folder.iterdir()) == []


@BOTH
async def test_no_command_line_has_anything_of_a_step(host: Endpoint, hand: Hand, protocol: Any) -> None:
    shown: list[str] = []

    def seen(action: str, answer: bytes, handler: Any) -> bytes:
        for shell in host.shells.values():
            shown.extend(shell.lines.values()) if protocol == "winrm" else None
        return answer

    host.hurt = seen
    await hand.run(place_of(host, protocol=protocol), "echo my-script", env={"KEY": "s3cret"}, stdin="s3cret-input")

    assert len(set(shown)) <= 1
    assert not [line for line in shown if "my-script" in line or "s3cret" in line]


NASTY = [
    "$(id)", "`id`", "'; Get-Process; '", '"; exit 9; "', "$env:PATH", "@'\nx\n'@", "\u2019; exit 9; \u2018", "a\nb\n",
    "%PATH%", "&calc", "| Out-Null", "#", "<# x #>", "{0}", "\u202e", "🦊", "--%", "\\", "''", "\t", "2026-11-21",
]  # fmt: skip


@BOTH
async def test_values_arrive_as_they_are_and_run_nothing(host: Endpoint, hand: Hand, protocol: Any) -> None:
    """Through the binding, the bootstrap and the wire; what PowerShell makes of them is known from its grammar only."""
    text = "\n".join(f'printf "%s\\037" "${{{{ params.v{number} }}}}"' for number in range(len(NASTY)))
    bound = bind(text, "powershell")
    assert isinstance(bound, Bound)
    outcome = await hand.run(place_of(host, protocol=protocol), prelude("powershell", NASTY) + bound.text)

    assert isinstance(outcome, Succeeded)
    assert visible(output_of(outcome).stdout).rstrip("\n").split("\037")[:-1] == NASTY


async def test_what_no_windows_shell_can_take_is_not_sent(host: Endpoint, hand: Hand) -> None:
    for outcome in [
        await hand.run(place_of(host), "echo", shell="bash"),
        await hand.run(place_of(host), "echo", env={"KEY": "a\0b"}),
        await hand.run(place_of(host), "echo \ud800"),
    ]:
        assert isinstance(outcome, Failed)
    assert host.requests == []


@pytest.mark.slow
@BOTH
async def test_much_output_costs_bounded_memory(host: Endpoint, hand: Hand, protocol: Any) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = await hand.run(
        place_of(host, protocol=protocol), "head -c 60000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo end"
    )

    assert isinstance(outcome, Succeeded)
    assert output_of(outcome).cut
    assert visible(output_of(outcome).stdout).endswith("end\n")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024


# --- ending ----------------------------------------------------------------------------------------------------------


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    return False


async def begun(host: Endpoint, name: str = "pid") -> int:
    path = host.windows.root / name
    while not path.exists() or not path.read_text().strip():
        await asyncio.sleep(0.02)
    return int(path.read_text())


@BOTH
@pytest.mark.parametrize(("why", "kind"), [("timedOut", TimedOut), ("cancelled", Cancelled)])
async def test_an_order_ends_the_remote_work(host: Endpoint, hand: Hand, protocol: Any, why: Any, kind: type) -> None:
    stop = Stop()
    running = asyncio.ensure_future(
        hand.run(place_of(host, protocol=protocol), "echo $$ >pid; sleep 600 & wait", stop=stop)
    )
    pid = await begun(host)
    stop.order(why, "the time is over")

    assert isinstance(await running, kind)
    assert not lives(pid)
    assert not host.shells


@BOTH
async def test_what_does_not_heed_is_killed(host: Endpoint, hand: Hand, protocol: Any) -> None:
    host.windows.stubborn = True
    stop = Stop()
    running = asyncio.ensure_future(hand.run(place_of(host, protocol=protocol), "echo $$ >pid; sleep 600", stop=stop))
    pid = await begun(host)
    stop.order("timedOut", "the time is over", kill_after=0.2)

    assert isinstance(await running, TimedOut)
    assert not lives(pid)


@BOTH
async def test_an_end_that_is_not_proven_is_unknown(
    host: Endpoint, hand: Hand, protocol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.connections.winrm.work.PROOF", 2.0)
    host.immortal = True
    stop = Stop()
    running = asyncio.ensure_future(hand.run(place_of(host, protocol=protocol), "echo $$ >pid; sleep 600", stop=stop))
    await begun(host)
    stop.order("timedOut", "the time is over", kill_after=0.2)
    outcome = await running

    assert isinstance(outcome, Unknown)
    assert "its end is not proven: the host still has its shell" in outcome.error


async def test_an_order_before_anything_was_sent(host: Endpoint, hand: Hand) -> None:
    stop = Stop()
    stop.order("cancelled", "nobody wants it")

    assert isinstance(await hand.run(place_of(host), "echo hello", stop=stop), Cancelled)
    assert host.requests == []


async def test_an_order_while_the_host_does_not_answer(hand: Hand) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        stop = Stop()
        place = WinrmPlace("win-01", "127.0.0.1", silent.getsockname()[1], "psrp", "http", "ntlm", USER, PASSWORD)
        running = asyncio.ensure_future(hand.session(place, stop).execute(Command("powershell", "echo hello")))
        accepted = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
        stop.order("timedOut", "the time is over")

        assert isinstance(await asyncio.wait_for(running, 2), NotSent)
        accepted[0].close()


@BOTH
async def test_a_broken_connection_leaves_nothing_running(host: Endpoint, hand: Hand, protocol: Any) -> None:
    def cut(action: str, answer: bytes, handler: Any) -> bytes | None:
        if action.endswith("/Receive") and (host.windows.root / "pid").exists():
            host.hurt = None
            return None
        return answer

    host.hurt = cut
    outcome = await hand.run(place_of(host, protocol=protocol), "echo $$ >pid; sleep 600")

    assert isinstance(outcome, Unknown)
    assert "the connection broke while it ran" in outcome.error
    assert "none of its processes is left" in outcome.error
    assert not lives(await begun(host))


@pytest.mark.parametrize("said", [b"HTTP/1.1 401 no\r\nX: ", b"HTTP/1.1 401 no\r\nContent-Length: 90000\r\n\r\n"])
async def test_a_host_that_answers_byte_by_byte_is_not_waited_for(said: bytes) -> None:
    """Each byte comes in time, and the whole never does: in the headers, and in the body."""
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(said)
            while not over.wait(0.05):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, args=(listening,))
        dripping.start()
        place = WinrmPlace("win-01", "127.0.0.1", listening.getsockname()[1], "psrp", "http", "ntlm", USER, PASSWORD)
        try:
            opening = asyncio.to_thread(Wire(place, WinrmLimits(connect=1, login=0.5)).open)
            with pytest.raises(Unreached, match="did not answer within the time limit"):
                await asyncio.wait_for(opening, 20)
        finally:
            over.set()
            dripping.join()


@BOTH
async def test_a_host_that_falls_silent_is_noticed(host: Endpoint, hand: Hand, protocol: Any) -> None:
    awake = threading.Event()

    def silent(action: str, answer: bytes, handler: Any) -> bytes | None:
        if action.endswith("/Receive") and (host.windows.root / "pid").exists():
            awake.wait(30)
            return None
        return answer

    host.hurt = silent
    began = time.monotonic()
    running = asyncio.ensure_future(hand.run(place_of(host, protocol=protocol), "echo $$ >pid; sleep 600"))
    await begun(host)
    outcome = await running
    awake.set()

    assert isinstance(outcome, Unknown)
    assert time.monotonic() - began < 15


@BOTH
async def test_what_an_earlier_attempt_left_is_ended(host: Endpoint, hand: Hand, protocol: Any) -> None:
    place = place_of(host, protocol=protocol)
    first = asyncio.ensure_future(hand.run(place, "echo $$ >pid; sleep 600", mark="a" * 32))
    pid = await begun(host)

    assert await hand.session(place, mark="b" * 32).take_over() is None
    assert lives(pid)
    assert await hand.session(place, mark="a" * 32).take_over() is None
    assert not lives(pid)
    assert isinstance(await first, Failed | Unknown)


# --- hosts that lie --------------------------------------------------------------------------------------------------


def doctype(answer: bytes) -> bytes:
    return b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + answer


LIES: dict[str, Any] = {
    "entities": doctype,
    "utf16": lambda answer: answer.decode().encode("utf-16"),
    "long": lambda answer: answer + b" " * (5 * 1024 * 1024),
    "noise": lambda answer: os.urandom(200),
    "empty": lambda answer: b"",
    "another": lambda answer: answer.replace(b"RelatesTo>uuid:", b"RelatesTo>uuid:0"),
    "deep": lambda answer: b"<a>" * 100_000 + b"</a>" * 100_000,
}


@BOTH
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("action", ["/Create", "/Receive"])
async def test_an_answer_that_is_none_fails_and_says_so(
    host: Endpoint, hand: Hand, protocol: Any, lie: str, action: str
) -> None:
    host.hurt = lambda asked, answer, handler: LIES[lie](answer) if asked.endswith(action) else answer
    outcome = await hand.run(place_of(host, protocol=protocol), "echo hello")

    assert isinstance(outcome, Unreachable | Unknown)
    assert isinstance(outcome, Unreachable) or action == "/Receive"


async def test_a_runspace_that_never_opens_is_given_up(host: Endpoint) -> None:
    hand = Hand(WinrmConnections(replace(QUICK, login=1)))

    host.mute = True
    outcome = await hand.run(place_of(host), "echo hello")
    await hand.connections.close()

    assert isinstance(outcome, Unreachable)
    assert "did not come to an end" in outcome.error


async def test_what_is_not_sealed_by_the_host_is_never_taken_for_its_answer(host: Endpoint, hand: Hand) -> None:
    def plain(action: str, answer: bytes, handler: Any) -> None:
        handler._answer(200, answer, "application/soap+xml;charset=UTF-8")

    host.hurt = plain
    outcome = await hand.run(place_of(host), "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "not encrypted as it must be" in outcome.error


async def test_a_forged_signature_is_refused(host: Endpoint, hand: Hand) -> None:
    def forged(action: str, answer: bytes, handler: Any) -> None:
        kind, sealed = handler.sealed.wrap_message(answer)
        at = sealed.index(b"octet-stream\r\n") + 24
        sealed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        handler._answer(200, sealed, f'{kind};protocol="{handler.sealed.protocol}";boundary="Encrypted Boundary"')

    host.hurt = forged
    outcome = await hand.run(place_of(host), "echo hello")

    assert isinstance(outcome, Unreachable)
    assert "signature is not the host's" in outcome.error


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "sends us elsewhere"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is no WinRM"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"HTTP/1.1 401 No\r\n" + b"X: y\r\n" * 200 + b"\r\n", "no HTTP"),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\nNEXT" * 2, "refused the login"),
        (
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\nNEXT"
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate TlRMTVNTUAAC\r\nContent-Length: 0\r\n\r\n",
            "login",
        ),
        (
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\nNEXT"
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "refused the login",
        ),
    ],
)
async def test_what_is_no_winrm_is_said(hand: Hand, answer: bytes, said: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in answer.split(b"NEXT"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(part)
            await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = WinrmPlace(
        "win-01", "127.0.0.1", server.sockets[0].getsockname()[1], "psrp", "http", "ntlm", USER, PASSWORD
    )
    outcome = await hand.run(place, "echo hello")
    server.close()

    assert isinstance(outcome, Unreachable)
    assert said in outcome.error


# --- files -----------------------------------------------------------------------------------------------------------


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 200_000):
        yield data[at : at + 200_000]


@pytest.mark.slow
@BOTH
async def test_files_come_and_go_as_they_are(host: Endpoint, hand: Hand, protocol: Any) -> None:
    data = os.urandom(5_000_000)
    async with hand.session(place_of(host, protocol=protocol)).files() as files:
        await files.make_folder("C:\\app", mode=0o755)
        assert await files.write("C:\\app\\.new", pieces(data), mode=0o644) == len(data)
        await files.rename("C:\\app\\.new", "C:\\app\\data [1].bin")
        found = await files.stat("C:\\app\\data [1].bin")
        assert found is not None
        assert (found.kind, found.size, found.name) == ("file", len(data), "data [1].bin")
        assert b"".join([piece async for piece in files.read("C:\\app\\data [1].bin")]) == data
        assert [one.name async for one in files.list("C:\\app")] == ["data [1].bin"]
        await files.remove("C:\\app\\data [1].bin")
        assert await files.stat("C:\\app\\data [1].bin") is None
    assert not host.shells


@BOTH
async def test_a_host_that_says_no_to_a_file(host: Endpoint, hand: Hand, protocol: Any) -> None:
    from runners.connections.files import FileRefused

    async with hand.session(place_of(host, protocol=protocol)).files() as files:
        with pytest.raises(FileRefused, match="FileNotFoundError"):
            await files.write("C:\\nowhere\\file", pieces(b"x"), mode=0o644)
        with pytest.raises(FileRefused, match="line break"):
            await files.stat("C:\\a\nb")
        assert await files.stat("C:\\nothing") is None
