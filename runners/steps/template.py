"""`template`: a Jinja file of the repository, rendered and put onto a target."""

from collections.abc import Mapping
from typing import Any

from engine.runs.outcome import Failed, Outcome
from engine.templates import problems_of
from runners.connections import Session
from runners.connections.files import Files
from runners.rendering import NotRendered, rendered
from runners.repository import NoFile
from runners.steps import Around, ReadyStep
from runners.steps.filework import Unfit, Values, done, file_of, inputs_of, wanted_of
from runners.steps.paths import BadPath, checked, checked_windows
from runners.steps.placing import Progress, checksum, place


class Template:
    """Renders, and puts what came of it in place as an upload does."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            inputs, around = inputs_of(step)
            windows = around.target is not None and around.target.os == "windows"
            path = (checked_windows if windows else checked)(inputs["destination"])
            content = await _content(inputs, around)
        except (Unfit, NoFile, BadPath) as error:
            return Failed(str(error), ran=False)
        except NotRendered as error:
            return Failed(f"{inputs['source']}: {error}", ran=False)
        wanted = wanted_of(content, inputs)

        async def work(files: Files, progress: Progress) -> Values:
            return {"changed": await place(files, path, wanted, progress), "checksum": checksum(content)}

        return await done(session, work)


async def _content(inputs: Mapping[str, Any], around: Around) -> bytes:
    source = str(inputs["source"])
    try:
        text = (await file_of(around, source)).decode()
    except UnicodeDecodeError as error:
        raise Unfit(f"{source}: it is no text") from error
    values = {**around.seen, **inputs.get("vars", {})}
    for problem in problems_of(text, frozenset(values), "this template"):
        hint = f"; {problem.hint}" if problem.hint else ""
        raise Unfit(f"{source}:{problem.line}: {problem.message}{hint}")
    return (await rendered(text, values)).encode()
