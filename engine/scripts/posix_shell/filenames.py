"""Names of files in a script, as far as they are written out."""

import re

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE

_FILE = "file:"
_BRACED = re.compile(r"\$\{(\w+)\}")
_PUT_IN = re.compile(r"\$\w|\$\{\w")
_MOST = 200
"""Code points of such a name."""


def file(text: str, *, anywhere: bool = False) -> str | None:
    """The name here of what a file of this name holds; None where the name is not known, or is no file's.

    Of folders that are variables nothing is known: `$dir/f` is taken for `./f`. `anywhere`: so are all others, as the
    script changes its own.
    """
    while text.startswith("./"):
        text = text[2:].lstrip("/")
    if DYNAMIC in text or (anywhere and not text.startswith("/")):
        text = text.rpartition("/")[2]
    if not text or DYNAMIC in text or text == "-" or text.startswith("/dev/"):
        return None
    return f"{_FILE}{text}"


def by_variables(raw: str) -> str | None:
    """The same where variables are part of the name: wherever it is written so again, it is taken for the same file."""
    if len(raw) > _MOST or _PUT_IN.search(raw) is None or HOLE in raw or "$(" in raw or "`" in raw:
        return None
    return _FILE + _BRACED.sub(r"$\1", raw.replace('"', ""))


def variables_in(name: str) -> list[str]:
    """The variables in such a name."""
    return re.findall(r"\$(\w+)", name)


def is_file(name: str) -> bool:
    """Whether it is such a name."""
    return name.startswith(_FILE)


def last_part(name: str) -> str:
    """What such a name is without its folders."""
    return name.removeprefix(_FILE).rpartition("/")[2]
