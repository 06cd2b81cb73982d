"""Showing what the steps of a run printed, from wherever it can be had."""

import time
from pathlib import Path
from typing import Any

import typer

from engine.states import RunState, is_final
from opsconductor import exits
from opsconductor.settings import StateFolder
from opsconductor.terminal import chatter, printable
from opsconductor.workspace import Workspace

_PAUSE_SECONDS = 0.3
_CHUNK = 1 << 16


class Reader:
    """Prints the log files of one run, each line with its target and step where there are several."""

    def __init__(self, workspace: Workspace, state: StateFolder, *, target: str | None, step: str | None) -> None:
        self._workspace = workspace
        self._logs = state.logs
        self._target = target
        self._step = step
        self._read: dict[Path, int] = {}
        self._last: Path | None = None
        self._open_line = False

    def show(self, run: str, *, follow: bool) -> int:
        """0 when the run was found. With `follow` it goes on until the run has ended, then 1 if it did not succeed."""
        found = self._find(run)
        if found is None:
            chatter(f"no run {run!r} found; see 'opsconductor get runs'")
            return exits.FINDINGS
        name = found["metadata"]["name"]
        while True:
            ended = is_final(RunState(found["status"]["state"]))
            printed = self._print_new(name)
            if ended or not follow:
                break
            time.sleep(_PAUSE_SECONDS)
            found = self._find(name) or found
        self.end()
        if not printed and not self._read:
            self._tails(found)
        return exits.OK if not follow or found["status"]["state"] == RunState.SUCCEEDED else exits.FINDINGS

    def _find(self, run: str) -> dict[str, Any] | None:
        status = self._workspace.status()
        return status.run(run) if status else None

    def _print_new(self, run: str) -> bool:
        """What was added since the last look."""
        any_new = False
        for file in sorted(self._logs.glob(f"*/*/*/{run}/*/*.log"), key=_begun):
            phase, step, _ = file.name.split(".", 2)
            if (self._target and file.parent.name != self._target) or (self._step and step != self._step):
                continue
            any_new |= self._print_file(
                file, f"{file.parent.name} {step}" if phase == "steps" else f"{file.parent.name} {phase}/{step}"
            )
        return any_new

    def _print_file(self, file: Path, title: str) -> bool:
        with file.open("rb") as stream:
            stream.seek(self._read.get(file, 0))
            any_new = False
            while chunk := stream.read(_CHUNK):
                if self._last != file:
                    self._head(title)
                    self._last = file
                typer.echo(_safe(chunk), nl=False)
                self._open_line = not chunk.endswith(b"\n")
                any_new = True
            self._read[file] = stream.tell()
        return any_new

    def end(self) -> None:
        """End a line that a step left open."""
        if self._open_line:
            typer.echo()
            self._open_line = False

    def _head(self, title: str) -> None:
        self.end()
        typer.echo(f"── {title}", err=True)

    def _tails(self, run: dict[str, Any]) -> None:
        """The run's logs are elsewhere: show what the status branch has, and say so."""
        chatter(f"the logs of this run are not on this machine (looked in {self._logs}); its recorded tails:")
        places = run["status"].get("targets") or {"": run["status"]}
        for target, status in places.items():
            for step in status.get("steps") or []:
                if (self._target and target != self._target) or (self._step and step["id"] != self._step):
                    continue
                chatter(f"── {target} {step['id']}: {step['state']}{_with(step.get('error'))}")
                for tail in (step.get("stdoutTail"), step.get("stderrTail")):
                    if tail:
                        typer.echo(_safe(str(tail).encode()), nl=not str(tail).endswith("\n"))


def _begun(file: Path) -> tuple[str, float]:
    """By target, and on each in the order in which the steps began to print."""
    stat = file.stat()
    return (file.parent.name, getattr(stat, "st_birthtime", stat.st_mtime))


def _with(error: str | None) -> str:
    return f" ({error})" if error else ""


def _safe(data: bytes) -> str:
    """Text for a terminal: output of targets must not move the cursor or rename the window."""
    return printable(data.decode("utf-8", "replace"))
