"""`target test`: what a runner on this machine could log in to, tried from here."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from engine.runs.trials import Trials
from runners.connections import Limits
from runners.connections.local import Guardian, LocalHost, LocalSettings
from runners.connections.ways import Settings, Ways
from runners.repository import Read
from runners.secrets import Secrets
from runners.trying import Tried, tried

MANY = 20
"""Connections from which who reads a log is told how far the tests are."""


def try_all(
    wanted: Trials, secrets: Secrets, read: Read, *, restricted: bool, told: Callable[[Tried], None]
) -> tuple[Tried, ...]:
    """Try every connection, each told as it ends."""
    return asyncio.run(_try_all(wanted, secrets, read, restricted, told))


async def _try_all(
    wanted: Trials, secrets: Secrets, read: Read, restricted: bool, told: Callable[[Tried], None]
) -> tuple[Tried, ...]:
    # a lock of its own: that of the state folder is held by the engine, which may be at work
    with tempfile.TemporaryDirectory(prefix="opsconductor-") as folder:
        guardian = Guardian(Path(folder) / "lock")
        ways = Ways(Settings(Limits(), LocalHost(LocalSettings(restricted=restricted), guardian)))
        try:
            return await tried(wanted, ways, secrets, read, told=told)
        finally:
            await ways.close()
            await guardian.close()


class Progress:
    """Says how far the tests are: of each one as it ends on a terminal, else of every tenth part of many."""

    def __init__(self, total: int, say: Callable[[str], None], *, live: bool) -> None:
        self._total, self._say, self._live, self._done = total, say, live, 0

    def __call__(self, one: Tried) -> None:
        before, self._done = self._done, self._done + 1
        if self._live:
            said = "ok" if one.good else f"failed: {one.said}"
            self._say(f"[{self._done}/{self._total}] {one.target} {one.connection} {said}")
        elif self._total >= MANY and before * 10 // self._total != self._done * 10 // self._total:
            self._say(f"{self._done} of {self._total} connections tried")


def as_data(results: Sequence[Tried]) -> dict[str, Any]:
    """The results as plain data."""
    return {
        "tests": [
            {
                "target": one.target,
                "connection": one.connection,
                "ok": one.good,
                "message": one.said,
                "seconds": one.seconds,
            }
            for one in results
        ]
    }


def as_junit(results: Sequence[Tried]) -> str:
    """A suite for each target, a case for each connection."""
    failed = sum(not one.good for one in results)
    counts = {"tests": str(len(results)), "failures": str(failed)}
    root = Xml.Element("testsuites", {"name": "opsconductor target test", **counts})
    for name in dict.fromkeys(one.target for one in results):
        cases = [one for one in results if one.target == name]
        bad = sum(not one.good for one in cases)
        suite = Xml.SubElement(root, "testsuite", {"name": name, "tests": str(len(cases)), "failures": str(bad)})
        for one in cases:
            facts = {"name": one.connection, "classname": name, "time": f"{one.seconds:.3f}"}
            case = Xml.SubElement(suite, "testcase", facts)
            if one.good:
                Xml.SubElement(case, "system-out").text = _clean(one.said)
            else:
                Xml.SubElement(case, "failure", {"message": _clean(one.said)}).text = _clean(one.said)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _clean(text: str) -> str:
    """What a server says may hold characters that no XML may."""
    return "".join(char if char.isprintable() else " " for char in text)
