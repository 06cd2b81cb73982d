"""`sftp.download`: a file of a target, into the run's folder of files, or as the step's output."""

import asyncio
import hashlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from engine.runs.outcome import Failed, Outcome
from runners.connections import Session
from runners.connections.files import FileRefused, Files
from runners.steps import ReadyStep
from runners.steps.filework import Unfit, Values, done, inputs_of
from runners.steps.paths import BadPath, checked
from runners.steps.placing import Progress
from schemas.paths import is_inside

_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Download:
    """Fetches one file, in pieces: of any size in little memory. Nothing appears before the last of it has come."""

    path = staticmethod(checked)

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            inputs, around = inputs_of(step)
            path = self.path(inputs["source"], "source")
            kept = inputs.get("destination")
            if kept is not None and not is_inside(kept):
                raise Unfit(f"'destination': '{kept[:200]}' is no path below the run's folder of files")
            place = None if kept is None else around.files.kept(kept)
        except (Unfit, BadPath) as error:
            return Failed(str(error), ran=False)
        most = _bytes(inputs.get("maxSize", "64MiB"))

        async def work(files: Files, _: Progress) -> Values:
            sink = _Sink(place)
            try:
                async for chunk in files.read(path):
                    sink.size += len(chunk)
                    if sink.size > most:
                        raise FileRefused(f"{path}: it is larger than {most} bytes, which 'maxSize' allows")
                    await sink.take(chunk, session)
                if inputs.get("checksum", sink.checksum) != sink.checksum:
                    raise FileRefused(f"{path}: the content is {sink.checksum}, and not what 'checksum' says")
                await sink.finish()
            finally:
                sink.drop()
            return {"checksum": sink.checksum, "size": sink.size, "file": kept}

        try:
            return await done(session, work)
        except OSError as error:
            return Failed(f"it cannot be kept on the runner: {error.strerror or error}")


class _Sink:
    """Where the content goes: to a file beside its place until all is there, or to the step's output."""

    def __init__(self, place: Path | None) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._place = place
        self._made = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}") if place is not None else None
        self._file: BinaryIO | None = None

    @property
    def checksum(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"

    async def take(self, chunk: bytes, session: Session) -> None:
        self._digest.update(chunk)
        if self._made is None:
            session.capture.feed("stdout", chunk)
        else:
            await asyncio.to_thread(self._write, chunk)

    async def finish(self) -> None:
        if self._made is not None:
            await asyncio.to_thread(self._put)

    def drop(self) -> None:
        """What is half there goes away."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._made is not None:
            self._made.unlink(missing_ok=True)

    def _write(self, chunk: bytes) -> None:
        assert self._made is not None
        if self._file is None:
            self._made.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self._made, flags, 0o600), "wb")
        self._file.write(chunk)

    def _put(self) -> None:
        assert self._made is not None
        assert self._place is not None
        self._write(b"")
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._made.replace(self._place)


def _bytes(text: str) -> int:
    number = text.rstrip("BKMGi")
    return int(number) * _UNITS[text[len(number) :]]
