"""The characters of a file: which bytes may not stand there, and what can be read of the file all the same."""

import re
from dataclasses import dataclass

from schemas.diagnostic import Diagnostic
from schemas.span import Span, start_of

MAX_BYTES = 1024 * 1024
INSTEAD = "\ufffd"
"""Stands where a character is refused, so that all others keep their places."""
_MANY = 100
"""Who has more characters that are refused has no text: nothing of it is read."""

# What YAML 1.2 calls not printable, the byte order mark, the three characters that only YAML 1.1 breaks lines at, and
# those that turn text round: what a reviewer sees is then not what runs (CVE-2021-42574).
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2065\u3164\uffa0\U000e0000-\U000e007f]"
)
"""Characters without width, which names and sentences of some languages need, and scripts do not."""
MAX_DIRECTIVES = 8
"""`%TAG` lines in a row. libyaml compares each with all before it, and tells of none until it has: 20 s for 60,000."""
# Indented, as in every block text, it is no directive; in a flow text it may stand at the margin, and rarely in a row.
_CROWDED = re.compile(rf"(?:(?<![^\r\n])%TAG[^\r\n]*+(?:[\r\n]++[ \t]*+(?:#[^\r\n]*+)?+)*+){{{MAX_DIRECTIVES + 1}}}")
_BREAKS = frozenset("\x85\u2028\u2029")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_SAVE = "save it as UTF-8 without a byte order mark"
_WIDE = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""By the mark that they begin with; the longer ones first."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What is wrong with the bytes of a file. `rest` can be read in their place; None where nothing can."""

    finding: Diagnostic
    rest: bytes | None = None


def lines_of(text: str) -> list[str]:
    """Lines as positions count them: broken at LF, CR LF and CR, as YAML 1.2 does."""
    return _NEWLINE.split(text)


def look(data: bytes, file: str) -> Refused | None:
    """The first thing that DEFINITIONS 1 refuses in the bytes of a file; time and memory linear in its size."""
    if len(data) > MAX_BYTES:
        message = f"a file of {len(data):,} bytes; at most {MAX_BYTES:,} are read"
        hint = "divide it into several files; what it holds was not read"
        return Refused(Diagnostic(start_of(file), "OC116", message, hint))
    if data.startswith(tuple(_WIDE)):
        message = "the file is UTF-16 or UTF-32, not UTF-8"
        return _refused(_character(file, ""), "OC101", message, _SAVE, _narrowed(data))
    if data.startswith(b"\xef\xbb\xbf"):
        text = data[3:].decode(errors="replace")
        return _refused(_character(file, ""), "OC102", "the file begins with a byte order mark", _SAVE, text)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        at = _character(file, data[: error.start].decode())
        text = data.decode(errors="replace")
        return _refused(at, "OC101", f"byte 0x{data[error.start]:02x} is not UTF-8", _SAVE, text)
    found = _UNWANTED.search(text)
    if found is not None:
        return _unwanted(file, text, found.start())
    crowd = crowded(text)
    return _directives(file, text, crowd) if crowd is not None else None


def crowded(text: str) -> int | None:
    """Where more `%TAG` lines in a row begin than libyaml may be given."""
    if text.count("%TAG") <= MAX_DIRECTIVES:
        return None
    found = _CROWDED.search(text)
    return found.start() if found is not None else None


def _directives(file: str, text: str, at: int) -> Refused:
    hint = "remove the lines; files are read as YAML 1.2; what the file holds was not read"
    return Refused(Diagnostic(_character(file, text[:at]), "OC107", "a '%' directive is not allowed", hint))


def _narrowed(data: bytes) -> str | None:
    encoding = next(encoding for mark, encoding in _WIDE.items() if data.startswith(mark))
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _unwanted(file: str, text: str, at: int) -> Refused:
    span, character = _character(file, text[:at]), text[at]
    name = f"U+{ord(character):04X}"
    if character == "\0" and text.count("\0") * 3 > len(text):
        message = "the file has a zero byte in every character, as UTF-16 has"
        return _refused(span, "OC101", message, _SAVE, text.replace("\0", ""))
    if character == "\ufeff":
        return _refused(span, "OC102", "a byte order mark within the file", "remove the character U+FEFF", text)
    if character in _BREAKS:
        hint = f'write "\\u{ord(character):04x}" in double quotes'
        return _refused(span, "OC117", f"{name} breaks lines in YAML 1.1 and does not in YAML 1.2", hint, text)
    if character in _TURNS:
        hint = f'remove it, or write "\\u{ord(character):04x}" in double quotes, where it is seen'
        return _refused(span, "OC118", f"{name} turns text round: what is shown is not what is read", hint, text)
    if character == "\0":
        return _refused(span, "OC103", "a zero byte", "remove it; no program takes it", text)
    hint = f'remove it, or write "\\u{ord(character):04x}" in double quotes'
    return _refused(span, "OC103", f"a control character, {name}", hint, text)


def _refused(span: Span, code: str, message: str, hint: str, text: str | None) -> Refused:
    """The finding, and the text with something in the place of each character that is refused, if they are not many."""
    if text is not None:
        text, others = _UNWANTED.subn(INSTEAD, text)
        others = max(others, text.count(INSTEAD))
        if others <= _MANY and crowded(text) is None:
            more = f"; in all there are {others} such places" if others > 1 else ""
            return Refused(Diagnostic(span, code, message, f"{hint}{more}"), text.encode())
    return Refused(Diagnostic(span, code, message, f"{hint}; what the file holds was not read"))


def _character(file: str, before: str) -> Span:
    lines = lines_of(before)
    line, column = len(lines), len(lines[-1]) + 1
    return Span(file, line, column, line, column + 1)
