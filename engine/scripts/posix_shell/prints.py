"""What a command prints of a file whose name it is given, or of its input.

Of a program that is not known here it may be all of it. Some print only numbers or names.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.pieces import Command
from engine.scripts.posix_shell.programs import is_awk, is_input

COPYING = frozenset({"cat", "tee", "tr", "sort", "uniq", "head", "tail", "tac", "cut", "rev", "fold", "sponge"})
"""What comes in goes out, as far as a command is concerned."""
SAYING = frozenset({"echo", "printf"})
SILENT = frozenset(
    {
        ":", "[", "[[", "case", "cd", "cp", "declare", "exit", "export", "false", "for", "kill", "local", "mkdir", "mv",
        "read", "readonly", "return", "rm", "select", "set", "shift", "sleep", "test", "touch", "trap", "true",
        "typeset", "unset", "wait",
    }
)  # fmt: skip
"""Commands that print nothing of their words."""
_COUNTS = frozenset(
    {"b2sum", "cksum", "md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "sum", "wc"}
)
_OF_NUMBERS = SILENT | _COUNTS | frozenset(
    {
        "basename", "chgrp", "chmod", "chown", "cmp", "df", "dirname", "du", "find", "getopts", "install", "ln", "ls",
        "mapfile", "mkfifo", "mktemp", "mountpoint", "readarray", "readlink", "realpath", "rmdir", "shred", "stat",
        "sync", "truncate", "unlink",
    }
)  # fmt: skip
"""Programs that print numbers or the names of files, but nothing of what is in them."""
_COUNTING = re.compile(r"-[A-Zabdg-lnp-z]*[cq][A-Za-z]*|--(count|quiet|silent)")
_GREPS = frozenset({"grep", "egrep", "fgrep", "zgrep", "rg"})
_READING = COPYING | _GREPS | frozenset(
    {
        "base32", "base64", "bunzip2", "column", "comm", "dd", "dos2unix", "envsubst", "expand", "fmt", "gpg", "gunzip",
        "gzip", "iconv", "jq", "nl", "openssl", "paste", "pr", "pv", "sed", "shuf", "split", "strings", "tsort",
        "unexpand", "unxz", "xargs", "xmllint", "xxd", "xz", "yq", "zcat", "zstd",
    }
)  # fmt: skip
"""Programs that read their input where they are given no file."""
_ASKED_ELSEWHERE = frozenset({"curl", "date", "df", "find", "git", "id", "seq", "ssh-agent", "uname", "wget"})
"""Programs that print what is not in their input, unless a word of theirs names that."""
_NAMING_NO_INPUT = frozenset({"tr", "tee", "sponge"})
"""Of those that copy: their operands are no files that they read."""
_FIRST_IS_CODE = frozenset({"sed", "jq", "yq", "xargs"}) | _GREPS


def prints_only_numbers(one: Arguments) -> bool:
    """Whether it prints nothing of what is in files or its input: numbers and names at most."""
    if not one.heads:
        return False
    name, rest = one.called[-1], one.texts[one.heads[-1] + 1 :]
    if name in _GREPS:
        return any(map(_COUNTING.fullmatch, rest))
    return name in _OF_NUMBERS or (name in SAYING)


def counts(one: Arguments) -> bool:
    """Whether it prints only numbers of what is in its input: `wc -l`."""
    return bool(one.heads) and (one.called[-1] in _COUNTS or (one.called[-1] in _GREPS and prints_only_numbers(one)))


def passed_on(command: Command, by: dict[int, Arguments]) -> Iterator[Arguments]:
    """The commands that its output goes through, one after the other."""
    seen: set[int] = set()
    after = command.feeds
    while after is not None and id(after) not in seen:
        seen.add(id(after))
        if id(after) in by:
            yield by[id(after)]
        after = after.feeds


def reads_input(one: Arguments) -> bool:
    """Whether it prints its input, as far as is known: `sort -t ,`, `grep x`, but not `sort f`."""
    name, rest = one.called[-1], one.texts[one.heads[-1] + 1 :]
    if not {"xargs", "parallel"}.isdisjoint(one.called):
        return True
    if name not in _READING and not is_awk(name):
        return False
    if name in _NAMING_NO_INPUT:
        return True
    if name == "dd":
        return not any(text.startswith("if=") and not is_input(text[3:]) for text in rest)
    operands = _operands(rest, named=name == "cat")
    if any(is_input(text) for text in operands):
        return True
    first_is_code = name in _FIRST_IS_CODE or is_awk(name)
    return len([text for text in operands if not text.isdigit()]) <= first_is_code


def may_read_input(one: Arguments) -> bool:
    """The same of any program, unless it is known to print something else."""
    name, rest = one.called[-1], one.texts[one.heads[-1] + 1 :]
    if not {"xargs", "parallel"}.isdisjoint(one.called):
        return True
    if name in SAYING or name in _OF_NUMBERS or (name in _GREPS and prints_only_numbers(one)):
        return False
    if name in _ASKED_ELSEWHERE:
        return any(is_input(text.lstrip("@")) or text.endswith(("@-", "=-")) for text in rest)
    if name in _READING or is_awk(name):
        return reads_input(one)
    return True


def _operands(rest: Sequence[str], *, named: bool) -> list[str]:
    """Words that are no options, nor the value of one; `named`: no option takes a word."""
    return [
        text
        for before, text in pairwise(("", *rest))
        if (text == "-" or not text.startswith(("-", "+"))) and (named or is_input(text) or not _is_option(before))
    ]


def _is_option(text: str) -> bool:
    return len(text) > 1 and text[0] == "-" and (len(text) == 2 or text[1] == "-") and text != "--" and "=" not in text
