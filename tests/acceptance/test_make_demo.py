"""`make demo`, as somebody types it into a fresh clone: it makes its own environment, and a minute later is green."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.site import STATUS, Daemon, Site, alive, descendants, instant

ROOT = Path(__file__).parents[2]
SET_UP = 400.0
"""Seconds that the environment of a fresh clone may take: packages are downloaded and compiled."""
NOT_HERE = ("MAKE", "MFLAGS", "GIT_", "PYTHON", "VIRTUAL_ENV", "OPSCONDUCTOR_", "PYTEST_")
"""Beginnings of variables that a fresh terminal does not have."""


def made(site: Site, clone: Path) -> Daemon:
    """`make demo` in the clone, under way."""
    out, err = site.root / "out.log", site.root / "err.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HERE)}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            ["make", "demo"],
            cwd=clone, env={**kept, "ACCEPTANCE_SITE": str(site.root)},
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
        )  # fmt: skip
    site.daemons.append(Daemon(process, out, err))
    return site.daemons[-1]


def engine_under(pid: int) -> int | None:
    for child in descendants(pid):
        try:
            words = (Path("/proc") / str(child) / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if b"up" in words and any(word.endswith(b"bin/opsconductor") for word in words):
            return child
    return None


@pytest.mark.slow
def test_make_demo_in_a_fresh_clone_is_green_within_a_minute_of_its_start(bare: Site) -> None:
    clone = bare.root / "fresh"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    make = made(bare, clone)
    bare.own_source = clone / ".demo" / "fleet"
    engine = bare.wait(lambda: engine_under(make.pid), what="the engine's start", timeout=SET_UP)
    family = [engine, *descendants(engine)]

    def green() -> bool:
        ready = [each["status"] for each in bare.sync().get("conditions", ()) if each["type"] == "Ready"]
        return ready == ["True"] and any(run["status"]["state"] == "succeeded" for run in bare.runs())

    bare.wait(green, what="a green status commit", timeout=90)
    told = instant(bare.git("log", "-1", "--format=%cI", STATUS))
    assert (told - instant(bare.sync()["engine"]["since"])).total_seconds() < 60
    family += descendants(engine)
    os.kill(engine, signal.SIGTERM)
    assert make.ended(60) == 0
    assert [pid for pid in family if alive(pid)] == []
    assert bare.sync()["engine"]["closed"]
