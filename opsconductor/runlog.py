"""Showing what the steps of a run printed, from wherever it can be had."""

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from engine.identity import RunId
from engine.runs.pinned import RUNNER
from engine.states import RunState, is_final
from journal.errors import Refused, Unavailable
from opsconductor import exits
from opsconductor.rehearsed import is_dry, lines
from opsconductor.service.dashboardlogs import DashboardLogs
from opsconductor.settings import StateFolder
from opsconductor.terminal import chatter, printable
from opsconductor.workspace import Workspace
from runners.logs import FETCHED
from runners.logstore import LogStore

_PAUSE_SECONDS = 0.3
_ASKED_SECONDS = 1.0
_CHUNK = 1 << 16


class Reader:
    """Prints the log files of one run: each below its heading, or line by line as `TARGET STEP | line` where those of
    several targets come at once."""

    def __init__(
        self,
        workspace: Workspace,
        state: StateFolder,
        *,
        target: str | None,
        step: str | None,
        url: str | None = None,
        dashboard: DashboardLogs | None = None,
    ) -> None:
        self._workspace = workspace
        self._logs = state.logs
        self._url = url
        self._dashboard = dashboard
        self._asked_at = -math.inf
        self._folder: TemporaryDirectory[str] | None = None
        self._target = target
        self._step = step
        self._read: dict[Path, int] = {}
        self._last: Path | None = None
        self._open_line = False
        self._interleaved = False
        self._unended: dict[Path, bytes] = {}
        self._places: dict[Path, tuple[str, str]] = {}
        """The target of each, and its title."""

    def show(self, run: str, *, follow: bool) -> int:
        """0 when the run was found. With `follow` it goes on until the run has ended, then 1 if it did not succeed."""
        found = self._find(run)
        if found is None:
            chatter(f"no run {run!r} found; see 'opsconductor get runs'")
            return exits.FINDINGS
        if (missing := self._missing(found)) is not None:
            chatter(missing)
            return exits.FINDINGS
        if is_dry(found):
            typer.echo(printable("\n".join(lines(found, self._target, self._step))))
            return exits.OK
        if follow:
            self._interleaved = self._target is None and len(found["spec"].get("targets") or []) > 1
            found = self._follow(found)
        self._fetch(found["metadata"]["name"])
        self._print_new(found["metadata"]["name"])
        self.end()
        if follow:
            chatter(_standing(found))
        if not self._read and not self._explain_silence(found):
            return exits.FINDINGS
        return exits.OK if not follow or found["status"]["state"] == RunState.SUCCEEDED else exits.FINDINGS

    def _follow(self, found: dict[str, Any]) -> dict[str, Any]:
        """Print what comes until the run has ended: its last Run file."""
        name = found["metadata"]["name"]
        shown, look_again = "", 0.0
        while not is_final(RunState(found["status"]["state"])):
            if (standing := _standing(found)) != shown:
                chatter(standing)
                shown = standing
            self._follow_elsewhere(name)
            self._print_new(name)
            time.sleep(_PAUSE_SECONDS)
            if time.monotonic() >= look_again:
                look_again = time.monotonic() + self._workspace.pause.total_seconds()
                found = self._seen(name) or found
        return found

    def _fetch(self, run: str) -> None:
        """Where this machine has none: from where logs are kept, else from the dashboard, as far as they are known.

        They are laid into a folder that goes with this reader.
        """
        if self._is_here(run):
            return
        for ask in (self._from_store, self._from_dashboard):
            try:
                if ask(run):
                    return
            except (Unavailable, Refused) as error:
                chatter(error.message)

    def _follow_elsewhere(self, run: str) -> None:
        """While it goes on, only the dashboard has what this machine has not. One that is away is asked again."""
        if time.monotonic() - self._asked_at < _ASKED_SECONDS or self._is_here(run):
            return
        self._asked_at = time.monotonic()
        with contextlib.suppress(Unavailable):
            self._from_dashboard(run)

    def _is_here(self, run: str) -> bool:
        elsewhere = self._folder is not None and self._logs == Path(self._folder.name)
        return not elsewhere and any(log_files(self._logs, run))

    def _from_store(self, run: str) -> bool:
        if self._url is None:
            return False
        store = LogStore.open(self._url, os.environ)
        return self._laid(lambda folder: asyncio.run(store.fetch_run(RunId(run), folder)))

    def _from_dashboard(self, run: str) -> bool:
        dashboard = self._dashboard
        return dashboard is not None and self._laid(lambda folder: dashboard.bring(run, folder))

    def _laid(self, bring: Callable[[Path], bool]) -> bool:
        """Whether there was something to lay into the folder."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="opsconductor-logs-")
        folder = Path(self._folder.name)
        if found := bring(folder):
            self._logs = folder
        return found

    def _find(self, run: str) -> dict[str, Any] | None:
        status = self._workspace.status()
        return status.run(run) if status else None

    def _seen(self, run: str) -> dict[str, Any] | None:
        """A remote that is away for a moment is no reason to stop following."""
        try:
            return self._find(run)
        except Unavailable:
            return None

    def _missing(self, run: dict[str, Any]) -> str | None:
        """What is said where the run has no such target."""
        targets = run["spec"].get("targets") or [RUNNER]
        if self._target is None or self._target in targets:
            return None
        return f"{run['metadata']['name']} has no target {self._target!r}; it has {', '.join(targets)}"

    def _print_new(self, run: str) -> None:
        """What was added since the last look."""
        for target, name, file in sorted(log_files(self._logs, run), key=begun):
            phase, _, rest = name.removesuffix(".log").partition(".")
            step = rest.rpartition(".")[0]  # the attempt comes last; a step of a library has dots of its own
            if not self._wanted(target, step):
                continue
            where = "" if target == RUNNER else f"{target} "
            title = f"{where}{step}" if phase == "steps" else f"{where}{phase}/{step}"
            self._places[file] = (target, title)
            self._print_file(file, title)

    def _print_file(self, file: Path, title: str) -> None:
        with file.open("rb") as stream:
            stream.seek(self._read.get(file, 0))
            while chunk := stream.read(_CHUNK):
                if self._interleaved:
                    self._print_lines(file, chunk)
                    continue
                if self._last != file:
                    self._head(title)
                    self._last = file
                typer.echo(_safe(chunk), nl=False)
                self._open_line = not chunk.endswith(b"\n")
            self._read[file] = stream.tell()

    def _print_lines(self, file: Path, chunk: bytes) -> None:
        """Whole lines alone, as those of several targets come at once; what is begun waits for its end."""
        target, title = self._places[file]
        for other in [one for one in self._unended if one != file and self._places[one][0] == target]:
            self._end_line(other)  # the target has gone on to its next step
        *lines, begun = (self._unended.pop(file, b"") + chunk).split(b"\n")
        if len(begun) > _CHUNK:
            lines, begun = [*lines, begun], b""
        for line in lines:
            typer.echo(f"{title} | {_safe(line)}")
        if begun:
            self._unended[file] = begun

    def _end_line(self, file: Path) -> None:
        typer.echo(f"{self._places[file][1]} | {_safe(self._unended.pop(file))}")

    def end(self) -> None:
        """End a line that a step left open."""
        for file in [*self._unended]:
            self._end_line(file)
        if self._open_line:
            typer.echo()
            self._open_line = False

    def _head(self, title: str) -> None:
        self.end()
        typer.echo(f"── {title}", err=True)

    def _explain_silence(self, run: dict[str, Any]) -> bool:
        """Why no log was printed. False: it exists and cannot be shown, not even its end, or there is no such step."""
        ended = is_final(RunState(run["status"]["state"]))
        if run["status"].get("startedAt") is None:
            chatter(_standing(run) + ("; it never started" if ended else "; it has not started yet"))
            return True
        steps = [(target, step) for target, step in _steps(run) if self._wanted(target, step["id"])]
        if not steps and self._step and ended:
            known = dict.fromkeys(step["id"] for _, step in _steps(run))
            chatter(f"{run['metadata']['name']} has no step {self._step!r}; it has {', '.join(known)}")
            return False
        if not any(step.get("log") for _, step in steps):
            chatter(f"{_standing(run)}; nothing was printed")
        else:
            others = [self._url, None if self._dashboard is None else self._dashboard.url]
            also = "".join(f", nor at {url}" for url in others if url is not None)
            chatter(
                f"the logs of this run are not in {self._logs}{also}; --state names the engine's state folder, if it"
            )
            chatter("is on this machine, --logs where it keeps logs besides, and --url its dashboard. The status")
            chatter("branch has the end of what failed, and no more")
        for target, step in steps:
            if step.get("error") or step.get("stdoutTail") or step.get("stderrTail"):
                _show_tails(target, step)
        printed = any(step.get("stdoutTail") or step.get("stderrTail") for _, step in steps)
        return printed or not any(step.get("log") for _, step in steps)

    def _wanted(self, target: str, step: str) -> bool:
        return self._target in (None, target) and (self._step is None or _is_of(step, self._step))


def log_files(logs: Path, run: str) -> Iterator[tuple[str, str, Path]]:
    """Every log of a run with its target, and its name there; a step of a rescue lies in a folder of the step's own.

    What the run has fetched from its targets lies beside them and is none, whatever it is called.
    """
    return named_logs((file for folder in logs.glob(f"*/*/*/{run}") for file in folder.glob("*/**/*.log")), logs)


def named_logs(files: Iterable[Path], logs: Path) -> Iterator[tuple[str, str, Path]]:
    """The same of files that are known; none of them is looked at."""
    for file in files:
        target, *name = file.relative_to(logs).parts[4:]  # after year, month, day and run
        if name and name[0] != FETCHED:
            yield target, "/".join(name), file


def _is_of(step: str, wanted: str) -> bool:
    """A step is also what it consists of: its rounds, the steps of its library and those that rescue it."""
    return step == wanted or step.startswith(tuple(f"{wanted}{begin}" for begin in "./["))


def _steps(run: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is known of the steps of a run, each with its target."""
    for target, status in (run["status"].get("targets") or {RUNNER: run["status"]}).items():
        for step in status.get("steps") or []:
            yield target, step


def _show_tails(target: str, step: dict[str, Any]) -> None:
    where = "" if target == RUNNER else f"{target} "
    chatter(f"── {where}{step['id']}: {step['state']}{_with(step.get('error'))}")
    for tail in (step.get("stdoutTail"), step.get("stderrTail")):
        if tail:
            typer.echo(_safe(str(tail).encode()), nl=not str(tail).endswith("\n"))


def _standing(run: dict[str, Any]) -> str:
    status = run["status"]
    return f"{run['metadata']['name']}: {status['state']}{_with(status.get('reason'))}"


def begun(log: tuple[str, str, Path]) -> tuple[str, float, str]:
    """By target, and on each in the order in which the steps began to print; by name where a clock cannot tell."""
    target, name, file = log
    stat = file.stat()
    return (target, getattr(stat, "st_birthtime", stat.st_mtime), name)


def _with(error: str | None) -> str:
    return f" ({error})" if error else ""


def _safe(data: bytes) -> str:
    """Text for a terminal: output of targets must not move the cursor or rename the window."""
    return printable(data.decode("utf-8", "replace"))
