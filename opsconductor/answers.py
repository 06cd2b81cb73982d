"""What each target of a run printed, side by side: what `exec --wait` shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from engine.runs.pinned import RUNNER
from opsconductor.terminal import chatter, printable

MOST_IN_DATA = 1 << 20
"""Bytes of one target's output that `-o json` gives; text is shown whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a one-step run on one target. `log` is its whole output where this machine has it."""

    target: str
    state: str
    exit_code: int | None
    error: str | None
    tail: str
    log: Path | None
    elsewhere: bool
    """It printed something that this machine does not have."""

    def lines(self) -> Iterator[str]:
        """The output line by line, without line ends and with nothing that moves a cursor."""
        if self.log is None:
            yield from map(printable, self.tail.splitlines())
            return
        with self.log.open("rb") as file:
            for line in file:
                yield printable(line.decode("utf-8", "replace").rstrip("\r\n"))

    def as_data(self) -> dict[str, Any]:
        if self.log is None:
            output, whole = self.tail, not self.elsewhere
        else:
            with self.log.open("rb") as file:
                output = file.read(MOST_IN_DATA).decode("utf-8", "replace")
            whole = self.log.stat().st_size <= MOST_IN_DATA
        return {
            "target": self.target,
            "state": self.state,
            "exitCode": self.exit_code,
            "error": self.error,
            "output": output,
            "complete": whole,
        }


def answers(run: dict[str, Any], logs: Path) -> tuple[Answer, ...]:
    """Of every target, by name; from the folder of logs, else what the Run file says."""
    places = run["status"].get("targets") or {RUNNER: run["status"]}
    return tuple(_answer(target, status, logs) for target, status in sorted(places.items()))


def _answer(target: str, status: dict[str, Any], logs: Path) -> Answer:
    step: dict[str, Any] = (status.get("steps") or [{}])[-1]
    named = step.get("log")
    log = _inside(logs, str(named)) if named else None
    return Answer(
        target=target,
        state=str(step.get("state") or status.get("state")),
        exit_code=step.get("exitCode"),
        error=step.get("error"),
        tail="".join(_ended(step.get(key) or "") for key in ("stdoutTail", "stderrTail")),
        log=log,
        elsewhere=bool(named) and log is None,
    )


def _inside(logs: Path, named: str) -> Path | None:
    """The file that a reference names. Whoever may push could have written the reference: it must not lead out."""
    file = (logs / named).resolve()
    return file if file.is_relative_to(logs.resolve()) and file.is_file() else None


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def show_answers(found: tuple[Answer, ...]) -> None:
    """`TARGET | line` on stdout, target after target; on stderr how those ended that did not succeed."""
    for answer in found:
        silent = True
        for line in answer.lines():
            typer.echo(f"{answer.target} | {line}")
            silent = False
        if answer.state != "succeeded":
            chatter(f"{answer.target}: {answer.state}{f': {answer.error}' if answer.error else ''}")
        elif silent and not answer.elsewhere:
            chatter(f"{answer.target}: succeeded, and printed nothing")
    if any(answer.elsewhere for answer in found):
        chatter("what they printed is on the engine's machine; --state names its state folder, if it is this one")
