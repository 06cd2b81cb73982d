"""Running nmap: its report is read as it comes, and what cannot be used ends it at once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.runs.outcome import Failed, Outcome
from runners.connections import Exited, Finish, Lost
from runners.connections.program import Program, ProgramSession
from runners.limits import Stream
from runners.nmap.report import BadReport, Host, Report
from runners.nmap.scan import Scan
from runners.steps.script import outcome_of

Progress = Callable[[str, float], None]
"""Told which of nmap's tasks is how far, in percent."""


async def scanned(
    scan: Scan, env: Mapping[str, str], session: ProgramSession, progress: Progress = lambda task, percent: None
) -> list[Host] | Outcome:
    """The hosts that answered, in nmap's order; an outcome where there is no report. Raises NotStarted."""
    hosts: list[Host] = []
    report, broken = Report(hosts.append, progress), asyncio.Event()
    error: BadReport | None = None

    def feed(stream: Stream, data: bytes) -> None:
        nonlocal error
        if stream == "stderr":
            session.capture.feed("stderr", data)
        elif error is None:
            try:
                report.feed(data)
            except BadReport as problem:
                error = problem
                broken.set()

    running = await session.start(Program(scan.argv, dict(env)), feed)
    ending = asyncio.ensure_future(running.finish(session.stop))
    bad = asyncio.ensure_future(broken.wait())
    try:
        await asyncio.wait({ending, bad}, return_when=asyncio.FIRST_COMPLETED)
        finish = ending.result() if ending.done() else None
    finally:
        for work in (ending, bad):
            work.cancel()
        await asyncio.wait({ending, bad})
        running.close()
    if finish is not None and (not isinstance(finish, Exited) or finish.code != 0):
        return _without_report(finish, session)
    try:
        if error is not None:
            raise error
        report.close()
    except BadReport as problem:
        return Failed(f"what nmap reported cannot be used: {problem}", session.capture.output())
    return hosts


def _without_report(finish: Finish, session: ProgramSession) -> Outcome:
    outcome = outcome_of(finish, session.capture.output(), session.stop)
    if isinstance(finish, Lost):
        return outcome
    last = session.capture.output().stderr.strip().rpartition("\n")[2]
    return replace(outcome, error=f"nmap: {last[:500]}") if isinstance(outcome, Failed) and last else outcome
