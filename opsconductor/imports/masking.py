"""What a remark shows of another tool's file: never what looks like a secret, since terminals and CI keep what is said.

More is masked here than is refused in documents: what is missed would be in a log, and what is masked needlessly still
stands in the file, at the place that the remark names.
"""

import re

from engine import hiding
from engine.leaks import names_a_secret, stands_for_a_secret
from opsconductor.imports.drafts import Remark

_INSTEAD = "***"
_WORD = re.compile(r"[A-Za-z0-9_.-]{2,100}", re.ASCII)
_IS = r"[ \t]{0,4}[=:][ \t]{0,4}"
_GIVEN = re.compile(
    rf"""{_IS}(?P<quote>["'])(?P<quoted>[^"']*)"""
    rf"""|["']{_IS}(?P<mark>["']?)(?P<of_key>[^"',}}]+)"""
    rf"""|(?P<sign>{_IS})(?!{{credentialRef:)(?P<bare>(?:\$\{{[^}}]*\}}|[^\s"',;}}])+)"""
)
_AFTER_A_FLAG = re.compile(r"""[ \t]{1,4}(?:(?P<mark>["'])(?P<quoted>[^"']*)|(?P<bare>(?!-)[^\s"']+))""")
_USER = re.compile(r"(?<=://)[^\s/@?#]{1,300}@|(?<=://)[^\s/@:]{0,100}:[^\s@/]{0,200}(?=…)")
"""Who logs in in a URL; also where it was cut before the address."""
_MORE_NAMES = frozenset({"cookie", "credential", "pass", "pw", "pwd", "setcredential"})


def masked(remark: Remark) -> Remark:
    """The remark, with `***` in the place of what looks like a secret."""
    return Remark(remark.place, _masked(remark.what), _masked(remark.hint), remark.lost)


def _masked(text: str) -> str:
    text = _USER.sub(lambda found: _INSTEAD + ("@" if found[0].endswith("@") else ""), text)
    text = _without_forms(text)
    pieces, at = [], 0
    for name in _WORD.finditer(text):
        if name.start() < at or not _is_name(name[0]):
            continue
        if (span := _value(text, name)) is not None:
            pieces += [text[at : span[0]], _INSTEAD]
            at = span[1]
    return "".join([*pieces, text[at:]])


def _is_name(word: str) -> bool:
    bare = word.strip("-.").lower()
    return names_a_secret(word.strip("-.")) or bare in _MORE_NAMES or bare.endswith(("_pass", "_pw"))


def _value(text: str, name: re.Match[str]) -> tuple[int, int] | None:
    """Where the value of a name begins and ends; None where none follows, or it only holds the place of one."""
    given = _GIVEN.match(text, name.end())
    if given is not None:
        group = str(given.lastgroup)
        begin, end = given.span(group)
        prose = group == "bare" and given["sign"].endswith((" ", "\t")) and given["bare"].strip("%:").isalpha()
    elif name[0].startswith("-") and (given := _AFTER_A_FLAG.match(text, name.end())) is not None:
        begin, end = given.span(str(given.lastgroup))
        prose = False
    else:
        return None
    end -= text[begin:end].endswith(":")
    return None if prose or begin >= end or stands_for_a_secret(text[begin:end]) else (begin, end)


def _without_forms(text: str) -> str:
    # on one line, so that columns are places of the text
    line = "".join(char if char.isprintable() else " " for char in text)
    for begin, end in reversed(hiding.spans(line)):
        text = text[:begin] + _INSTEAD + text[end - text[begin:end].endswith(":") :]
    return text
