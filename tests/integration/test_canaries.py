"""A secret that turns up wherever a step type lets text turn up, and is in nothing that is written.

The table names every step type, and of each how it ends: well, badly, out of time, and by an exception. The value comes
in by ways that nobody marked as secret, too: put together by an expression it is masked for what it is.
"""

import asyncio
import base64
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from engine.runs.pinned import PlannedStep, Script, Use
from engine.runs.scanplan import READ, SCAN
from engine.states import StepState
from runners.mcp.tool import Tool
from runners.steps import DOOR
from runners.steps.dummy import Dummy
from schemas.credential import CredentialSpec
from tests import mcpserver
from tests.httpserver import HttpServer, serving
from tests.running import Bench, bench, here

__all__ = ["bench"]

CANARY = "Kanarie+4711/geel=Zang"
HALF = len(CANARY) // 2
SAID = f'${{{{ "{CANARY[:HALF]}" + "{CANARY[HALF:]}" }}}}'
"""The same text by an expression, so that the plan does not hold it."""
SECRET = "${{ secrets.bird.token }}"
OPENED = {"bird": CredentialSpec.model_validate({"type": "token", "from": {"file": "bird"}})}
FORMS = {
    "itself": CANARY,
    "base64": base64.b64encode(CANARY.encode()).decode().rstrip("="),
    "URL": quote(CANARY, safe=""),
    "hex": CANARY.encode().hex(),
    "UTF-16": CANARY.encode("utf-16-le").decode("latin-1"),
}
SHOWN = {"itself": f"{CANARY[:HALF]}-shown-by-{os.getpid()}"}
"""What is put in a command line on purpose; another text, for tests beside this one look at all of the host."""
_PRINTS = (
    'printf "%s\\n" "$S"; printf %s "$S" | base64; printf %s "$S" | od -An -tx1 | tr -d " \\n"; echo "$S" >&2; cat;'
    ' echo "$S" | cut -c1-9 | tr -d "\\n"; sleep 0.1; echo "$S" | cut -c10-'
)

Inputs = Mapping[str, Any]
ENDS = ("succeeded", "failed", "timedOut")
SCRIPTS: Mapping[str, str] = {
    "succeeded": _PRINTS,
    "failed": f"{_PRINTS}; exit 3",
    "timedOut": f"{_PRINTS}; exec sleep 60",
}
PLAIN = Tool("work", {"type": "object"}).digest
_REMOTE = "C:\\there\\x"
BY_TYPE: Mapping[str, Mapping[str, Inputs]] = {
    "assert": {"succeeded": {"that": True, "message": SAID}, "failed": {"that": False, "message": f"no: {SAID}"}},
    "dummy": {
        "succeeded": {"stdout": SAID, "stderr": SAID},
        "failed": {"stdout": SAID, "stderr": SAID, "exit": 3},
        "timedOut": {"stdout": SAID, "stderr": SAID, "sleep": "1h"},
    },
    "http.request": {
        "succeeded": {"url": f"URL/x?q={SAID}", "method": "POST", "body": SECRET, "credentialRef": "bird"},
        "failed": {"url": "URL/x", "headers": {"X-A": SAID}, "okStatus": [201], "method": "POST", "body": SECRET},
        "timedOut": {"url": f"URL/hang/{SAID}", "credentialRef": "bird"},
    },
    "webhook.call": {
        "succeeded": {"url": f"URL/x?q={SAID}", "json": {"a": SAID}, "credentialRef": "bird"},
        "failed": {"url": "URL/status/500", "headers": {"X-A": SAID}, "json": {"a": SAID}, "credentialRef": "bird"},
        "timedOut": {"url": f"URL/hang/{SAID}", "json": {"a": SAID}},
    },
    "mcp.call": {
        "succeeded": {"command": [mcpserver.__file__, "secret"], "tool": "work", "arguments": {}},
        "failed": {"command": ["/bin/sh", "-c", 'echo "$S"; echo "$S" >&2'], "tool": "work"},
        "timedOut": {"command": ["/bin/sh", "-c", 'echo "$S" >&2; sleep 60'], "tool": "work"},
    },
    "nmap.scan": {"failed": {"hosts": [SAID], "ports": [9]}},
    "notify": {
        "succeeded": {"channel": "good", "text": SAID, "subject": SAID},
        "failed": {"channel": "bad", "text": SAID, "subject": SAID},
        "timedOut": {"channel": "slow", "text": SAID},
    },
    "wait.until": {
        "failed": {"tcp": f"{SAID}:x"},
        "timedOut": {"url": f"URL/x?q={SAID}", "okStatus": [201], "interval": "1s"},
    },
    "template": {
        "succeeded": {"source": "t.j2", "destination": "HOST/t", "vars": {"a": SAID}},
        "failed": {"source": "t.j2", "destination": f"HOST/{SAID}/none/t", "vars": {"a": SAID}},
    },
    "sftp.upload": {
        "succeeded": {"content": SECRET, "destination": "HOST/u"},
        "failed": {"content": SECRET, "destination": f"HOST/none/{SAID}"},
    },
    "sftp.download": {
        "succeeded": {"source": "HOST/effects/bird"},
        "failed": {"source": f"HOST/{SAID}"},
    },
    "sftp.sync": {
        "succeeded": {"source": "tree", "destination": "HOST/tree"},
        "failed": {"source": SAID, "destination": "/"},
    },
    "winrm.copy": {"failed": {"content": SECRET, "destination": f"{_REMOTE}/{SAID}"}},
    "winrm.fetch": {"failed": {"source": f"{_REMOTE}/{SAID}"}},
    "script": {end: {"run": text} for end, text in SCRIPTS.items()},
}
"""Inputs by step type and end. Where an end is not named the type has none, or its other ways are tested elsewhere."""
CASES = [(kind, end) for kind, ends in BY_TYPE.items() for end in ends]


