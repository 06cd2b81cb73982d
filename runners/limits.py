"""Limits on what a step may give us: bounded memory and bounded disk, however much it writes."""

from collections import deque
from typing import Literal

from engine.runs.outcome import Output
from runners.logs import LogFile
from runners.masking import MaskedStream, Masker, sealed_text

KEPT = 64 * 1024
"""Bytes of each stream that expressions see: its end."""

_CUT = "[the log has all of it; its last 64 KiB:]\n"
TAIL = 2 * 1024
"""Bytes of each stream that the status file of a failed step shows: its end."""

Stream = Literal["stdout", "stderr"]


class Capture:
    """Takes a step's output as it comes: masks it, logs it, and keeps the end of each stream.

    `feed` does its work before it returns, so a caller that reads no further until then has backpressure, and memory
    stays below a few times KEPT and the longest secret. After `close` nothing more is taken.
    """

    def __init__(self, masker: Masker, log: LogFile | None = None) -> None:
        self._masker = masker
        self._log = log
        self._masked = {"stdout": MaskedStream(masker), "stderr": MaskedStream(masker)}
        self._ends = {"stdout": _End(), "stderr": _End()}
        self._closed = False

    def feed(self, stream: Stream, data: bytes) -> None:
        if self._closed or not data:
            return
        self._ends[stream].feed(data, KEPT + self._masker.longest)
        if self._log is not None and not self._log.full:
            self._log.write(self._masked[stream].feed(data))

    def hide(self, secret: str) -> None:
        """Mask a secret that came up on the way, in all that the run says from now on. Raises ValueError."""
        self._masker.add(secret)

    def masked(self, text: str) -> str:
        """A text about the step, as people may see it."""
        return self._masker.mask(text)

    def close(self) -> None:
        """Write what was held back. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        if self._log is not None:
            for masked in self._masked.values():
                self._log.write(masked.finish())
            self._log.close()

    def output(self, exit_code: int | None = None) -> Output:
        """What is known of the output. Its text is sealed (see runners.masking)."""
        stdout, stderr = self._ends["stdout"], self._ends["stderr"]
        return Output(
            exit_code=exit_code,
            stdout=self._text(stdout),
            stderr=self._text(stderr) if stderr.total <= KEPT else self._marked(stderr),
            cut=stdout.total > KEPT,
        )

    def _marked(self, end: "_End") -> str:
        """What went wrong stands at the end, so that is of use; but nobody is to take it for all."""
        return _CUT + last_bytes(self._text(end), KEPT - len(_CUT))

    def _text(self, end: "_End") -> str:
        data = end.data()
        return last_bytes(sealed_text(self._masker, data, skip=max(0, len(data) - KEPT)), KEPT)


def last_bytes(text: str, limit: int) -> str:
    """The end of `text` that fits `limit` bytes of UTF-8."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    return data[-limit:].decode("utf-8", "ignore")


class _End:
    """The last bytes of a stream."""

    __slots__ = ("_chunks", "_size", "total")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.total = 0

    def feed(self, data: bytes, keep: int) -> None:
        self.total += len(data)
        if len(data) < 1024 and self._chunks and len(self._chunks[-1]) < 8192:
            # a flood of single bytes must not become a flood of objects
            self._size += len(data)
            self._chunks[-1] += data
        else:
            self._chunks.append(bytes(data))
            self._size += len(data)
        while self._size - len(self._chunks[0]) >= keep:
            self._size -= len(self._chunks.popleft())

    def data(self) -> bytes:
        return b"".join(self._chunks)
