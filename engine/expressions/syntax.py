"""The grammar of CEL expressions: text to a tree with places, without evaluating anything.

The library that evaluates (common-expression-language) tells neither where a name stands nor how deep an expression
nests, and a hostile one kills the process inside its parser. So every expression is read here first: what this
grammar does not know is refused and never handed over. Source: the CEL specification, "Syntax"
(github.com/google/cel-spec, doc/langdef.md), less messages, leading dots and optional syntax.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.expressions.syntaxtree import (
    Call,
    Collection,
    Comprehension,
    Constant,
    Ident,
    Index,
    Node,
    Select,
    children,
)

MAX_NESTING = 32
"""Brackets within brackets. Measured: the library's parser gives up at 120 and dies at 32 on a stack of 256 KiB."""
MAX_HOLE = 4_096
"""Characters between `${{` and `}}`. An expression is shorter; who looks further for its end may look for ever."""
MAX_HEIGHT = 128
"""Height of the tree, long chains of operators and members included. What reads it takes up to three of Python's 1,000
frames for each part, and whoever asks for that has a hundred of its own."""

MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})


class SyntaxProblem(Exception):  # noqa: N818 -- SyntaxError is Python's own
    """The text is no expression. `offset` and `length` count code points from its start."""

    def __init__(self, message: str, offset: int, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length


def parse(text: str) -> Node:
    """The tree of one expression. Raises SyntaxProblem, whatever the text holds."""
    return _Parser(text).whole()


def find_end(text: str, start: int) -> int | None:
    """Where an expression that starts at `start` is followed by `}}`: braces and strings of its own are passed over.

    None where that is not within MAX_HOLE characters.
    """
    depth = 0
    last = min(len(text), start + MAX_HOLE)
    unclosed: dict[str, int] = {}
    found = _MARK.search(text, start, last)
    while found is not None:
        position = found.start()
        match text[position]:
            case "{":
                depth += 1
                position += 1
            case "}" if not depth and text.startswith("}}", position):
                return position
            case "}":
                depth -= 1
                position += 1
            case _:
                position = _string_end(text, position, last, unclosed) or position + 1
        found = _MARK.search(text, position, last)
    return None


def _string_end(text: str, start: int, last: int, unclosed: dict[str, int]) -> int | None:
    """Where the string that begins at `start` ends. `unclosed`, by quotes: how far a look for others like them got.

    A quote before that place was read as escaped then, so what follows it was read as it is now: it closes nowhere.
    """
    if match := _RAW_STRING.match(text, start, last):
        return match.end()
    prefix = _BYTES.match(text, start, last)
    begin = prefix.end() if prefix else start
    for quotes, body in _BODIES.items():
        if not text.startswith(quotes, begin) or begin < unclosed.get(quotes, start):
            continue
        read = body.match(text, begin + len(quotes), last)
        end = read.end() if read else begin
        if read and text.startswith(quotes, end) and end + len(quotes) <= last:
            return end + len(quotes)
        unclosed[quotes] = max(end, begin + 1)
    return None


_BYTES = re.compile(r"[bB][rR]?")
_BODIES = {
    "'''": re.compile(r"(?:(?!''')[^\\]|\\.)*", re.DOTALL),
    '"""': re.compile(r'(?:(?!""")[^\\]|\\.)*', re.DOTALL),
    "'": re.compile(r"(?:[^'\\\n\r]|\\.)*", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n\r]|\\.)*', re.DOTALL),
}
"""What stands between the quotes of a string, with which it may begin; longer quotes first."""
_MARK = re.compile(r"[bB][rR]?['\"]|[rR]?['\"]|[{}]")
"""What a string or a brace begins with."""
_STRING = re.compile(
    r"""(?P<bytes>[bB][rR]?)?"""
    r"""(?:'''(?P<a>(?:[^\\]|\\.)*?)'''|\"\"\"(?P<b>(?:[^\\]|\\.)*?)\"\"\"|'(?P<c>(?:[^'\\\n\r]|\\.)*)'|"(?P<d>(?:[^"\\\n\r]|\\.)*)")""",
    re.DOTALL,
)
_RAW_STRING = re.compile(
    r"""[rR](?:'''(?P<a>.*?)'''|\"\"\"(?P<b>.*?)\"\"\"|'(?P<c>[^'\n\r]*)'|"(?P<d>[^"\n\r]*)")""", re.DOTALL
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SPACE = re.compile(r"(?:[ \t\r\n\f]+|//[^\n]*)+")
_OPERATOR = re.compile(r"\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\?\"'`"}

_BINARY: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"<", "<=", ">=", ">", "==", "!=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
"""Operators by precedence, loosest first; all bind to the left."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["string", "bytes", "number", "word", "operator", "end"]
    text: str
    start: int
    end: int


def _unescaped(body: str, start: int) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code or match[4]:
            value = int(code, 16) if code else int(match[4], 8)
            if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
                raise SyntaxProblem(f"'{match[0]}' is no character", start, 1)
            return chr(value)
        if match[5] not in _SHORT:
            raise SyntaxProblem(f"'{match[0]}' is no escape in a string", start, 1)
        return _SHORT[match[5]]

    return _ESCAPE.sub(one, body)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        token = _token(text, position)
        yield token
        position = token.end
    yield _Token("end", "", len(text), len(text))


def _token(text: str, start: int) -> _Token:
    if match := _RAW_STRING.match(text, start):
        return _Token("string", next(g for g in match.groups() if g is not None), start, match.end())
    if match := _STRING.match(text, start):
        body = next(match[g] for g in "abcd" if match[g] is not None)
        if match["bytes"]:
            return _Token("bytes", body, start, match.end())
        return _Token("string", _unescaped(body, start), start, match.end())
    if match := _NUMBER.match(text, start):
        return _Token("number", match[0], start, match.end())
    if match := _WORD.match(text, start):
        return _Token("word", match[0], start, match.end())
    if match := _OPERATOR.match(text, start):
        return _Token("operator", match[0], start, match.end())
    if text[start] in "'\"":
        raise SyntaxProblem("the string that starts here does not end", start)
    raise SyntaxProblem(f"{text[start]!r} has no meaning in an expression", start)


class _Parser:
    """Recursive descent. Recursion happens only through `_bracketed`, which counts."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._nesting = 0
        self._heights: dict[int, tuple[Node, int]] = {}  # the node is kept, so that its id is not given again

    def whole(self) -> Node:
        if self._ended():
            raise SyntaxProblem("the expression is empty", 0, 0)
        node = self._expression()
        if not self._ended():
            raise self._unexpected("the end")
        return node

    def _ended(self) -> bool:
        return self._here.kind == "end"

    @property
    def _here(self) -> _Token:
        return self._tokens[self._at]

    def _is(self, *texts: str) -> bool:
        token = self._here
        return token.text in texts and (token.kind == "operator" or (token.kind == "word" and token.text == "in"))

    def _next(self) -> _Token:
        token = self._here
        self._at += 1
        return token

    def _expect(self, text: str) -> _Token:
        if not self._is(text):
            raise self._unexpected(f"'{text}'")
        return self._next()

    def _unexpected(self, wanted: str) -> SyntaxProblem:
        token = self._here
        found = f"'{token.text}'" if token.kind != "end" else "nothing"
        return SyntaxProblem(f"expected {wanted}, found {found}", token.start, max(1, token.end - token.start))

    def _grown(self, node: Node) -> Node:
        height = 1 + max((self._heights.get(id(child), (child, 1))[1] for child in children(node)), default=0)
        if height > MAX_HEIGHT:
            raise SyntaxProblem(f"the expression is a chain of more than {MAX_HEIGHT} parts", node.start)
        self._heights[id(node)] = (node, height)
        return node

    def _nested(self) -> Node:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise SyntaxProblem(f"the expression nests deeper than {MAX_NESTING}", self._here.start)
        node = self._expression()
        self._nesting -= 1
        return node

    def _expression(self) -> Node:
        condition = self._binary(0)
        if not self._is("?"):
            return condition
        self._next()
        yes = self._binary(0)
        self._expect(":")
        no = self._nested()
        return self._grown(Call("?:", None, (condition, yes, no), condition.start, no.end, operator=True))

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self._is(*_BINARY[level]):
            name = self._next().text
            right = self._binary(level + 1)
            left = self._grown(Call(name, None, (left, right), left.start, right.end, operator=True))
        return left

    def _unary(self) -> Node:
        signs: list[_Token] = []
        while self._is("!", "-"):
            signs.append(self._next())
        node = self._member()
        for sign in reversed(signs):
            node = self._grown(Call(f"unary {sign.text}", None, (node,), sign.start, node.end, operator=True))
        return node

    def _member(self) -> Node:
        node = self._primary()
        while self._is(".", "["):
            if self._next().text == "[":
                index = self._nested()
                node = self._grown(Index(node, index, node.start, self._expect("]").end))
            else:
                word = self._word("a name after '.'")
                node = self._grown(
                    self._call(node, word) if self._is("(") else Select(node, word.text, node.start, word.end)
                )
        return node

    def _word(self, wanted: str) -> _Token:
        if self._here.kind != "word" or self._here.text in ("in", "true", "false", "null"):
            raise self._unexpected(wanted)
        return self._next()

    def _primary(self) -> Node:
        token = self._here
        match token.kind, token.text:
            case ("string" | "bytes" | "number") as kind, text:
                self._next()
                return Constant(kind, text, token.start, token.end)
            case "word", "true" | "false":
                self._next()
                return Constant("bool", token.text, token.start, token.end)
            case "word", "null":
                self._next()
                return Constant("null", token.text, token.start, token.end)
            case "word", _:
                word = self._word("a value")
                return self._grown(self._call(None, word)) if self._is("(") else Ident(word.text, word.start, word.end)
            case "operator", "(":
                self._next()
                node = self._nested()
                self._expect(")")
                return node
            case "operator", "[":
                self._next()
                items = self._many("]", pairs=False)
                return self._grown(Collection(items, token.start, self._expect("]").end))
            case "operator", "{":
                self._next()
                items = self._many("}", pairs=True)
                return self._grown(Collection(items, token.start, self._expect("}").end, is_map=True))
        raise self._unexpected("a value")

    def _many(self, close: str, *, pairs: bool) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._is(close):
            items.append(self._nested())
            if pairs:
                self._expect(":")
                items.append(self._nested())
            if not self._is(","):
                break
            self._next()
        return tuple(items)

    def _call(self, receiver: Node | None, word: _Token) -> Node:
        self._expect("(")
        arguments: list[Node] = []
        if not self._is(")"):
            arguments.append(self._nested())
            while self._is(","):
                self._next()
                arguments.append(self._nested())
        end = self._expect(")").end
        start = receiver.start if receiver else word.start
        if receiver and word.text in MACROS:
            return self._comprehension(receiver, word, tuple(arguments), end)
        if receiver is None and word.text == "has":
            return self._has(arguments, word, end)
        return Call(word.text, receiver, tuple(arguments), start, end)

    def _comprehension(self, walked: Node, word: _Token, arguments: tuple[Node, ...], end: int) -> Node:
        wanted = (2, 3) if word.text == "map" else (2,)
        if len(arguments) not in wanted:
            raise SyntaxProblem(f"{word.text}() takes a name and an expression", word.start, len(word.text))
        variable = arguments[0]
        if not isinstance(variable, Ident):
            raise SyntaxProblem(f"the first argument of {word.text}() is a name", variable.start)
        return Comprehension(word.text, walked, variable.name, arguments[1:], walked.start, end)

    def _has(self, arguments: list[Node], word: _Token, end: int) -> Node:
        if len(arguments) != 1 or not isinstance(arguments[0], Select):
            raise SyntaxProblem("has() takes one member, as in has(a.b)", word.start, 3)
        found = arguments[0]
        return Select(found.base, found.field, word.start, end, tested=True)
