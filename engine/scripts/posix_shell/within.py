"""The commands that stand in brackets or in a loop, by the command that is those as a whole: `{ a; b; } > f`."""

from bisect import bisect_left
from collections.abc import Sequence

from engine.scripts.posix_shell.blocks import Block, Blocks
from engine.scripts.posix_shell.pieces import Command, Word


class Within:
    """Of one script that is read whole; each question takes no longer than it has brackets in brackets."""

    def __init__(self, commands: Sequence[Command], blocks: Blocks) -> None:
        self._blocks = blocks
        self.commands = sorted((one for one in commands if one.words), key=place)
        """Those with words, by their places."""
        self._places = [place(one) for one in self.commands]

    def block(self, compound: Command) -> Block | None:
        """The brackets that end before its redirections, or before what its output goes to."""
        words = (*compound.words, *compound.redirected)
        end = min((word.start for word in words), default=None)
        return self._blocks.ended_before(end if end is not None else place(compound.feeds))

    def around(self, command: Command) -> Block:
        """The innermost brackets that a command stands in."""
        return self._blocks.at(place(command))

    def of(self, compound: Command) -> range:
        """Which of `commands` stand in its brackets."""
        block = self.block(compound)
        if block is None:
            return range(0)
        return range(bisect_left(self._places, block.start), bisect_left(self._places, block.end))


def place(command: Command | None) -> int:
    """Where it begins in the script."""
    words: list[Word] = [] if command is None else [*command.words, *command.redirected]
    return words[0].start if words else 0
