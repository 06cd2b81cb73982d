"""The blocks of a script: what stands in which function, loop, branch, and pair of brackets."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OPENS = frozenset({"if", "while", "until", "for", "select", "case", "(", "f(", "{", "f{", "$(", "then", "do", "arm"})
_CLOSES = {
    "fi": frozenset({"if"}),
    "done": frozenset({"while", "until", "for", "select"}),
    "esac": frozenset({"case"}),
    ")": frozenset({"(", "f("}),
    "}": frozenset({"{", "f{"}),
    ")$": frozenset({"$("}),
}
FUNCTIONS = frozenset({"f{", "f("})


@dataclass(eq=False, slots=True)
class Block:
    """`kind` is the word that opens it: `then`, `do`, `arm` of a `case`, `f{` of a function; empty: the script."""

    kind: str
    start: int
    end: int
    outer: "Block | None" = None
    function: "Block | None" = None
    """The body of the function that it stands in, or is."""

    def chain(self) -> Iterator["Block"]:
        """It, and the blocks around it."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.outer


class Blocks:
    """Made from the words that open and close blocks, and the operators between commands, in the order of the text."""

    def __init__(self, marks: Iterable[tuple[int, str]], length: int) -> None:
        self.root = Block("", 0, length)
        self._marks = list(marks)
        self._mark_places = [at for at, _ in self._marks]
        self._places: list[int] = [0]
        self._blocks: list[Block] = [self.root]
        top = self.root
        for at, kind in self._marks:
            after = _after(top, kind, at, length)
            if after is not top:
                top = after
                self._places.append(at)
                self._blocks.append(top)
        self._ended = sorted({*self._blocks} - {self.root}, key=lambda block: (block.end, -block.start))
        self._ends = [block.end for block in self._ended]

    def at(self, place: int) -> Block:
        """The innermost block there."""
        return self._blocks[bisect_right(self._places, place) - 1]

    def ended_before(self, place: int) -> Block | None:
        """The block that ended last before this place; of those that ended at once the outermost."""
        index = bisect_right(self._ends, place)
        return self._ended[index - 1] if index else None

    def is_fed(self, block: Block) -> bool:
        """Whether a pipe stands before it."""
        index = bisect_left(self._mark_places, block.start)
        return index > 0 and self._marks[index - 1][1] == "|"

    def before(self, place: int, back: int = 1) -> str:
        """The last mark before a command that begins there, or one further back; empty: none."""
        index = bisect_right(self._mark_places, place)
        if index and self._marks[index - 1] in ((place, "case"), (place, "if")):
            index -= 1  # its own word
        return self._marks[index - back][1] if index >= back else ""


def _after(top: Block, kind: str, at: int, length: int) -> Block:
    """The innermost block after a mark."""
    if kind in ("else", "elif", ";;"):
        if top.kind in ("then", "else", "arm") and top.outer is not None:
            top.end = at
            top = top.outer
        return Block("else", at, length, top, top.function) if kind == "else" else top
    if kind in _OPENS:
        block = Block(kind, at, length, top, top.function)
        block.function = block if kind in FUNCTIONS else top.function
        return block
    if kind not in _CLOSES:
        return top
    opened = next((block for block in top.chain() if block.kind in _CLOSES[kind]), None)
    if opened is None or opened.outer is None:
        return top
    for block in top.chain():
        block.end = at
        if block is opened:
            break
    return opened.outer
