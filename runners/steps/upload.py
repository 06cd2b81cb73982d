"""`sftp.upload`: a file of the repository, or a text, onto a target."""

from engine.runs.outcome import Failed, Outcome
from runners.connections import Session
from runners.connections.files import Files
from runners.repository import NoFile
from runners.steps import ReadyStep
from runners.steps.filework import Unfit, Values, done, file_of, inputs_of, wanted_of
from runners.steps.paths import BadPath, checked
from runners.steps.placing import Progress, checksum, place


class Upload:
    """Puts one file. Where it is there already as it should be, nothing is changed."""

    path = staticmethod(checked)

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            inputs, around = inputs_of(step)
            path = self.path(inputs["destination"], "destination")
            text = inputs.get("content")
            content = text.encode() if text is not None else await file_of(around, inputs["source"])
            found = checksum(content)
            if inputs.get("checksum", found) != found:
                return Failed(f"the content is {found}, and not what 'checksum' says", ran=False)
        except (Unfit, NoFile, BadPath) as error:
            return Failed(str(error), ran=False)
        wanted = wanted_of(content, inputs)

        async def work(files: Files, progress: Progress) -> Values:
            return {"changed": await place(files, path, wanted, progress), "checksum": found}

        return await done(session, work)
