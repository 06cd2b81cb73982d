"""Scripts within a script and the functions around them: `trap 'cleanup "$dir"' EXIT`, `bash -c 'deploy "$1"' _ x`.

A text that a shell reads here once more calls the functions of the script, and so does a shell that it starts, if the
script exports them. What it gives to a function is followed as an argument of that.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.scripts.posix_shell.digits import Digits
from engine.scripts.posix_shell.followed import POSITIONAL, Followed
from engine.scripts.posix_shell.variables import INPUT, STDIN, Sink
from engine.scripts.posix_shell.wrappers import Skips

FED = "goes to the input of a function in a script within the script, which may run it"
HANDED = Sink("", "which goes to a function of the script around this one")
READING = frozenset({"read", "mapfile", "readarray", "select"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_FEEDING = re.compile(r"[|<]")


@dataclass(frozen=True)
class Around:
    """The functions of the script around another one."""

    functions: frozenset[str] = frozenset()
    runs: frozenset[tuple[str, Skips]] = frozenset()
    """Those that run their arguments, and what stands before the command there."""

    held: frozenset[str] = frozenset()
    """Those that variables may hold."""

    @classmethod
    def of(cls, functions: Iterable[str], wrappers: Mapping[str, Skips], held: frozenset[str]) -> "Around":
        runs = frozenset((name, skips) for name, skips in wrappers.items() if name)
        return cls(frozenset(functions), runs, held)

    def named_in(self, text: str) -> bool:
        """Whether a text names one of them, or puts a name together."""
        return any(name in self.functions for name in _NAME.findall(text)) if self.functions else False

    def in_shell_of(self, code: str) -> "Around":
        """These, where the script may call any; none otherwise, so that alike ones are read once."""
        return self if self.named_in(code) or "$" in code else Around()

    def feeds(self, code: str) -> bool:
        """Whether a script may give one of them an input."""
        return self.named_in(code) and _FEEDING.search(code) is not None


@dataclass(frozen=True)
class Effects:
    """What a script makes of variables."""

    sinks: dict[str, Sink] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    """Variables whose values it gives to functions of the script around it."""
    fed: frozenset[str] = frozenset()
    """The same as their input."""

    def outside(self, *, arguments: bool) -> "Effects":
        """Without what is its own: its files, and unless `arguments` are those of the script around it, these."""

        def is_shared(name: str) -> bool:
            return name.isidentifier() or name == STDIN or name.endswith("()") or (arguments and name == POSITIONAL)

        return Effects(
            {name: sink for name, sink in self.sinks.items() if is_shared(name)},
            frozenset(filter(is_shared, self.given)),
            frozenset(filter(is_shared, self.fed)),
        )


def handed_to(around: Around, script: Followed, digits: Digits) -> tuple[set[str], set[str]]:
    """The names whose values stand in the words of a call of such a function, and those that go to its input."""
    given: set[str] = set()
    fed: set[str] = set()
    for one in script.commands:
        if around.functions.isdisjoint((*one.called, *script.called_by_variable(one))):
            continue
        for word in one.command.words:
            given.update(name for name in script.names_in(word.start, word.end) if not digits.hold(name, word.start))
        if one.command.feeder is not None or one.command.fed or one.command.taken:
            fed.add(INPUT)
    return given, fed
