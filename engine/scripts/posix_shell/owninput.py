"""Whose input may be what the script has on its standard input, and the scripts in words of a command that read it.

A command has the script's own input unless a pipe, a file or a here-document feeds it; what comes through a pipe may be
the same, unless what stands before the pipe is known to print something else.
"""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.blocks import Block
from engine.scripts.posix_shell.heads import after_options
from engine.scripts.posix_shell.pieces import Command
from engine.scripts.posix_shell.prints import may_read_input
from engine.scripts.posix_shell.programs import program
from engine.scripts.posix_shell.within import Within

if TYPE_CHECKING:
    from engine.scripts.posix_shell.followed import Followed

_CODE = re.compile(r"-[A-Za-z]*c|--command")
_ESCAPED = re.compile(r"\\([$`\\\"\n])")
_DEEPEST = 100


class OwnInput:
    """Of one script that is read whole."""

    def __init__(self, script: "Followed") -> None:
        self._script = script
        self._reached: set[int] = set()
        self._printing: set[int] = set()
        """Of those that it reaches: the ones that may print it."""
        self._functions: set[str] = set()
        """Functions that may print it."""
        self._pipes = False
        """Whether it may come through any pipe so far."""
        self._within = Within([one.command for one in script.commands], script.blocks)
        for one in script.commands:  # what feeds it stands before it
            self._look(one)

    def reaches(self, one: Arguments) -> bool:
        """Whether what a command reads may be that."""
        return id(one.command) in self._reached

    def _look(self, one: Arguments) -> None:
        command = one.command
        if self._has(command):
            self._reached.add(id(command))
            if self._prints(one):
                self._printing.add(id(command))
                if command.function:
                    self._functions.add(command.function)
        self._pipes = self._pipes or (command.piped and self._passes(command))

    def _has(self, command: Command) -> bool:
        if command.feeder is not None:
            return self._passes(command.feeder)
        if self._script.takes_input(command):
            return True
        return self._pipes and self._is_fed(command)

    def _is_fed(self, command: Command) -> bool:
        """Whether it reads what goes into the brackets that it stands in, by a pipe."""
        if command.fed or command.scripts or command.taken or not command.words:
            return False
        around = islice(self._within.around(command).chain(), _DEEPEST)
        return next((self._script.blocks.is_fed(block) for block in around if self._ends(block)), False)

    def _ends(self, block: Block) -> bool:
        return self._script.blocks.is_fed(block) or self._script.is_given_input(block)

    def _prints(self, one: Arguments) -> bool:
        if not one.heads:
            return bool(one.perhaps or (one.command.taken and not one.command.words))
        return self._script.may_call(one) or may_read_input(one)

    def _passes(self, command: Command) -> bool:
        """Whether what it prints may be that."""
        if command.compound:
            inner = self._within.of(command)
            return not inner or any(id(self._within.commands[at]) in self._printing for at in islice(inner, 1000))
        one = self._script.by_command.get(id(command))
        called = one.called[-1] if one is not None and one.heads else ""
        if called in self._script.functions:
            return called in self._functions
        return id(command) in self._printing


def scripts_in(one: Arguments, text: str) -> Iterator[str]:
    """What a shell may read as a script of its own among a command's words: here, or on another machine."""
    if not one.heads:
        return
    words, head = one.command.words, one.heads[-1]
    plain = [_unquoted(text[word.start : word.end]) for word in words]
    for at in one.heads:
        if (valued := program(one.names[at]).valued_before_host) and (
            begin := after_options(one.texts, at + 1, 1, valued)
        ) < len(words):
            yield " ".join(plain[begin:])
    if not one.takes_code:
        return
    if one.called[-1] == "eval":
        yield " ".join(plain[head + 1 :])
    elif one.called[-1] == "trap":
        yield from plain[head + 1 : head + 2]
    else:
        after = [*pairwise(("", *one.texts))]
        yield from (
            plain[place]
            for place, (before, _) in enumerate(after)
            if place > one.heads[0] and (words[place].quoted or _CODE.fullmatch(before))
        )


def _unquoted(raw: str) -> str:
    if len(raw) > 1 and raw[0] == raw[-1] == "'" and "'" not in raw[1:-1]:
        return raw[1:-1]
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        return _ESCAPED.sub(r"\1", raw[1:-1])
    return raw
