"""The files that programs write what they read to: `tee f`, `dd of=f`, `install /dev/stdin f`, `sed -n 'w f'`."""

import re
from collections.abc import Iterator, Sequence

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.programs import is_awk, is_input, program

MOVING = frozenset({"cp", "mv", "ln", "install"})
_BY_SED = re.compile(r"(?:^|[^A-Za-z])[A-Za-z0-9]{0,9}w[ \t]+([^\n;}]{1,300})")
"""The command `w` of sed, and the flag of its `s`: the rest of the line is a file."""
_BY_AWK = re.compile(r">[ \t]*\"([^\"\n]{1,300})\"")
_OF_INPUT = re.compile(r"/dev/(?:stdin|fd/[0-9]+)|/proc/self/fd/[0-9]+")


def written_by(one: Arguments) -> Iterator[str]:
    """The names of the files, as they are written."""
    if not one.heads:
        return
    name, rest = one.called[-1], one.texts[one.heads[-1] + 1 :]
    if name in ("tee", "sponge"):
        yield from (text for text in rest if not text.startswith("-"))
    elif name == "dd":
        yield from (text[3:] for text in rest if text.startswith("of="))
    elif name in MOVING and takes_input(one):
        yield from targets(rest)
    elif program(name).language == "sed":
        yield from (match[1].strip() for text in rest for match in _BY_SED.finditer(text))
    elif is_awk(name):
        yield from (match[1] for text in rest for match in _BY_AWK.finditer(text))


def takes_input(one: Arguments) -> bool:
    """Whether one of the files that it copies is its input, or what commands in `<( ... )` print."""
    return copies_input(one) or any(word.process for word in one.command.words)


def copies_input(one: Arguments) -> bool:
    """Whether one of them is its input."""
    rest = one.texts[one.heads[-1] + 1 :] if one.heads and one.called[-1] in MOVING else []
    return any((text.startswith("/") and is_input(text)) or _OF_INPUT.fullmatch(text) for text in rest)


def targets(rest: Sequence[str]) -> Iterator[str]:
    """What the last operand names, or the one after `-t`: a file, or the folder of one."""
    for before, text in zip(("", *rest), rest, strict=False):
        if before in ("-t", "--target-directory"):
            yield text
        elif text.startswith("--target-directory="):
            yield text.partition("=")[2]
    yield from [text for text in rest if not text.startswith("-")][-1:]