def test_every_step_type_is_in_the_table() -> None:
    # the steps of a Discovery's runs: tests/integration/test_inventory_steps.py has canaries of its own
    assert DOOR.built_in == set(BY_TYPE) | {READ, SCAN}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    match value:
        case str():
            for name, place in places.items():
                value = value.replace(name, place)
            return value
        case dict():
            return {key: _filled(one, places) for key, one in value.items()}
        case list():
            return [_filled(one, places) for one in value]
        case _:
            return value


def _step(kind: str, end: str, places: Mapping[str, str]) -> PlannedStep:
    given = dict(_filled(BY_TYPE[kind][end], places))
    limit = timedelta(seconds=1) if end == "timedOut" else timedelta(seconds=60)
    if kind == "script":
        return PlannedStep(
            "only",
            "steps",
            Script("sh", given["run"]),
            env={"S": SECRET},
            stdin=SECRET,
            timeout=limit,
            keeps_output=True,
        )
    if kind == "mcp.call":
        given["digest"] = PLAIN if end == "succeeded" else f"sha256:{'0' * 64}"
        if end == "succeeded":
            given["command"] = [sys.executable, *given["command"]]
    env = {"S": SECRET, "TOKEN": SECRET} if kind in ("mcp.call", "nmap.scan") else {}
    return PlannedStep("only", "steps", Use(kind, given), env=env, timeout=limit, keeps_output=True)


@pytest.mark.parametrize(("kind", "end"), CASES, ids=[f"{kind}-{end}" for kind, end in CASES])
async def test_no_step_type_writes_a_secret_however_it_ends(
    bench: Bench, server: HttpServer, capfd: pytest.CaptureFixture[str], kind: str, end: str
) -> None:
    (bench.secrets / "bird").write_text(CANARY)
    (bench.files / "t.j2").write_text("a = {{ a }}\n")
    (bench.files / "tree").mkdir()
    (bench.files / "tree" / "x").write_text("x")
    effects = bench.folder / "effects"
    effects.mkdir()
    (effects / "bird").write_text(f"the file holds {CANARY}\n")
    places = {"URL": server.url, "HOST": str(bench.folder)}
    channels = {
        name: {"type": "webhook", "url": f"{server.url}/{path}", "credentialRef": "bird"}
        for name, path in (("good", "x"), ("bad", "status/500"), ("slow", "hang"))
    }
    with sampled() as seen:
        ran = await bench.execute(
            _step(kind, end, places), targets=(here("local"),), credentials=OPENED, channels=channels
        )
    found = ran.steps("local")["only"]
    assert found.state.value in ((end,) if end != "timedOut" else ("timedOut", "unknown")), found
    assert found.state is not StepState.UNREACHABLE
    await bench.close()
    assert seen == [], "in a command line"
    told = capfd.readouterr()
    assert leaks({"the engine's own log": (told.out + told.err).encode(), **_written(bench)}) == []
    if kind in ("script", "dummy", "mcp.call") or (kind, end) == ("http.request", "succeeded"):
        assert any(b"***" in data for data in _written(bench).values()), "it was there, and was masked"
    assert leaks({"the run as pages show it": repr(ran.view).encode()}) == []


