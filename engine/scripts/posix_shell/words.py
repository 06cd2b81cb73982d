"""Words: quoting and expansions."""

import re
from abc import ABC, abstractmethod

from engine.scripts.posix_shell.pieces import DYNAMIC, ENV_HINT, HOLE, Dialect, Reading, Refusal, Unsure, Word
from engine.scripts.posix_shell.source import BREAKS, Source
from engine.scripts.posix_shell.variables import indirect_in

_NAME_AFTER_DOLLAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]", re.ASCII)


_READ = re.compile(r"\$\{?!?([A-Za-z_][A-Za-z0-9_]*|[0-9@*]|#\})", re.ASCII)
_DEFAULT_OF = re.compile(r"[A-Za-z_][A-Za-z0-9_]*:?[-+=?]", re.ASCII)
"""What stands after it is a text."""
_PART_OF = re.compile(rf"(?:[A-Za-z_][A-Za-z0-9_]*(?:\[[@*]\])?|[@*]):(?![-+=?])[ 0-9:{HOLE}-]*\}}", re.ASCII)
"""Where it begins and how long it is, bash computes."""
_PLAIN = re.compile(rf"[^ \t\n;&|<>()\\'\"$`{HOLE}]+")
_PLAIN_IN_QUOTES = re.compile(rf'[^\\"$`{HOLE}]+')


