"""Places of words in a command, as numbers from 0."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property

from engine.scripts.posix_shell.heads import heads
from engine.scripts.posix_shell.options import AWK_OPTIONS, CODE_OPTION, COMMAND_OPTION
from engine.scripts.posix_shell.pieces import ASSIGNMENT, DYNAMIC, Command, Word
from engine.scripts.posix_shell.programs import OWN_SCRIPT, interprets, is_awk, is_shell, plain, program

NOWHERE = -1
_GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path")


def git_command(texts: Sequence[str], head: int) -> int:
    """The word that says what git is to do, after its options."""
    at = head + 1
    while at < len(texts) and texts[at].startswith("-"):
        at += 2 if texts[at] in _GIT_VALUED else 1
    return at


def vanishes(word: Word) -> bool:
    """Whether the command may be the word after this one: an assignment, or `$x`, which may be empty."""
    empty = not word.quoted and not word.holes and not word.text.replace(DYNAMIC, "")
    return empty or ASSIGNMENT.match(word.text) is not None


def last_of(places: list[int]) -> int:
    """The last place, or NOWHERE."""
    return places[-1] if places else NOWHERE


def last_before(places: list[int], at: int) -> int:
    """The last of the places before `at`."""
    index = bisect_left(places, at)
    return places[index - 1] if index else NOWHERE


class Places:
    """The words of one command that is read whole, and where those of a kind stand.

    Every list is made once: a question about one word looks only at the nearest place of a kind.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.texts = command.literal()
        self.names = command.names()

    @cached_property
    def first(self) -> int | None:
        """The word that is the command, after assignments and what may be empty."""
        return next((at for at, word in enumerate(self.command.words) if not vanishes(word)), None)

    @cached_property
    def perhaps(self) -> tuple[int, ...]:
        """Words before that, which are the command unless they are empty: `$SUDO` in `$SUDO tee x`."""
        words = self.command.words[: self.first]
        return tuple(at for at, word in enumerate(words) if not ASSIGNMENT.match(word.text))

    @cached_property
    def heads(self) -> tuple[int, ...]:
        """The words where a command stands, in order: `sudo`, `timeout` and `cp` in `sudo timeout 5 cp a b`."""
        return () if self.first is None else heads(self.names, self.texts, self.first)

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The commands themselves."""
        return tuple(self.names[at] for at in self.heads)

    @cached_property
    def _head_places(self) -> frozenset[int]:
        return frozenset(self.heads)

    def _head_of(self, place: int | None) -> int:
        """The command that the word is an argument of."""
        index = len(self.heads) if place is None else bisect_right(self.heads, place)
        return self.heads[max(index - 1, 0)]

    @cached_property
    def script(self) -> int | None:
        """The author's own script that is run, as in `./x.sh` and `python3 x.py`: what follows are its options."""
        if not self.heads or self.heads[-1] + 1 >= len(self.texts):
            return None
        head = self.heads[-1]
        for at in (head, head + 1) if interprets(self.names[head]) else (head,):
            if OWN_SCRIPT.fullmatch(self.texts[at]) and DYNAMIC not in self.texts[at]:
                return at
        return None

    def where(self, test: Callable[[str], bool]) -> list[int]:
        """Places of words whose name passes the test."""
        return [at for at, name in enumerate(self.names) if test(name)]

    def _of_others(self, test: Callable[[str], bool]) -> list[int]:
        """The same, without a shell or an interpreter whose options ended with a script."""
        begin = 0 if self.script is None else self.script + 1
        return [at for at in self.where(test) if at >= begin]

    def follows(self, test: Callable[[str], bool], last: int) -> bool:
        """Whether a word that passes the test stands before the place `last`."""
        return any(test(name) for name in self.names[: max(last, 0)])

    def lacks_operands(self, test: Callable[[str], bool], wanted: int) -> bool:
        """Whether fewer than `wanted` operands follow a word that passes the test; the fewest follow the last."""
        last = last_of(self.where(test))
        rest = self.names[last + 1 :]
        return last >= 0 and sum(not name.startswith("-") or name == "-" for name in rest) < wanted

    @cached_property
    def _plain(self) -> list[int]:
        return self.where(plain)

    @cached_property
    def _dashes(self) -> list[int]:
        return [at for at, text in enumerate(self.texts) if text == "--"]

    @cached_property
    def _scripts_of_sed(self) -> list[int]:
        """Its script, or what stands after it. `-i .bak` and `-i ''` take a value elsewhere than on Linux."""
        before = ["", *self.texts]
        return [
            at
            for at, text in enumerate(self.texts)
            if text[:1] not in ("", "-", ".") and before[at] not in ("-l", "--line-length")
        ]

    @cached_property
    def _last_v(self) -> int:
        return last_of(self.where(lambda name: name == "-v"))

    @cached_property
    def _last_v_with_name(self) -> int:
        return last_of(self.where(lambda name: name.startswith("-v")))

    @cached_property
    def _awks(self) -> list[int]:
        return self.where(is_awk)

    @cached_property
    def _awk_files(self) -> list[int]:
        return self.where(lambda name: name == "-f")

    @cached_property
    def _operands(self) -> list[int]:
        before = ["", *self.names]
        return [at for at, name in enumerate(self.names) if not name.startswith("-") and before[at] not in AWK_OPTIONS]

    @cached_property
    def _coded(self) -> list[int]:
        return self._of_others(lambda name: program(name).language in ("sql", "code"))

    @cached_property
    def _codes(self) -> list[int]:
        return self.where(lambda name: CODE_OPTION.match(name) is not None)

    @cached_property
    def _evaluators(self) -> list[int]:
        """Words after which everything may be evaluated."""
        return [
            at
            for at, name in enumerate(self.names)
            if (words := program(name).words) == "carried" or (words == "evaluated" and at in self._head_places)
        ]

    @cached_property
    def _shells(self) -> list[int]:
        return self._of_others(is_shell)

    @cached_property
    def evaluating(self) -> list[int]:
        """Words that are shells, or after which everything may be evaluated."""
        return sorted({*self._shells, *self._evaluators})

    @cached_property
    def _commanded(self) -> list[int]:
        return [at for at, text in enumerate(self.texts) if COMMAND_OPTION.fullmatch(text)]

    @cached_property
    def _sets_git(self) -> bool:
        return any(text in ("config", "-c") or text.startswith("--config") for text in self.texts)

    @cached_property
    def _clients(self) -> list[int]:
        return self.where(lambda name: program(name).language == "sql")

    @cached_property
    def _env(self) -> int | None:
        splits = last_of(self.where(lambda name: name.startswith(("-S", "--split"))))
        found = next((at for at, name in enumerate(self.names) if name == "env"), None)
        return found if found is not None and found < splits else None
