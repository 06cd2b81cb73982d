"""What a host says before a step has begun: greetings, and now and then why there will be no step."""

MOST = 64 * 1024
"""Bytes that are kept of it, its end."""


class Heard:
    """The end of what was said so far. Nothing here is masked: whoever tells people does that, before anything is cut.

    So a line whose beginning was not kept is not told: half a secret would not be known for one.
    """

    def __init__(self) -> None:
        self._said = b""
        self._cut = False

    def feed(self, data: bytes) -> None:
        said = self._said + data
        self._cut = self._cut or len(said) > MOST
        self._said = said[-MOST:]

    @property
    def last_line(self) -> str:
        """The last line that is not blank, for people; empty where there is none."""
        lines = self._said.split(b"\n")[1 if self._cut else 0 :]
        shown = ("".join(c if c.isprintable() else " " for c in line.decode(errors="replace")) for line in lines)
        told = [line.strip() for line in shown if line.strip()]
        return told[-1] if told else ""
