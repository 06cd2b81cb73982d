"""`winrm.copy` and `winrm.fetch`: files of a Windows target. What they do is what the steps over SFTP do."""

import re
from dataclasses import replace

from engine.runs.outcome import Failed, Outcome
from runners.connections import Session
from runners.steps import ReadyStep
from runners.steps.download import Download
from runners.steps.paths import checked_windows
from runners.steps.upload import Upload

_OURS = re.compile(r"(?<![^\s'])/([A-Z]:)(?=/|\s|$|:)")


class Copy(Upload):
    """Puts one file. Windows has no modes: a new file has the rights of its folder."""

    path = staticmethod(checked_windows)

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        return _said(await super().run(step, session))


class Fetch(Download):
    """Fetches one file."""

    path = staticmethod(checked_windows)

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        return _said(await super().run(step, session))


def _said(outcome: Outcome) -> Outcome:
    """With paths as people write them there."""
    return replace(outcome, error=_OURS.sub(r"\1", outcome.error)) if isinstance(outcome, Failed) else outcome