async def test_an_exception_of_a_step_type_is_told_without_the_secret(
    bench: Bench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: Dummy, step: Any, session: Any) -> Any:
        try:
            raise KeyError(step.inputs["stdout"])
        except KeyError as error:
            raise RuntimeError(f"cannot go on with {base64.b64encode(step.inputs['stdout'].encode())!r}") from error

    monkeypatch.setattr(Dummy, "run", fails)
    (bench.secrets / "bird").write_text(CANARY)
    ran = await bench.execute(PlannedStep("only", "steps", Use("dummy", {"stdout": SAID})), credentials=OPENED)
    assert ran.steps()["only"].error == "an error in the step type: RuntimeError"
    await bench.close()
    told = capfd.readouterr()
    assert "cannot go on with" in told.out + told.err
    assert leaks({"the engine's own log": (told.out + told.err).encode(), **_written(bench)}) == []


async def test_a_bug_in_the_runner_is_told_without_the_secret(
    bench: Bench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners.walk import Walk

    def fails(*_: Any) -> Any:
        raise RuntimeError(f"a bug that quotes {CANARY}")

    monkeypatch.setattr(Walk, "outputs", fails)
    (bench.secrets / "bird").write_text(CANARY)
    await bench.execute(PlannedStep("only", "steps", Use("dummy", {})), credentials=OPENED)
    await bench.close()
    told = capfd.readouterr()
    assert "a bug that quotes ***" in told.out + told.err
    assert leaks({"the engine's own log": (told.out + told.err).encode(), **_written(bench)}) == []


def _written(bench: Bench) -> dict[str, bytes]:
    """All that the runner has written: the journal and the logs."""
    logs = (path for path in bench.logs.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in (*bench.folder.glob("journal*"), *logs)}


def leaks(texts: Mapping[str, bytes], forms: Mapping[str, str] = FORMS) -> list[str]:
    """Where a form of the canary stands."""
    return [
        f"{where}: {name}"
        for where, data in texts.items()
        for name, form in {**forms, "JSON": json.dumps(forms["itself"])[1:-1]}.items()
        if form.encode("latin-1") in data
    ]


@contextmanager
def sampled(forms: Mapping[str, str] = FORMS) -> Iterator[list[str]]:
    """The command lines in which the canary was seen, of all processes of this host, as any other user sees them."""
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        line = Path("/proc", entry, "cmdline").read_bytes()
                    except OSError:
                        continue
                    seen.extend(leaks({entry: line}, forms))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


_ANOTHER_USER = 65534
_WATCH = """
echo ready
while :; do
    grep -l -a -F -f "$1" /proc/[0-9]*/cmdline 2>&-
    test "$2" = 0 || grep -l -a -F -f "$1" /proc/[0-9]*/environ 2>&-
done
"""


@asynccontextmanager
async def watched(looked_for: Mapping[str, str] = FORMS) -> AsyncIterator[list[str]]:
    """What another user of this host sees of the canary: in command lines, and in environments that it may read.

    Only root can be another user: whoever else runs the tests looks at command lines as itself, which shows as much.
    """
    root = os.geteuid() == 0
    as_another: dict[str, Any] = {"user": _ANOTHER_USER, "group": _ANOTHER_USER, "extra_groups": []} if root else {}
    seen: list[str] = []
    with tempfile.NamedTemporaryFile(dir="/tmp") as forms:
        forms.write("\n".join(form for name, form in looked_for.items() if name != "UTF-16").encode())
        forms.flush()
        os.chmod(forms.name, 0o644)
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _WATCH, "watch", forms.name, str(int(root)),
            stdout=asyncio.subprocess.PIPE, cwd="/", start_new_session=True, **as_another,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            assert await process.stdout.readline() == b"ready\n"
            yield seen
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            seen += (await process.stdout.read()).decode().splitlines()
            await process.wait()


@pytest.mark.parametrize("kind", ["script", "mcp.call", "http.request", "sftp.upload"])
async def test_another_user_of_the_host_sees_no_secret(bench: Bench, server: HttpServer, kind: str) -> None:
    (bench.secrets / "bird").write_text(CANARY)
    step = _step(kind, "succeeded", {"URL": server.url, "HOST": str(bench.folder)})
    async with watched() as seen:
        ran = await bench.execute(step, targets=(here("local"),), credentials=OPENED)
    assert ran.steps("local")["only"].state is StepState.SUCCEEDED
    assert seen == []


async def test_another_user_would_see_a_command_line() -> None:
    async with watched(SHOWN) as seen:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "read x", SHOWN["itself"], stdin=asyncio.subprocess.PIPE
        )
        await asyncio.sleep(0.5)
        process.kill()
        await process.wait()
    assert f"/proc/{process.pid}/cmdline" in seen


async def test_the_sampling_sees_a_command_line() -> None:
    with sampled(SHOWN) as seen:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "read x", SHOWN["itself"], stdin=asyncio.subprocess.PIPE
        )
        while not seen:
            await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
    assert "itself" in seen[0]
