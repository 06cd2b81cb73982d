"""What libyaml says of a text that is no YAML, in plain words and with what usually helps."""

from typing import Any

from yaml import MarkedYAMLError

from schemas.diagnostic import Diagnostic, Related
from schemas.span import Span, start_of

# libyaml's words, and what usually helps
_HINTS = (
    ("found character '\\t'", "indent with spaces, not with tabs"),
    ("mapping values are not allowed", "a value that contains ': ' is written in quotes; or the indentation is off"),
    ("could not find expected ':'", "a key is followed by ': '; or a quote or an indentation is off"),
    ("did not find expected key", "check the indentation of this line and of the one above"),
    ("did not find expected '-' indicator", "check the indentation of this line and of the one above"),
    ("unexpected end of stream", "a quote is opened and not closed"),
    ("did not find expected ',' or ']'", "a '[' is opened and not closed, or a comma is missing"),
    ("did not find expected ',' or '}'", "a '{' is opened and not closed, or a comma is missing"),
    ("expected <document start>", "between two documents stands a line '---'"),
    ("expected alphabetic or numeric character", "a value that begins with & or * is written in quotes"),
    ("directive", "remove the line that begins with %; files are read as YAML 1.2"),
    ("incompatible YAML document", "remove the line that begins with %; files are read as YAML 1.2"),
    ("invalid Unicode character escape code", "write the character itself, or in single quotes what is no escape"),
    ("expected hexdecimal number", "\\\\x takes two, \\\\u four and \\\\U eight hexadecimal digits"),
    ("indentation indicator equal to 0", "write 1 to 9 after the '|' or '>', or nothing"),
    ("unknown tag", "remove it; quote a value that begins with !"),
    ("did not find expected node content", "a value is missing here"),
    ("unknown escape character", "in double quotes a backslash is written as \\\\; or use single quotes"),
)


def refusal(error: MarkedYAMLError, lines: list[str], file: str) -> Diagnostic:
    """The finding for an error of libyaml in a text of these lines."""
    mark = error.problem_mark or error.context_mark
    span = _mark(file, mark, lines)
    problem = (error.problem or "it cannot be parsed").replace("found undefined tag handle", "unknown tag")
    hint = next((hint for words, hint in _HINTS if words in problem), "")
    problem = problem.replace("hexdecimal", "hexadecimal")
    if "cannot start any token" in problem and mark is not None:
        character = _at(lines, span.line, span.column)
        problem = "a tab where spaces are needed" if character == "\t" else f"'{character}' cannot begin a value"
        hint = "indent with spaces, not with tabs" if character == "\t" else "write the value in quotes"
    related: tuple[Related, ...] = ()
    if error.context and error.context_mark is not None:
        context = _mark(file, error.context_mark, lines)
        if context != span:
            related = (Related(context, error.context),)
    return Diagnostic(span, "OC104", f"not YAML: {problem}", hint, related=related)


def _mark(file: str, mark: Any, lines: list[str]) -> Span:
    """One character at a mark; a mark past the end of the text is its last line's end."""
    if mark is None:
        return start_of(file)
    line, column = mark.line + 1, mark.column + 1
    while line > 1 and (line > len(lines) or (column == 1 and lines[line - 1] == "" and line == len(lines))):
        line -= 1
        column = len(lines[line - 1]) + 1
    return Span(file, line, column, line, column + 1)


def _at(lines: list[str], line: int, column: int) -> str:
    return lines[line - 1][column - 1 : column] if line <= len(lines) else ""