class Words(Source, ABC):
    """Reads words. A substitution holds commands, which a class above reads."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        super().__init__(text)
        self.dialect = dialect
        self._document_within = False
        """A here-document stands in the substitution that is open."""

    @abstractmethod
    def commands(self, close: str | None) -> None:
        """A list of commands, up to the end or to the `)` of a substitution that opened before."""

    def _word(self) -> Word:
        word = Word()
        start = self._at
        while not self._ended():
            char = self._peek()
            if char in BREAKS:
                break
            if char == HOLE:
                if word.subscript:
                    self.found[self._at] = Refusal("may be an array subscript, which bash evaluates", "bare")
                    word.holes.append(self._at)
                    word.add(DYNAMIC)
                    self._at += 1
                else:
                    self._hole("bare", word)
            elif self._take("\\\n"):
                continue
            elif char == "\\":
                self._escaped(word)
            elif char == "'":
                self._at += 1
                self._single(word)
            elif char == '"':
                self._at += 1
                self._double(word)
            elif char in "$`":
                begin = self._at
                self._expansion(word, quoted=False)
                word.split.append((begin, self._at))
            else:
                self._plain(_PLAIN, word)
        if self._at == start:
            raise Unsure("a word is expected")
        word.start, word.end = start, self._at
        return word

    def _plain(self, pattern: re.Pattern[str], word: Word) -> None:
        match = pattern.match(self._text, self._at, self._end)
        if match is None:
            raise Unsure("a character is not expected")
        word.add(match[0])
        self._at = match.end()

    def _escaped(self, word: Word) -> None:
        self._at += 1
        if self._ended():
            raise Unsure("it ends in a backslash")
        if self._peek() == HOLE:
            self.found[self._at] = Refusal("follows a backslash")
        word.add(self._peek())
        word.quoted = True
        self._at += 1

    def _single(self, word: Word) -> None:
        start = self._at
        body = self._until("'", "a single-quoted text")
        self._refuse_within(start, self._at, self._forbidden or "stands in single quotes")
        self._check_lines(body)
        word.add(body.replace(HOLE, DYNAMIC))
        word.quoted = True

    def _check_lines(self, body: str) -> None:
        if "\n" in body and self._pending:
            raise Unsure("a quoted text spans the line where a here-document should begin")

    def _double(self, word: Word) -> None:
        word.quoted = True
        start = self._at
        while not self._take('"'):
            if self._ended():
                raise Unsure("a double-quoted text does not end")
            char = self._peek()
            if char == HOLE:
                self._hole("quoted", word)
            elif char == "\\":
                self._at += 1
                if self._peek() == HOLE:
                    self.found[self._at] = Refusal("follows a backslash")
                word.add("" if self._peek() == "\n" else self._peek())
                self._at += 1
            elif char in "$`":
                self._expansion(word, quoted=True)
            else:
                self._plain(_PLAIN_IN_QUOTES, word)
        self._check_lines(self._text[start : self._at])

    def _expansion(self, word: Word, *, quoted: bool) -> None:
        after = self._peek(2)[1:]
        if self._peek() == "$" and not (after and after in ("({[" if quoted else "({['\"")):
            self._variable(word)
            return
        word.add(DYNAMIC)
        if self._take("`"):
            self._backquoted()
        elif self._take("$(("):
            self._arithmetic()
        elif self._take("$("):
            self._substituted(word)
        elif self._take("${"):
            self._parameter(quoted=quoted)
        elif self._take("$["):
            raise Unsure("'$[' is an old form of arithmetic")
        elif self._take("$'"):
            self._ansi(word)
        elif self._take('$"'):
            self._translated(word)

    def _variable(self, word: Word) -> None:
        """`$x`, or a `$` that means itself."""
        match = _NAME_AFTER_DOLLAR.match(self._text, self._at + 1, self._end)
        if match is not None and match[0] not in "#?$!-":
            self.reads.append((self._at, match[0]))
        word.add(DYNAMIC if match else "$")
        self._at = match.end() if match else self._at + 1

    def _substituted(self, word: Word) -> None:
        """A command within a word. What it prints becomes part of the word: its values count for both commands."""
        start = self._at
        subscript = word.subscript and not word.subscript_ended
        before = self._forbid("may be an array subscript, which bash evaluates") if subscript else self._forbidden
        self.commands(close=")")
        self._document_within = self._document_within and self._depth > 1
        self._forbidden = before
        word.holes.extend(self._holes(start, self._at))

    def _backquoted(self) -> None:
        start = self._at
        while not self._take("`"):
            if self._ended():
                raise Unsure("a backquoted command does not end")
            self._at += 2 if self._peek() == "\\" else 1
        self.others.append((start, self._at))
        self._read_within(start, self._at)
        self._refuse_within(start, self._at, "stands in backquotes")
        self._check_lines(self._text[start : self._at])
        if "<<" in self._text[start : self._at]:
            raise Unsure("a here-document stands in backquotes")

    def _arithmetic(self) -> None:
        start = self._at
        depth = 2
        while depth:
            if self._ended():
                raise Unsure("an arithmetic expression does not end")
            char = self._peek()
            if char in "'\"\\`":
                raise Unsure("an arithmetic expression holds quotes")
            if char == "$" and self._peek(2) == "$(" and self._peek(3) != "$((":
                self._at += 2
                self.commands(close=")")
                continue
            depth += {"(": 1, ")": -1}.get(char, 0)
            if not depth and self._text[self._at - 1] != ")":
                raise Unsure("'((' may be two brackets or arithmetic")
            self._at += 1
        self.computed.append((start, self._at))
        for hole in self._holes(start, self._at):
            if hole in self.found:
                continue  # of a command in it: whether that prints a number is asked when all is read
            number: Reading | None = "quoted" if self._forbidden is None and self._text[hole - 1] != "$" else None
            self.found[hole] = Refusal(self._forbidden or "stands in arithmetic, which evaluates it", number)

    def _parameter(self, *, quoted: bool) -> None:
        start = self._at
        self._enter()
        while not self._take("}"):
            if self._ended():
                raise Unsure("'${' does not end")
            char = self._peek()
            if char == "\\":
                self._at += 1
                if self._peek() in ("\n", ""):
                    raise Unsure("'${' holds a line continuation")
                self._at += 1
            elif self._take("${"):
                self._parameter(quoted=quoted)
            elif char == "$" and self._peek(2) not in ("$(", "$'", '$"', "$["):
                self._at += 1
            elif char in "\"'`\n" or char == "$":
                if char != '"' or quoted:
                    raise Unsure("'${' holds quotes or a substitution")
                self._at += 1
                before = self._forbid("stands in '${...}'")
                self._double(Word())
                self._forbidden = before
            else:
                self._at += 1
        self._depth -= 1
        self.parameters.append((start, self._at - 1))
        self._read_within(start - 2, self._at - 1)
        self._refuse_within(start, self._at, "stands in '${...}'")
        if (default := _DEFAULT_OF.match(self._text, start, self._at)) is not None and self._forbidden is None:
            for hole in self._holes(default.end(), self._at):
                if self._text[hole - 1] not in "$\\":
                    self.found[hole] = Refusal("stands in '${...}'", "quoted", ENV_HINT)
        elif self.dialect == "bash" and self._forbidden is None and _PART_OF.match(self._text, start, self._at):
            for hole in self._holes(start, self._at):
                self.found[hole] = Refusal("stands in '${...}' where bash computes", "quoted")

    def _read_within(self, start: int, end: int) -> None:
        self.reads += ((self._at - 1, match[1]) for match in _READ.finditer(self._text, start, end))
        self.reads += ((self._at - 1, name) for name in indirect_in(self._text, start, end))

    def _ansi(self, word: Word) -> None:
        start = self._at
        while not self._take("'"):
            if self._ended():
                raise Unsure('"$\'" does not end')
            if self._peek(2) == "\\'" and self.dialect == "sh":
                raise Unsure('"$\'" is read in different ways by different shells')
            self._at += 2 if self._peek() == "\\" and self.dialect == "bash" else 1
        self._refuse_within(start, self._at, "stands in $'...'")
        self._check_lines(self._text[start : self._at])
        word.add(DYNAMIC)
        word.quoted = True

    def _translated(self, word: Word) -> None:
        before = self._forbid('stands in $"..."')
        self._double(word)
        self._forbidden = before
