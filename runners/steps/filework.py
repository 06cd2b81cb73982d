"""What steps with files have in common: their inputs, the order to end, and what an interrupted one means."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.runs.outcome import Failed, Outcome, Succeeded, Unknown, Unreachable
from engine.runs.pinned import Use
from engine.userschema import faults_of
from runners.connections import Session, Unreached, Unusable
from runners.connections.files import FileRefused, Files, FileSession
from runners.repository import NoFile
from runners.steps import Around, ReadyStep
from runners.steps.exchange import heeding
from runners.steps.paths import BadPath
from runners.steps.placing import Progress, Wanted
from runners.steps.script import ended_by, ended_unsent
from schemas.paths import is_inside
from schemas.steps import STEP_TYPES

Values = dict[str, Any]


class Unfit(Exception):  # noqa: N818 - named after the inputs
    """The step cannot be done as it is written; nothing was changed."""


def inputs_of(step: ReadyStep) -> tuple[Mapping[str, Any], Around]:
    """The inputs, null taken for left out. Raises Unfit where they are not what the step type takes."""
    action = step.planned.action
    if step.around is None or not isinstance(action, Use):
        raise Unfit("it was planned for something else than a step type")
    known = STEP_TYPES[action.type]
    inputs = {name: value for name, value in step.inputs.items() if value is not None}
    for name in sorted(known.required - inputs.keys()):
        raise Unfit(f"'{name}' is null; it is required")
    for group in known.one_of:
        if len(inputs.keys() & set(group)) != 1:
            raise Unfit(f"exactly one of {' and '.join(group)} is needed")
    for name, value in inputs.items():
        for path, message in faults_of(known.inputs[name], value):
            raise Unfit(f"'{name}'{''.join(f'[{part!r}]' for part in path)}: {message}")
    return inputs, step.around


def mode_of(text: str | None) -> int | None:
    return None if text is None else int(text, 8)


def wanted_of(content: bytes, inputs: Mapping[str, Any]) -> Wanted:
    """How one file is to be, by the inputs that all steps which put one have."""
    return Wanted(
        content,
        mode_of(inputs.get("mode")),
        inputs.get("owner"),
        inputs.get("group"),
        create_folders=inputs.get("createFolders", False),
        backup=inputs.get("backup", False),
    )


async def file_of(around: Around, path: str) -> bytes:
    """A file of the repository at the run's commit. Raises Unfit and NoFile."""
    if not is_inside(path):
        raise Unfit(f"'source': '{path[:200]}' is no path within the repository")
    return await asyncio.to_thread(around.files.read, path)


async def done(session: Session, work: Callable[[Files, Progress], Awaitable[Values]]) -> Outcome:
    """Do the work with the files of the session's place, until the order to end. What it gives are the outputs."""
    if not isinstance(session, FileSession):
        return Failed("its place has no files that can be reached", ran=False)
    progress = Progress()

    async def whole() -> Values:
        async with session.files() as files:
            return await work(files, progress)

    task = asyncio.ensure_future(whole())
    ended = await heeding(session.stop, task)
    session.capture.close()
    output = session.capture.output()
    if not ended:
        if progress.renaming or progress.open:
            return Unknown(_open(session.stop.message, progress), output)
        if not progress.begun and not output.stdout:  # what was read is in its log already
            return ended_unsent(session.stop, output)
        return ended_by(session.stop, output, told=_before(progress))
    try:
        values = task.result()
    except Unreached as error:
        if progress.renaming or progress.open:
            return Unknown(_open(str(error), progress), output)
        return Failed(f"{error}; {progress.so_far}", output) if progress.begun else Unreachable(str(error))
    except (Unusable, FileRefused, NoFile, BadPath, Unfit) as error:
        ran = progress.begun or not isinstance(error, Unusable)
        return Failed(f"{error}{_before(progress)}", output, ran=ran)
    return Succeeded(replace(output, values=values))


def _open(why: str, progress: Progress) -> str:
    what = "the file was put in place" if progress.renaming else "its last change was made"
    return f"{why}; whether {what} is not known{_before(progress)}"


def _before(progress: Progress) -> str:
    return f"; {progress.so_far}" if progress.put or progress.made or progress.removed else ""
